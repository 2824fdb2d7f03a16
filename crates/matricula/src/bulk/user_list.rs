//! Reads a list of new users from CSV.

use std::collections::BTreeSet;

use matricula_admin::bulk::{NewRow, RowError};
use matricula_core::Secret;

use super::{
    records::{Record, Records},
    text,
};

const COLUMNS: [&str; 5] = ["username", "password", "displayname", "email", "admin"];
/// What separates fields in the lists of spreadsheets. In many countries the comma is in numbers.
const DELIMITERS: [char; 3] = [',', ';', '\t'];
/// The maximum number of rows of a list.
const MAX_ROWS: usize = 1_000_000;

/// A list of new users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserList {
    /// The rows.
    pub rows: Vec<NewRow>,
    /// The names of the columns that mean nothing here, and were ignored.
    pub ignored_columns: Vec<String>,
}

/// Reads a list of new users. The first line names the columns, in any order: `username`, and
/// optionally `password`, `displayname`, `email` and `admin`. Other columns are ignored. An empty field
/// counts as absent. `admin` is `true`, `yes` or `1`; or `false`, `no`, `0` or empty.
///
/// It reads what spreadsheets write: fields that are separated by commas, semicolons or tabs, lines that
/// end in LF, CRLF or CR, UTF-8 and UTF-16, and blank lines.
///
/// # Errors
/// All errors of the list, with their lines.
pub fn read_csv(bytes: &[u8]) -> Result<UserList, Vec<RowError>> {
    let text = text::decode(bytes).map_err(|error| vec![error])?;
    let (header, records) = open(&text).map_err(|error| vec![error])?;
    let mut columns = Columns::read(&header, records.delimiter())?;
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for record in records {
        let read = record.and_then(|record| columns.row(record));
        match read {
            Ok(row) => rows.push(row),
            Err(error) => errors.push(error),
        }
        if rows.len() > MAX_ROWS {
            let line = rows.last().map_or(1, |row| row.line);
            let message = format!("a list has {MAX_ROWS} rows at most");
            errors.push(RowError::new(line, message));
            break;
        }
    }
    if rows.is_empty() && errors.is_empty() {
        errors.push(RowError::new(1, "the list has no rows"));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(UserList {
        rows,
        ignored_columns: columns.into_ignored(),
    })
}

/// The header, and the records after it, by the delimiter with which the header names a column.
fn open(text: &str) -> Result<(Record, Records<'_>), RowError> {
    let (text, line, delimiters) = match announced_delimiter(text) {
        Some((delimiter, rest)) => (rest, 2, vec![delimiter]),
        None => (text, 1, DELIMITERS.to_vec()),
    };
    let mut first = None;
    for delimiter in delimiters {
        let mut records = Records::new(text, line, delimiter);
        let header = records
            .next()
            .unwrap_or_else(|| Err(RowError::new(1, "the list is empty")));
        let is_header =
            |header: &Record| header.fields.iter().any(|name| plain(name) == "username");
        if header.as_ref().is_ok_and(is_header) {
            return Ok((header?, records));
        }
        first.get_or_insert((header, records));
    }
    // Its error names what is missing.
    match first {
        Some((header, records)) => Ok((header?, records)),
        None => Err(RowError::new(1, "the list is empty")),
    }
}

/// The delimiter of the line `sep=;`, by which Excel knows it, and the text after that line.
fn announced_delimiter(text: &str) -> Option<(char, &str)> {
    let rest = text.strip_prefix("sep=")?;
    let delimiter = rest.chars().next()?;
    let rest = &rest[delimiter.len_utf8()..];
    let rest = rest
        .strip_prefix("\r\n")
        .or_else(|| rest.strip_prefix(['\n', '\r']))?;
    Some((delimiter, rest))
}

/// A column's name without what people vary in it: `Display name` and `display_name` are the same. A tab
/// is no space here, because it may be the delimiter.
fn plain(name: &str) -> String {
    let is_space = |c: char| c != '\t' && (c.is_whitespace() || "_-".contains(c));
    let letters = name.chars().filter(|c| !is_space(*c));
    letters.flat_map(char::to_lowercase).collect()
}

/// A column of a list.
enum Column {
    Known(&'static str),
    Unknown(String),
    /// It has no name; whether it has a field with text.
    Nameless(bool),
}

/// The columns of a list, in their order.
struct Columns {
    columns: Vec<Column>,
    delimiter: char,
}

impl Columns {
    fn read(header: &Record, delimiter: char) -> Result<Self, Vec<RowError>> {
        let (mut columns, mut errors) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for name in &header.fields {
            let found = COLUMNS.into_iter().find(|column| *column == plain(name));
            columns.push(match found {
                Some(column) => {
                    if !seen.insert(column) {
                        let message = format!("the column {column:?} is named twice");
                        errors.push(RowError::new(header.line, message));
                    }
                    Column::Known(column)
                }
                None if name.trim().is_empty() => Column::Nameless(false),
                None => Column::Unknown(name.trim().to_owned()),
            });
        }
        if !seen.contains("username") {
            let all = COLUMNS.join(", ");
            let message = format!(
                "the column \"username\" is missing; the first line names the columns: {all}"
            );
            errors.push(RowError::new(header.line, message));
        }
        match errors.is_empty() {
            true => Ok(Self { columns, delimiter }),
            false => Err(errors),
        }
    }

    /// The names of the columns that were ignored.
    fn into_ignored(self) -> Vec<String> {
        let columns = self.columns.into_iter().enumerate();
        let ignored = columns.filter_map(|(index, column)| match column {
            Column::Unknown(name) => Some(name),
            Column::Nameless(true) => Some(format!("column {}", index + 1)),
            _ => None,
        });
        ignored.collect()
    }

    fn row(&mut self, record: Record) -> Result<NewRow, RowError> {
        let error = |message: String| RowError::new(record.line, message);
        let (fields, columns) = (record.fields.len(), self.columns.len());
        let mut extra = record.fields.iter().skip(columns);
        if fields < columns || extra.any(|field| !field.trim().is_empty()) {
            let plural = if fields == 1 { "" } else { "s" };
            return Err(error(format!(
                "it has {fields} field{plural}, but the header line has {columns}"
            )));
        }
        let mut row = NewRow::new(record.line, "");
        for (column, field) in self.columns.iter_mut().zip(&record.fields) {
            let column = match column {
                Column::Known(column) => *column,
                // With a quote that is closed by that of another row, the rows between would be lost.
                _ if field
                    .lines()
                    .skip(1)
                    .any(|line| line.contains(self.delimiter)) =>
                {
                    let message = "a cell of a column that is ignored has several lines, and one reads \
                                   like a row: is a quote misplaced? Leave the column out, or the line break";
                    return Err(error(message.to_owned()));
                }
                Column::Unknown(_) => continue,
                Column::Nameless(has_text) => {
                    *has_text |= !field.trim().is_empty();
                    continue;
                }
            };
            if let Some(c) = field.chars().find(|c| is_control(*c)) {
                let what = match c {
                    '\n' | '\u{2028}' | '\u{2029}' => "a line break".to_owned(),
                    '\t' => "a tab".to_owned(),
                    c => format!("the control character {c:?}"),
                };
                return Err(error(format!("its {column} contains {what}")));
            }
            let text = (!field.is_empty()).then_some(field.as_str());
            match column {
                "username" => row.username = field.trim().to_owned(),
                // As it is: it may end in a space.
                "password" => row.password = text.map(Secret::from),
                "displayname" => row.display_name = text.map(str::to_owned),
                "email" => row.email = trimmed(field),
                _ => row.is_admin = flag(field).map_err(error)?,
            }
        }
        Ok(row)
    }
}

/// Whether it ends a line, or controls a terminal.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn trimmed(field: &str) -> Option<String> {
    let field = field.trim();
    (!field.is_empty()).then(|| field.to_owned())
}

fn flag(field: &str) -> Result<bool, String> {
    match field.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" | "" => Ok(false),
        _ => Err(format!("its admin is {field:?}; use true or false")),
    }
}
