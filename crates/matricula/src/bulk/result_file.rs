//! The result file of a run: all rows with their passwords and states.

use std::path::Path;

use matricula_admin::bulk::{Entry, RowState, RunLog};
use matricula_core::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AccountStoreError, account_store::files};

/// The format of a result file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ResultFormat {
    /// CSV: a header line, then one line for each row.
    #[default]
    Csv,
    /// JSON Lines: one object for each row.
    Jsonl,
}

impl ResultFormat {
    /// The format for a file of this name: JSON Lines if it ends in `.jsonl`, otherwise CSV.
    pub fn for_path(path: &Path) -> Self {
        let is_jsonl = path.extension().is_some_and(|ending| ending == "jsonl");
        if is_jsonl { Self::Jsonl } else { Self::Csv }
    }
}

const HEADER: [&str; 6] = ["line", "username", "user_id", "password", "status", "why"];

/// Replaces the file atomically; only its owner can read it.
///
/// While a run is not over, requests are sent before the file is written again. So the file calls no
/// row "not begun" until the run is over, in case the process dies before the next write.
pub(super) fn write(
    path: &Path,
    format: ResultFormat,
    log: &RunLog,
    is_over: bool,
) -> Result<(), AccountStoreError> {
    let text = match format {
        ResultFormat::Csv => csv(log.entries(), is_over),
        ResultFormat::Jsonl => Ok(jsonl(log.entries(), is_over)),
    };
    let text = text.map_err(|error| AccountStoreError::Io {
        path: path.to_owned(),
        what: "write",
        error,
    })?;
    files::replace(path, &text)
}

fn status(state: &RowState, is_over: bool) -> &'static str {
    match state {
        RowState::NotBegun if !is_over => "in doubt",
        state => state.status(),
    }
}

fn csv(entries: &[Entry], is_over: bool) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for entry in entries {
        let state = &entry.state;
        writer.write_record([
            entry.row.line.to_string().as_str(),
            &entry.row.localpart(),
            state.user_id().map_or("", |user_id| user_id.as_str()),
            entry.password.as_ref().map_or("", Secret::expose),
            status(state, is_over),
            state.reason().unwrap_or_default(),
        ])?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn jsonl(entries: &[Entry], is_over: bool) -> Vec<u8> {
    let mut text = String::new();
    for entry in entries {
        let state = &entry.state;
        let object = json!({
            "line": entry.row.line,
            "username": entry.row.localpart(),
            "user_id": state.user_id(),
            "password": entry.password.as_ref().map(Secret::expose),
            "status": status(state, is_over),
            "why": state.reason(),
        });
        text += &object.to_string();
        text.push('\n');
    }
    text.into_bytes()
}
