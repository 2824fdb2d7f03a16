//! The account store: a file with accounts, pending registrations and pending logins.

mod cipher;
mod directory;
mod encryption;
mod error;
mod file_format;
pub(crate) mod files;

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use matricula_api::UserId;
use matricula_auth::{
    Account, OAuthClient, OAuthLogin, PendingAuth, PendingPassword, PendingThreepid, Registration,
    SsoLogin, Threepid, normal_user, tables,
};
use matricula_core::{Store, StoreError, Write, WriteBatch, lossy_json};
use serde_json::Value;

use cipher::Key;
pub use directory::check_directory;
pub use error::AccountStoreError;
use file_format::{Content, Form, Read, ReadError, SUPPORTED};

use crate::{Keyring, SessionStore, session_store::FromStored};

/// A [`Store`] for secrets: one file that only its owner can read. Each write replaces the whole
/// file atomically.
///
/// Each write locks the file across processes and reads it again, so that concurrent writers do not
/// overwrite each other's changes. The store is meant for dozens of accounts, not for thousands.
///
/// With a [`Keyring`], a new file is encrypted with a key that the keyring stores. If the keyring
/// does not store the key, the new file is not encrypted. An existing file stays as it is:
/// [`AccountStore::seal`] and [`AccountStore::unseal`] change it.
///
/// A directory that other users of the machine can change is refused: see [`check_directory`].
#[derive(Clone, Debug)]
pub struct AccountStore {
    dir: PathBuf,
    keyring: Option<Arc<dyn Keyring>>,
    /// The last key, so that the keyring is asked only once.
    key: Arc<Mutex<Option<Key>>>,
}

