//! What must be durable before effects run: ordered changes to tables of keys.

use std::{borrow::Cow, fmt};

/// An ordered list of [`Write`]s to be stored in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    writes: Vec<Write>,
}

/// One key's new value, or its removal.
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    /// The table that the key belongs to.
    pub table: Cow<'static, str>,
    /// The key, unique in its table.
    pub key: String,
    /// The value from now on; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

impl WriteBatch {
    /// Adds "from now on, `key` of `table` has `value`".
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

    /// Adds "from now on, `table` has no `key`".
    pub fn remove(&mut self, table: impl Into<Cow<'static, str>>, key: impl Into<String>) {
        self.writes.push(Write {
            table: table.into(),
            key: key.into(),
            value: None,
        });
    }

    /// Adds the changes of another patch after these.
    pub fn append(&mut self, mut other: Self) {
        self.writes.append(&mut other.writes);
    }

    /// The changes, in the order they are to be applied.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

impl fmt::Debug for Write {
    // A value may hold secrets: its length must do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: ", self.table, self.key)?;
        match &self.value {
            Some(value) => write!(f, "{} bytes", value.len()),
            None => f.write_str("removed"),
        }
    }
}
