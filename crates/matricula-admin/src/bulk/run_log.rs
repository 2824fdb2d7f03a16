//! What is kept of a run: its rows, and how far each has come.

use matricula_api::UserId;
use matricula_core::{Secret, WriteBatch, secret::exposed};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::NewRow;

/// The tables that a run writes to. They hold passwords.
pub mod tables {
    /// The rows, by their place in the list, as JSON. Written once.
    pub const ROWS: &str = "bulk_rows";
    /// How far each row has come, by its place in the list, as JSON.
    pub const STAGES: &str = "bulk_stages";
}

/// How far a row has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Nothing was sent that could have made the account.
    #[default]
    Waiting,
    /// The account may have been made: a request was to be sent, and no answer is known yet.
    Begun {
        /// The state of the conversation, where it is needed to go on.
        #[serde(with = "exposed", default)]
        conversation: Option<Secret>,
    },
    /// The account may have been made, and it could not be found out whether. The next run tries again.
    InDoubt {
        /// What happened.
        why: String,
        /// As above.
        #[serde(with = "exposed", default)]
        conversation: Option<Secret>,
    },
    /// The run made the account.
    Done {
        /// Who.
        user_id: UserId,
    },
    /// Somebody has the name. That account was not touched.
    Exists,
    /// The server refused.
    Failed {
        /// Why.
        why: String,
    },
    /// The run made the account, and it was shut again.
    Undone {
        /// Who.
        user_id: UserId,
    },
}

impl Stage {
    /// Whether there is nothing left to do.
    pub fn is_end(&self) -> bool {
        !matches!(
            self,
            Self::Waiting | Self::Begun { .. } | Self::InDoubt { .. }
        )
    }

    /// A word for the result: an account that may be there is in doubt until that is settled.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Waiting => "not begun",
            Self::Begun { .. } | Self::InDoubt { .. } => "in doubt",
            Self::Done { .. } => "done",
            Self::Exists => "exists",
            Self::Failed { .. } => "failed",
            Self::Undone { .. } => "undone",
        }
    }

    /// What there is to say about it.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Failed { why } | Self::InDoubt { why, .. } => Some(why),
            _ => None,
        }
    }

    /// Whose account was made.
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::Done { user_id } | Self::Undone { user_id } => Some(user_id),
            _ => None,
        }
    }
}

/// A row with its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The row as it was given.
    pub row: NewRow,
    /// The password that the account has or would have; none where it has none.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// How far it has come.
    #[serde(skip)]
    pub stage: Stage,
}

/// All rows of a run, in the order of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunLog {
    pub(super) entries: Vec<Entry>,
}

/// How many rows have come how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub rows: usize,
    /// Accounts that the run has made.
    pub done: usize,
    /// Names that somebody has.
    pub exists: usize,
    /// Refused ones.
    pub failed: usize,
    /// Those of which it is not known.
    pub in_doubt: usize,
    /// Those of which nothing was sent.
    pub not_begun: usize,
    /// Those that were made and shut again.
    pub undone: usize,
}

/// What is kept of a run cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("what is kept of row {key} cannot be read ({source}); was it written by a newer version?")]
pub struct RunLogError {
    key: String,
    source: serde_json::Error,
}

impl RunLog {
    /// Reads back what runs have committed; what belongs to other tables is left out.
    ///
    /// # Errors
    /// Where it was not written by a run.
    pub fn from_stored(
        stored: impl IntoIterator<Item = (String, String, Vec<u8>)>,
    ) -> Result<Self, RunLogError> {
        let (mut rows, mut stages) = (Vec::new(), Vec::new());
        for (table, key, value) in stored {
            match table.as_str() {
                tables::ROWS => rows.push((read::<Entry>(&key, &value)?, key)),
                tables::STAGES => stages.push((key.clone(), read::<Stage>(&key, &value)?)),
                _ => {}
            }
        }
        rows.sort_by(|a, b| a.1.cmp(&b.1));
        stages.sort_by(|a, b| a.0.cmp(&b.0));
        let stage = |key: &String| {
            let found = stages.binary_search_by(|(other, _)| other.cmp(key));
            found.map_or_else(|_| Stage::Waiting, |at| stages[at].1.clone())
        };
        let entries = rows.into_iter().map(|(entry, key)| Entry {
            stage: stage(&key),
            ..entry
        });
        Ok(Self {
            entries: entries.collect(),
        })
    }

    /// The rows, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many rows have come how far.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            rows: self.entries.len(),
            ..Counts::default()
        };
        for entry in &self.entries {
            match entry.stage {
                Stage::Waiting => counts.not_begun += 1,
                Stage::Begun { .. } | Stage::InDoubt { .. } => counts.in_doubt += 1,
                Stage::Done { .. } => counts.done += 1,
                Stage::Exists => counts.exists += 1,
                Stage::Failed { .. } => counts.failed += 1,
                Stage::Undone { .. } => counts.undone += 1,
            }
        }
        counts
    }

    pub(super) fn put_rows(&self, patch: &mut WriteBatch) {
        for (index, entry) in self.entries.iter().enumerate() {
            patch.put(tables::ROWS, key(index), json(entry));
        }
    }

    /// The row has come this far.
    pub(super) fn set(&mut self, index: usize, stage: Stage, patch: &mut WriteBatch) {
        if let Some(entry) = self.entries.get_mut(index) {
            patch.put(tables::STAGES, key(index), json(&stage));
            entry.stage = stage;
        }
    }
}

/// Sorts as the rows do.
fn key(index: usize) -> String {
    format!("{index:010}")
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Texts, numbers and flags: they always have a JSON form.
    serde_json::to_vec(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, RunLogError> {
    serde_json::from_slice(value).map_err(|source| RunLogError {
        key: key.to_owned(),
        source,
    })
}
