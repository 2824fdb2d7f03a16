//! What the file of an account store holds: tables as they are, or sealed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cipher::{Key, Sealed};

/// The version of a file that holds everything as it is.
const PLAIN: u32 = 1;
/// The version of a file that holds all of that sealed.
const SEALED: u32 = 2;

#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    schema_version: u32,
    /// The account that commands use unless told otherwise.
    #[serde(default)]
    pub(super) default: Option<String>,
    #[serde(default)]
    pub(super) tables: BTreeMap<String, BTreeMap<String, Value>>,
}

/// A file, read as far as that is possible without a key.
pub(super) enum Read {
    Plain(Content),
    Sealed(Sealed),
}

/// How a file is written.
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
    /// Reads what [`Form::write`] wrote; the error says where or what it is not, and repeats nothing.
    pub(super) fn read(text: &[u8]) -> Result<Read, String> {
        // First, for another version may have another shape; one that is not known is left alone.
        let Version { schema_version } = serde_json::from_slice(text).map_err(place)?;
        match schema_version {
            PLAIN => Self::read_plain(text).map(Read::Plain),
            SEALED => {
                let Envelope { sealed, .. } = serde_json::from_slice(text).map_err(place)?;
                Ok(Read::Sealed(sealed))
            }
            other => Err(format!("it has version {other}")),
        }
    }

    /// Reads what was sealed, or is not.
    pub(super) fn read_plain(text: &[u8]) -> Result<Self, String> {
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

/// What a JSON error says about this file could be a piece of a secret: only where it is.
fn place(error: serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}
