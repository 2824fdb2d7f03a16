//! Where patches are made durable.

use crate::WriteBatch;

/// Keeps what machines commit.
pub trait Store: Send {
    /// Makes a patch durable: whole or not at all, and before this returns.
    ///
    /// # Errors
    /// Where it could not. What is in the store is then unknown until it is opened again, so whoever
    /// drives a machine stops there.
    fn commit(&mut self, patch: &WriteBatch) -> Result<(), StoreError>;

    /// The value of one key; none where there is no such key.
    ///
    /// # Errors
    /// Where it could not be read.
    fn get(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Everything that is kept: table, key and value, in any order.
    ///
    /// # Errors
    /// Where it could not be read.
    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError>;
}

/// A store could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What happened, to which store, and what to do next.
    pub message: String,
}
