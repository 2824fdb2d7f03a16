//! The format of the account store's file: tables as plain JSON, or encrypted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cipher::{Key, Sealed};

/// The version of a plain file.
const PLAIN: u32 = 1;
/// The version of an encrypted file.
const SEALED: u32 = 2;

#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    schema_version: u32,
    /// The user ID of the default account.
    #[serde(default)]
    pub(super) default: Option<String>,
    #[serde(default)]
    pub(super) tables: BTreeMap<String, BTreeMap<String, Value>>,
}

/// The formats that this version reads.
pub(super) const SUPPORTED: &[u32] = &[PLAIN, SEALED];

/// Why a file cannot be read.
pub(super) enum ReadError {
    /// What is wrong, and where.
    Malformed(String),
    /// It has this format.
    OtherFormat(u32),
}

/// A file as it is read without a key.
pub(super) enum Read {
    Plain(Content),
    Sealed(Sealed),
}

/// The encoding of a file.
pub(super) enum Form {
    Plain,
    Sealed(Box<Key>),
}

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    schema_version: u32,
    sealed: Sealed,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            schema_version: PLAIN,
            default: None,
            tables: BTreeMap::new(),
        }
    }
}

impl Content {
    /// The values of a table.
    pub(super) fn rows(&self, table: &str) -> impl Iterator<Item = &Value> {
        self.tables
            .get(table)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// Reads a file of [`Form::write`]. The error gives the place only, because the content is
    /// secret.
    pub(super) fn read(text: &[u8]) -> Result<Read, ReadError> {
        // The version comes first: other versions may have other fields.
        let Version { schema_version } = serde_json::from_slice(text).map_err(place)?;
        match schema_version {
            PLAIN => Self::read_plain(text).map(Read::Plain),
            SEALED => {
                let Envelope { sealed, .. } = serde_json::from_slice(text).map_err(place)?;
                Ok(Read::Sealed(sealed))
            }
            other => Err(ReadError::OtherFormat(other)),
        }
    }

    /// Reads a plain file, or the decrypted text of an encrypted one.
    pub(super) fn read_plain(text: &[u8]) -> Result<Self, ReadError> {
        serde_json::from_slice(text).map_err(place)
    }
}

impl Form {
    pub(super) fn write(&self, content: &Content) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Plain => serde_json::to_vec_pretty(content),
            Self::Sealed(key) => {
                let sealed = key.seal(serde_json::to_vec(content)?);
                serde_json::to_vec_pretty(&Envelope {
                    schema_version: SEALED,
                    sealed,
                })
            }
        }
    }
}

/// The place of a JSON error. Its message could repeat a part of a secret.
fn place(error: serde_json::Error) -> ReadError {
    let (line, column) = (error.line(), error.column());
    ReadError::Malformed(format!("line {line}, column {column}"))
}