impl AccountStore {
    /// The store in this directory, which the first write creates.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            keyring: None,
            key: Arc::default(),
        }
    }

    /// The same store, with its encryption key in this keyring.
    #[must_use]
    pub fn with_keyring(mut self, keyring: Arc<dyn Keyring>) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// The file with the secrets.
    pub fn path(&self) -> PathBuf {
        self.dir.join("accounts.json")
    }

    /// All accounts, in the order of their user IDs.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn accounts(&self) -> Result<Vec<Account>, AccountStoreError> {
        self.read_table(tables::ACCOUNTS, Account::from_stored)
    }

    /// The account of this user ID; without one, the default account: the one that
    /// [`set_default`](Self::set_default) named last, else the first one that was stored. If it is
    /// removed, it is the first of the others, in the order of their user IDs.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn account(&self, user_id: Option<&str>) -> Result<Option<Account>, AccountStoreError> {
        let mut content = self.read()?;
        settle_default(&mut content);
        let wanted = user_id.or(content.default.as_deref());
        let Some(accounts) = content.tables.get(tables::ACCOUNTS) else {
            return Ok(None);
        };
        let found = wanted.and_then(|user_id| accounts.get(user_id));
        self.parse(found, Account::from_stored)
    }

    /// The accounts with this name, as people type it: the account of this user ID, with or without its `@`,
    /// or all whose localpart it is, in the order of their user IDs. The case of the letters A to Z matters
    /// only where several accounts differ in nothing else.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn accounts_named(&self, name: &str) -> Result<Vec<Account>, AccountStoreError> {
        let mut accounts = self.accounts()?;
        let name = name.trim().trim_start_matches('@');
        let typed = format!("@{name}");
        // Servers know their names in ASCII only.
        let user_id = match typed.is_ascii() {
            true => typed,
            false => normal_user(&typed),
        };
        accounts.retain(|account| match name.contains(':') {
            true => account.user_id.as_str().eq_ignore_ascii_case(&user_id),
            false => account.user_id.localpart().eq_ignore_ascii_case(name),
        });
        let exact = |account: &Account| account.user_id.as_str() == user_id;
        if let Some(exact) = accounts.iter().position(exact) {
            accounts = vec![accounts.swap_remove(exact)];
        }
        Ok(accounts)
    }

    /// The pending registration of this ID.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn registration(&self, id: &str) -> Result<Option<Registration>, AccountStoreError> {
        self.entry(tables::REGISTRATIONS, id, Registration::from_stored)
    }

    /// The pending OAuth 2.0 login of this ID.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn oauth_login(&self, id: &str) -> Result<Option<OAuthLogin>, AccountStoreError> {
        self.entry(tables::OAUTH_LOGINS, id, OAuthLogin::from_stored)
    }

    /// The values for a new user whose creation is in doubt, by its
    /// [key](matricula_admin::PendingUser::key).
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    #[cfg(feature = "admin")]
    pub fn pending_user(
        &self,
        key: &str,
    ) -> Result<Option<matricula_admin::PendingUser>, AccountStoreError> {
        use matricula_admin::{PendingUser, tables};
        self.entry(tables::PENDING_USERS, key, PendingUser::from_stored)
    }

    /// The client registration of this program at the OAuth 2.0 server of this issuer.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn oauth_client(&self, issuer: &str) -> Result<Option<OAuthClient>, AccountStoreError> {
        self.entry(tables::OAUTH_CLIENTS, issuer, OAuthClient::from_stored)
    }

    /// The state of an unfinished password change of this account.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn pending_password(
        &self,
        user_id: &UserId,
    ) -> Result<Option<PendingPassword>, AccountStoreError> {
        let key = user_id.as_str();
        self.entry(tables::PASSWORD_CHANGES, key, PendingPassword::from_stored)
    }

    /// The state of adding this address to this account.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn pending_address(
        &self,
        user_id: &UserId,
        address: &Threepid,
    ) -> Result<Option<PendingThreepid>, AccountStoreError> {
        let key = PendingThreepid::key(user_id, address);
        self.entry(
            tables::THREEPID_ADDITIONS,
            &key,
            PendingThreepid::from_stored,
        )
    }

    fn entry<T>(
        &self,
        table: &str,
        key: &str,
        from_stored: FromStored<T>,
    ) -> Result<Option<T>, AccountStoreError> {
        let content = self.read()?;
        let stored = content.tables.get(table).and_then(|table| table.get(key));
        self.parse(stored, from_stored)
    }

    /// The pending registration or login of this ID.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn pending(&self, id: &str) -> Result<Option<PendingAuth>, AccountStoreError> {
        if let Some(registration) = self.registration(id)? {
            return Ok(Some(PendingAuth::Registration(Box::new(registration))));
        }
        if let Some(login) = self.oauth_login(id)? {
            return Ok(Some(PendingAuth::OAuth(Box::new(login))));
        }
        let login = self.entry(tables::SSO_LOGINS, id, SsoLogin::from_stored)?;
        Ok(login.map(|login| PendingAuth::Sso(Box::new(login))))
    }

    /// All pending registrations and logins, except those that another version wrote and this one
    /// cannot read.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn all_pending(&self) -> Result<Vec<PendingAuth>, AccountStoreError> {
        let content = self.read()?;
        let mut all = Vec::new();
        for it in readable(&content, tables::REGISTRATIONS, Registration::from_stored) {
            all.push(PendingAuth::Registration(Box::new(it)));
        }
        for it in readable(&content, tables::OAUTH_LOGINS, OAuthLogin::from_stored) {
            all.push(PendingAuth::OAuth(Box::new(it)));
        }
        for it in readable(&content, tables::SSO_LOGINS, SsoLogin::from_stored) {
            all.push(PendingAuth::Sso(Box::new(it)));
        }
        Ok(all)
    }

    /// All pending registrations, except those that another version wrote and this one cannot read.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn registrations(&self) -> Result<Vec<Registration>, AccountStoreError> {
        let content = self.read()?;
        Ok(readable(
            &content,
            tables::REGISTRATIONS,
            Registration::from_stored,
        ))
    }

    /// Makes this the default account.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn set_default(&self, user_id: &str) -> Result<(), AccountStoreError> {
        self.change(|content| {
            content.default = Some(user_id.to_owned());
            Ok(())
        })
    }

    /// Removes an account from the store.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn forget(&self, user_id: &str) -> Result<(), AccountStoreError> {
        self.change(|content| {
            if let Some(accounts) = content.tables.get_mut(tables::ACCOUNTS) {
                accounts.remove(user_id);
            }
            Ok(())
        })
    }

    /// The user ID of the default account.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn default_account(&self) -> Result<Option<String>, AccountStoreError> {
        let account = self.account(None)?;
        Ok(account.map(|account| account.user_id.to_string()))
    }

    fn read_table<T>(
        &self,
        table: &str,
        from_stored: FromStored<T>,
    ) -> Result<Vec<T>, AccountStoreError> {
        let content = self.read()?;
        let mut all = Vec::new();
        for value in content.rows(table) {
            all.extend(self.parse(Some(value), from_stored)?);
        }
        Ok(all)
    }

    fn parse<T>(
        &self,
        value: Option<&Value>,
        from_stored: FromStored<T>,
    ) -> Result<Option<T>, AccountStoreError> {
        let Some(value) = value else { return Ok(None) };
        let malformed = |_| self.unreadable("an entry in it is not well-formed");
        let read = from_stored(value.to_string().as_bytes());
        read.map(Some).map_err(malformed)
    }

    /// Servers choose user IDs: a server must not overwrite the account of another server.
    fn check_same_server(
        &self,
        user_id: &str,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<(), AccountStoreError> {
        let Some(old) = old else { return Ok(()) };
        let is_same = |key: &str| !old[key].is_null() && old[key] == new[key];
        let is_empty = old["access_token"].is_null() && old["password"].is_null();
        if is_same("server") || is_same("data") || is_empty {
            return Ok(());
        }
        Err(AccountStoreError::OtherServer {
            path: self.path(),
            user_id: user_id.to_owned(),
            server: old["server"].as_str().unwrap_or_default().to_owned(),
        })
    }

    fn unreadable(&self, what: &str) -> AccountStoreError {
        AccountStoreError::Unreadable {
            path: self.path(),
            what: what.to_owned(),
        }
    }

    fn read_error(&self, error: ReadError) -> AccountStoreError {
        match error {
            ReadError::Malformed(what) => self.unreadable(&what),
            ReadError::OtherFormat(format) => AccountStoreError::OtherFormat {
                path: self.path(),
                format,
                supported: SUPPORTED,
            },
        }
    }

    fn read(&self) -> Result<Content, AccountStoreError> {
        self.read_form().map(|(content, _)| content)
    }

    /// The content and its encoding; `None` if there is no file yet.
    fn read_form(&self) -> Result<(Content, Option<Form>), AccountStoreError> {
        let Some(text) = files::read(&self.path())? else {
            return Ok((Content::default(), None));
        };
        let read_error = |error| self.read_error(error);
        match Content::read(&text).map_err(read_error)? {
            Read::Plain(content) => Ok((content, Some(Form::Plain))),
            Read::Sealed(sealed) => {
                let key = self.key(&sealed.key)?;
                let text = key.open(&sealed).map_err(|what| self.unreadable(&what))?;
                let content = Content::read_plain(&text).map_err(read_error)?;
                Ok((content, Some(Form::Sealed(Box::new(key)))))
            }
        }
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Content) -> Result<(), AccountStoreError>,
    ) -> Result<(), AccountStoreError> {
        files::make_dir(&self.dir)?;
        let _lock = self.lock()?;
        let (mut content, form) = self.read_form()?;
        settle_default(&mut content);
        change(&mut content)?;
        settle_default(&mut content);
        let form = form.unwrap_or_else(|| self.first_form());
        self.replace(&form, &content)
    }

    /// Replaces the file.
    fn replace(&self, form: &Form, content: &Content) -> Result<(), AccountStoreError> {
        let path = self.path();
        let text = form.write(content).map_err(|error| AccountStoreError::Io {
            path: path.clone(),
            what: "encode",
            error: error.into(),
        })?;
        files::replace(&path, &text)
    }

    /// Applies one write of a batch.
    fn apply(&self, write: &Write, content: &mut Content) -> Result<(), AccountStoreError> {
        let table = content.tables.entry(write.table.to_string()).or_default();
        let Some(value) = &write.value else {
            table.remove(&write.key);
            return Ok(());
        };
        // What a server sent may have a part that fits no `Value`.
        let value = str::from_utf8(value).ok().and_then(lossy_json);
        let value = value.ok_or_else(|| self.unreadable("a value to be written is not JSON"))?;
        if write.table == tables::ACCOUNTS {
            self.check_same_server(&write.key, table.get(&write.key), &value)?;
        }
        table.insert(write.key.clone(), value);
        Ok(())
    }

    fn lock(&self) -> Result<File, AccountStoreError> {
        files::lock(&self.dir, "accounts.lock")
    }
}

