//! The store of a session: what conversations and sessions write before their effects run.

use matricula_api::UserId;
use matricula_auth::{Account, OAuthClient, Registration, tables};
use matricula_core::{Store, StoreError, WriteBatch};

use crate::AccountLock;

/// A [`Store`] for accounts and their sessions: [`AccountStore`](crate::AccountStore), [`NoStore`], or
/// one of yours. The tables are those of [`matricula_auth::tables`].
///
/// It holds passwords and tokens. When [`Store::commit`] returns, the batch must survive a crash:
/// only then is anything sent.
///
/// A store that several processes share implements [`try_lock`](Self::try_lock).
pub trait SessionStore: Store {
    /// Reads a stored account.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn load(&mut self, user_id: &UserId) -> Result<Option<Account>, StoreError> {
        let key = user_id.as_str();
        let value = self.get(tables::ACCOUNTS, key)?;
        parse(tables::ACCOUNTS, key, value, Account::from_stored)
    }

    /// Reads all stored accounts, in any order.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn load_all(&mut self) -> Result<Vec<Account>, StoreError> {
        parse_all(self.entries()?, tables::ACCOUNTS, Account::from_stored)
    }

    /// Reads all interrupted registrations, in any order.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn load_registrations(&mut self) -> Result<Vec<Registration>, StoreError> {
        let entries = self.entries()?;
        parse_all(entries, tables::REGISTRATIONS, Registration::from_stored)
    }

    /// Reads the last client registration at the OAuth 2.0 server of this issuer. A program registers
    /// before each login; this one is for servers that refuse to register it again.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn load_oauth_client(&mut self, issuer: &str) -> Result<Option<OAuthClient>, StoreError> {
        let value = self.get(tables::OAUTH_CLIENTS, issuer)?;
        parse(
            tables::OAUTH_CLIENTS,
            issuer,
            value,
            OAuthClient::from_stored,
        )
    }

    /// Locks the session of an account against renewal and logout by other processes, until the lock is
    /// dropped. `None` if another process holds the lock. It must not wait.
    ///
    /// A store of a single process needs no lock: that is the default.
    ///
    /// # Errors
    /// If locking fails.
    fn try_lock(&mut self, _: &UserId) -> Result<Option<AccountLock>, StoreError> {
        Ok(Some(AccountLock::default()))
    }
}

/// Reads a stored value. Each type is read by a function of its own crate, where it is compiled once.
pub(crate) type FromStored<T> = fn(&[u8]) -> Result<T, serde_json::Error>;

fn parse<T>(
    table: &str,
    key: &str,
    value: Option<Vec<u8>>,
    from_stored: FromStored<T>,
) -> Result<Option<T>, StoreError> {
    let Some(value) = value else { return Ok(None) };
    // The error of the parser could repeat a part of a secret.
    from_stored(&value)
        .map(Some)
        .map_err(|_| malformed(table, key))
}

fn parse_all<T>(
    entries: Vec<(String, String, Vec<u8>)>,
    table: &str,
    from_stored: FromStored<T>,
) -> Result<Vec<T>, StoreError> {
    let mut all = Vec::new();
    for (its_table, key, value) in entries {
        if its_table == table {
            all.extend(parse(table, &key, Some(value), from_stored)?);
        }
    }
    Ok(all)
}

fn malformed(table: &str, key: &str) -> StoreError {
    StoreError::new(format!(
        "the entry {key} of the table {table} is not well-formed; it was written by another version"
    ))
}

/// Stores nothing: accounts and tokens are lost when the process ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl Store for NoStore {
    fn commit(&mut self, _: &WriteBatch) -> Result<(), StoreError> {
        Ok(())
    }

    fn get(&mut self, _: &str, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }
}

impl SessionStore for NoStore {}
