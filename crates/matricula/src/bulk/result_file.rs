//! The result file of a run: all rows with their passwords and states.

use std::{borrow::Cow, path::Path};

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
    /// CSV: a header line, then one line for each row. Spreadsheets execute a cell that starts like a
    /// formula, so such a cell has a `'` before it, and so has one that starts with a `'`.
    #[default]
    Csv,
    /// JSON Lines: one object for each row, with all texts as they are.
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
            &cell(&entry.row.localpart()),
            &cell(state.user_id().map_or("", |user_id| user_id.as_str())),
            &cell(entry.password.as_ref().map_or("", Secret::expose)),
            status(state, is_over),
            &cell(&one_cell(state.reason().unwrap_or_default())),
        ])?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// The text as a cell that no spreadsheet executes. Who removes a `'` from its start has the text.
fn cell(text: &str) -> Cow<'_, str> {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    // Some spreadsheets take the wide forms too, and leave out spaces before.
    let is_formula = start.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    match is_formula || text.starts_with('\'') {
        true => format!("'{text}").into(),
        false => text.into(),
    }
}

/// A text of a server, without what separates cells for a spreadsheet of another country.
fn one_cell(text: &str) -> String {
    let one = |c: char| match c {
        ';' => ',',
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(one).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_no_cells() {
        for text in [
            "=1+1",
            "=cmd|'/c calc'!A1",
            "+1",
            "-1",
            "-",
            "@ann:example.org",
            "@SUM(A1:A9)",
            " =1",
            "\t=1",
            "\r\n=1",
            "\u{a0}=1",
            "\u{0}=1",
            "＝1",
            "＋1",
            "－1",
            "＠a",
            // So that the rule can be reversed.
            "'",
            "'=1",
        ] {
            assert_eq!(cell(text), format!("'{text}"), "{text:?}");
        }
        for text in [
            "", "ann", "a=1", "1-1", ".=", "!x", "_-=", "日本", "a'b", "\"=1",
        ] {
            assert_eq!(cell(text), text, "{text:?}");
        }
    }

    #[test]
    fn server_text_is_one_cell() {
        assert_eq!(one_cell("no;=1\t=2\r\n=3\u{2028}=4"), "no,=1 =2  =3 =4");
        assert_eq!(one_cell("Grüße, \"x\""), "Grüße, \"x\"");
    }
}
