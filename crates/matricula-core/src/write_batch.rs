//! Ordered writes to tables of keys, applied in one transaction.

use std::{borrow::Cow, fmt};

/// An ordered list of [`Write`]s, applied whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    writes: Vec<Write>,
}

/// Sets or removes one key.
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    /// The table of the key.
    pub table: Cow<'static, str>,
    /// The key, unique in its table.
    pub key: String,
    /// The new value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

impl WriteBatch {
    /// Sets `key` of `table` to `value`.
    pub fn put(
        &mut self,
        table: impl Into<Cow<'static, str>>,
        key: impl Into<String>,
        value: impl Into<Vec<u8>>,
    ) {
        self.writes.push(Write {
            table: table.into(),
            key: key.into(),
            value: Some(value.into()),
        });
    }

    /// Removes `key` of `table`.
    pub fn remove(&mut self, table: impl Into<Cow<'static, str>>, key: impl Into<String>) {
        self.writes.push(Write {
            table: table.into(),
            key: key.into(),
            value: None,
        });
    }

    /// Appends the writes of another batch.
    pub fn append(&mut self, mut other: Self) {
        self.writes.append(&mut other.writes);
    }

    /// The writes, in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Whether there are no writes.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

impl fmt::Debug for Write {
    // A value may hold secrets, so that only its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: ", self.table, self.key)?;
        match &self.value {
            Some(value) => write!(f, "{} bytes", value.len()),
            None => f.write_str("removed"),
        }
    }
}
