//! What the file of an account store holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A version that is not known is refused, never overwritten.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    schema_version: u32,
    /// The account that commands use unless told otherwise.
    #[serde(default)]
    pub(super) default: Option<String>,
    #[serde(default)]
    pub(super) tables: BTreeMap<String, BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            default: None,
            tables: BTreeMap::new(),
        }
    }
}

impl Content {
    /// Reads what [`Content::write`] wrote; the error says where or what it is not, and repeats nothing.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        // What a JSON error says about this file could be a piece of a secret: only where it is.
        let place =
            |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
        // First, for another version may have another shape.
        let Version { schema_version } = serde_json::from_slice(text).map_err(place)?;
        if schema_version != SCHEMA_VERSION {
            return Err(format!("it has version {schema_version}"));
        }
        serde_json::from_slice(text).map_err(place)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        // Texts and JSON values always have a JSON form.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}
