//! The result file of a run: every row with its password and what became of it.

use std::path::Path;

use matricula_admin::bulk::{Entry, RunLog, Stage};
use matricula_core::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AccountStoreError, account_store::files};

/// In which form results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// A header line, then a line a row.
    #[default]
    Csv,
    /// A JSON object a line.
    Jsonl,
}

impl Format {
    /// By the ending of the file's name: CSV, if it is not `.jsonl`.
    pub fn of(path: &Path) -> Self {
        let is_jsonl = path.extension().is_some_and(|ending| ending == "jsonl");
        if is_jsonl { Self::Jsonl } else { Self::Csv }
    }
}

const HEADER: [&str; 6] = ["line", "username", "user_id", "password", "status", "why"];

/// Writes the file anew, for its owner alone: old or new, never half.
///
/// While a run is not over, the next request goes out before the file is written again: if the process
/// dies, of no row does it say that it was not begun.
pub(super) fn write(
    path: &Path,
    format: Format,
    ledger: &RunLog,
    is_over: bool,
) -> Result<(), AccountStoreError> {
    let text = match format {
        Format::Csv => csv(ledger.entries(), is_over),
        Format::Jsonl => Ok(jsonl(ledger.entries(), is_over)),
    };
    let text = text.map_err(|error| AccountStoreError::Io {
        path: path.to_owned(),
        what: "write",
        error,
    })?;
    files::replace(path, &text)
}

fn status(stage: &Stage, is_over: bool) -> &'static str {
    match stage {
        Stage::Waiting if !is_over => "in doubt",
        stage => stage.status(),
    }
}

fn csv(entries: &[Entry], is_over: bool) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for entry in entries {
        let stage = &entry.stage;
        writer.write_record([
            entry.row.line.to_string().as_str(),
            &entry.row.localpart(),
            stage.user_id().map_or("", |user_id| user_id.as_str()),
            entry.password.as_ref().map_or("", Secret::expose),
            status(stage, is_over),
            stage.why().unwrap_or_default(),
        ])?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn jsonl(entries: &[Entry], is_over: bool) -> Vec<u8> {
    let mut text = String::new();
    for entry in entries {
        let stage = &entry.stage;
        let object = json!({
            "line": entry.row.line,
            "username": entry.row.localpart(),
            "user_id": stage.user_id(),
            "password": entry.password.as_ref().map(Secret::expose),
            "status": status(stage, is_over),
            "why": stage.why(),
        });
        text += &object.to_string();
        text.push('\n');
    }
    text.into_bytes()
}
