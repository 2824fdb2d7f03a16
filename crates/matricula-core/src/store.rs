//! The trait of a durable store for write batches, and its error.

use std::{error::Error, fmt, sync::Arc};

use crate::WriteBatch;

/// A durable key-value store: tables of keys, changed by whole [`WriteBatch`]es.
///
/// Runners use it as `Box<dyn Store>`. A trait that needs more, such as locks, extends it.
pub trait Store: Send {
    /// Applies all writes of the batch or none, and returns once they are durable.
    ///
    /// # Errors
    /// If the batch could not be written. The content of the store is then unknown until it is opened
    /// again: the caller must not carry out the effects of that step, and must not go on writing.
    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError>;

    /// Reads the value of one key; `None` if there is no such key.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn get(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Reads every entry as table, key and value, in any order.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError>;
}

/// A store could not be read or written.
///
/// A store with an error type of its own keeps that as the [`source`](Error::source); callers that
/// know the store get it back with [`source_as`](Self::source_as).
#[derive(Clone)]
pub struct StoreError {
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error without a source. The message says what happened, to which store, and what to do next.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// An error with a source. The message is complete without it.
    pub fn with_source(
        message: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            message: message.into(),
            source: Some(Arc::new(source)),
        }
    }

    /// Wraps the error type of a store; the message is the source's.
    pub fn from_source(source: impl Error + Send + Sync + 'static) -> Self {
        Self::with_source(source.to_string(), source)
    }

    /// What happened, to which store, and what to do next.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The source, if it has this type.
    pub fn source_as<E: Error + 'static>(&self) -> Option<&E> {
        self.source()?.downcast_ref()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("StoreError");
        debug.field("message", &self.message);
        if let Some(source) = &self.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

/// Compares the messages only: sources cannot be compared.
impl PartialEq for StoreError {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

impl Eq for StoreError {}
