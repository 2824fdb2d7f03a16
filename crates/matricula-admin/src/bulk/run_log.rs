//! The stored state of a run: its rows, and the state of each.

use matricula_api::UserId;
use matricula_auth::conversation::to_json;
use matricula_core::{Secret, WriteBatch, secret::exposed};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::NewRow;

/// The tables that a run writes to. They hold passwords.
pub mod tables {
    /// The rows by their index in the list, as JSON. Written once.
    pub const ROWS: &str = "bulk_rows";
    /// The [state](super::RowState) of each row by its index in the list, as JSON.
    pub const STATES: &str = "bulk_states";
}

/// The state of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RowState {
    /// No request was sent that may have created the account.
    #[default]
    NotBegun,
    /// The account may have been created: a request was about to be sent, and its result is not known
    /// yet.
    Begun {
        /// The state of the conversation, if it is needed to continue.
        #[serde(with = "exposed", default)]
        conversation: Option<Secret>,
    },
    /// The account may have been created, and the server could not be asked. The next run tries again.
    InDoubt {
        /// What happened.
        reason: String,
        /// The state of the conversation, if it is needed to continue.
        #[serde(with = "exposed", default)]
        conversation: Option<Secret>,
    },
    /// The run created the account.
    Done {
        /// The user.
        user_id: UserId,
    },
    /// The run created the account, but not as the row asks.
    Incomplete {
        /// The user.
        user_id: UserId,
        /// What is missing, and why.
        reason: String,
    },
    /// The username was taken. That account was not changed.
    Exists,
    /// The server refused.
    Failed {
        /// Why.
        reason: String,
    },
    /// The run created the account, and it was deactivated again.
    Undone {
        /// The user.
        user_id: UserId,
    },
}

impl RowState {
    /// Whether nothing is left to do for this row.
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::NotBegun | Self::Begun { .. } | Self::InDoubt { .. }
        )
    }

    /// The state in one or two words. An account that may exist is "in doubt" until that is settled.
    pub fn status(&self) -> &'static str {
        match self {
            Self::NotBegun => "not begun",
            Self::Begun { .. } | Self::InDoubt { .. } => "in doubt",
            Self::Done { .. } => "done",
            Self::Incomplete { .. } => "incomplete",
            Self::Exists => "exists",
            Self::Failed { .. } => "failed",
            Self::Undone { .. } => "undone",
        }
    }

    /// Why the row failed, is incomplete or in doubt.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { reason }
            | Self::Incomplete { reason, .. }
            | Self::InDoubt { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// The account that the run created.
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::Done { user_id }
            | Self::Incomplete { user_id, .. }
            | Self::Undone { user_id } => Some(user_id),
            _ => None,
        }
    }

    /// The account that the run created, unless it was deactivated again.
    pub fn created(&self) -> Option<&UserId> {
        self.user_id()
            .filter(|_| !matches!(self, Self::Undone { .. }))
    }

    /// The stored conversation of a row that was begun, or `None` if the row was not begun.
    pub(super) fn begun(&self) -> Option<Option<&Secret>> {
        match self {
            Self::Begun { conversation } | Self::InDoubt { conversation, .. } => {
                Some(conversation.as_ref())
            }
            _ => None,
        }
    }
}

/// A row with its password and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The row of the list.
    pub row: NewRow,
    /// The password of the account; `None` if the route sets none.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// The state of the row.
    #[serde(skip)]
    pub state: RowState,
}

/// All rows of a run, in the order of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunLog {
    pub(super) entries: Vec<Entry>,
}

/// The number of rows in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All rows.
    pub rows: usize,
    /// Accounts that the run created.
    pub done: usize,
    /// Accounts that the run created, but not as their rows ask.
    pub incomplete: usize,
    /// Usernames that were taken.
    pub exists: usize,
    /// Rows that the server refused.
    pub failed: usize,
    /// Rows whose account may or may not exist.
    pub in_doubt: usize,
    /// Rows for which nothing was sent.
    pub not_begun: usize,
    /// Accounts that the run created and that were deactivated again.
    pub undone: usize,
}

impl Counts {
    /// The accounts that the run created, unless they were deactivated again.
    pub fn created(&self) -> usize {
        self.done + self.incomplete
    }

    /// The rows in a [final](RowState::is_final) state.
    pub fn finished(&self) -> usize {
        self.rows - self.not_begun - self.in_doubt
    }
}

/// The stored state of a run cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the stored row {key} cannot be read ({source}); was it written by another version?")]
pub struct RunLogError {
    key: String,
    source: serde_json::Error,
}

impl RunLog {
    /// Reads back what earlier runs committed, as (table, key, value). Other tables are ignored.
    ///
    /// # Errors
    /// If a value was not written by a run.
    pub fn from_stored(
        stored: impl IntoIterator<Item = (String, String, Vec<u8>)>,
    ) -> Result<Self, RunLogError> {
        Self::read(&mut stored.into_iter())
    }

    fn read(
        stored: &mut dyn Iterator<Item = (String, String, Vec<u8>)>,
    ) -> Result<Self, RunLogError> {
        let (mut rows, mut states) = (Vec::new(), Vec::new());
        for (table, key, value) in stored {
            match table.as_str() {
                tables::ROWS => rows.push((read::<Entry>(&key, &value)?, key)),
                tables::STATES => states.push((key.clone(), read::<RowState>(&key, &value)?)),
                _ => {}
            }
        }
        rows.sort_by(|a, b| a.1.cmp(&b.1));
        states.sort_by(|a, b| a.0.cmp(&b.0));
        let state = |key: &String| {
            let found = states.binary_search_by(|(other, _)| other.cmp(key));
            found.map_or_else(|_| RowState::NotBegun, |at| states[at].1.clone())
        };
        let entries = rows.into_iter().map(|(entry, key)| Entry {
            state: state(&key),
            ..entry
        });
        Ok(Self {
            entries: entries.collect(),
        })
    }

    /// The rows, in the order of the list.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number of rows in each state.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            rows: self.entries.len(),
            ..Counts::default()
        };
        for entry in &self.entries {
            match entry.state {
                RowState::NotBegun => counts.not_begun += 1,
                RowState::Begun { .. } | RowState::InDoubt { .. } => counts.in_doubt += 1,
                RowState::Done { .. } => counts.done += 1,
                RowState::Incomplete { .. } => counts.incomplete += 1,
                RowState::Exists => counts.exists += 1,
                RowState::Failed { .. } => counts.failed += 1,
                RowState::Undone { .. } => counts.undone += 1,
            }
        }
        counts
    }

    pub(super) fn write_rows(&self, writes: &mut WriteBatch) {
        for (index, entry) in self.entries.iter().enumerate() {
            writes.put(tables::ROWS, key(index), to_json(entry));
        }
    }

    /// Changes the state of a row, and adds the change to `writes`.
    pub(super) fn set(&mut self, index: usize, state: RowState, writes: &mut WriteBatch) {
        let entry = &mut self.entries[index];
        writes.put(tables::STATES, key(index), to_json(&state));
        entry.state = state;
    }
}

/// The key of a row: keys sort like the rows.
fn key(index: usize) -> String {
    format!("{index:010}")
}

fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, RunLogError> {
    serde_json::from_slice(value).map_err(|source| RunLogError {
        key: key.to_owned(),
        source,
    })
}