impl Store for AccountStore {
    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        Ok(self.change(|content| {
            for write in batch.writes() {
                self.apply(write, content)?;
            }
            settle_passwords(&mut content.tables);
            Ok(())
        })?)
    }

    fn get(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let content = self.read()?;
        let value = content.tables.get(table).and_then(|table| table.get(key));
        Ok(value.map(|value| value.to_string().into_bytes()))
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        let tables = self.read()?.tables.into_iter();
        let entries = tables.flat_map(|(table, rows)| {
            let entry = move |(key, value): (String, Value)| {
                (table.clone(), key, value.to_string().into_bytes())
            };
            rows.into_iter().map(entry)
        });
        Ok(entries.collect())
    }
}

impl SessionStore for AccountStore {
    fn load(&mut self, user_id: &UserId) -> Result<Option<Account>, StoreError> {
        Ok(self.account(Some(user_id.as_str()))?)
    }

    fn load_all(&mut self) -> Result<Vec<Account>, StoreError> {
        Ok(self.accounts()?)
    }

    fn load_registrations(&mut self) -> Result<Vec<Registration>, StoreError> {
        Ok(self.registrations()?)
    }

    fn load_oauth_client(&mut self, issuer: &str) -> Result<Option<OAuthClient>, StoreError> {
        Ok(self.oauth_client(issuer)?)
    }

