//! The store of a session: what conversations and sessions write before their effects run.

use matricula_api::UserId;
use matricula_auth::{Account, OAuthClient, Registration, tables};
use matricula_core::{Store, StoreError, WriteBatch};
use serde::de::DeserializeOwned;

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
        read(self, tables::ACCOUNTS, user_id.as_str())
    }

    /// Reads all stored accounts, in any order.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn load_all(&mut self) -> Result<Vec<Account>, StoreError> {
        read_all(self, tables::ACCOUNTS)
    }

    /// Reads all interrupted registrations, in any order.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn load_registrations(&mut self) -> Result<Vec<Registration>, StoreError> {
        read_all(self, tables::REGISTRATIONS)
    }

    /// Reads the client registration at the OAuth 2.0 server of this issuer: a program registers there
    /// once.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn load_oauth_client(&mut self, issuer: &str) -> Result<Option<OAuthClient>, StoreError> {
        read(self, tables::OAUTH_CLIENTS, issuer)
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

fn read<T: DeserializeOwned>(
    store: &mut (impl Store + ?Sized),
    table: &str,
    key: &str,
) -> Result<Option<T>, StoreError> {
    let value = store.get(table, key)?;
    value.map(|value| parse(table, key, &value)).transpose()
}

fn read_all<T: DeserializeOwned>(
    store: &mut (impl Store + ?Sized),
    table: &str,
) -> Result<Vec<T>, StoreError> {
    let entries = store.entries()?.into_iter();
    let of_table = entries.filter(|(its_table, _, _)| its_table == table);
    of_table
        .map(|(table, key, value)| parse(&table, &key, &value))
        .collect()
}

fn parse<T: DeserializeOwned>(table: &str, key: &str, value: &[u8]) -> Result<T, StoreError> {
    // The error of the parser could repeat a part of a secret.
    serde_json::from_slice(value).map_err(|_| {
        StoreError::new(format!(
            "the entry {key} of the table {table} is not well-formed; it was written by another version"
        ))
    })
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