    fn try_lock(&mut self, user_id: &UserId) -> Result<Option<AccountLock>, StoreError> {
        files::make_dir(&self.dir)?;
        let lock = files::try_lock(&self.dir, &lock_name(user_id))?;
        Ok(lock.map(|file| AccountLock(Some(file))))
    }
}

/// The rows of a table that this version can read.
fn readable<T>(content: &Content, table: &str, from_stored: FromStored<T>) -> Vec<T> {
    let mut all = Vec::new();
    for value in content.rows(table) {
        all.extend(from_stored(value.to_string().as_bytes()).ok());
    }
    all
}

/// Makes the first account the default if there is no default account. It stays the default when other
/// accounts are added.
fn settle_default(content: &mut Content) {
    let accounts = content.tables.get(tables::ACCOUNTS);
    let is_there = |user_id: &String| accounts.is_some_and(|all| all.contains_key(user_id));
    if !content.default.as_ref().is_some_and(is_there) {
        content.default = accounts.and_then(|all| all.keys().next().cloned());
    }
}

/// Moves the new password of each finished password change into its account.
fn settle_passwords(tables: &mut BTreeMap<String, BTreeMap<String, Value>>) {
    let Some(changes) = tables.get_mut(tables::PASSWORD_CHANGES) else {
        return;
    };
    let mut settled = BTreeMap::new();
    changes.retain(|user_id, change| {
        let is_set = change["is_set"] == true;
        if is_set {
            settled.insert(user_id.clone(), change["password"].take());
        }
        !is_set
    });
    let mut accounts = tables.get_mut(tables::ACCOUNTS);
    for (user_id, password) in settled {
        let account = accounts
            .as_mut()
            .and_then(|accounts| accounts.get_mut(&user_id));
        if let Some(account) = account {
            account["password"] = password;
        }
    }
}

/// A lock on the session of an account: see [`SessionStore::try_lock`]. The operating system
/// releases it when the process ends.
#[derive(Debug, Default)]
#[must_use = "dropping it releases the lock"]
pub struct AccountLock(#[expect(dead_code, reason = "the open file holds the lock")] Option<File>);

/// One lock file per account. Other characters than these become `_`, so two accounts may share a
/// lock: then they wait for each other.
fn lock_name(user_id: &UserId) -> String {
    let plain = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '=' => c,
        _ => '_',
    };
    let name: String = user_id.as_str().chars().map(plain).take(200).collect();
    format!("session{name}.lock")
}
