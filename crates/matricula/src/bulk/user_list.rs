//! Reads a list of new users from CSV.

use std::collections::BTreeSet;

use csv::{ByteRecord, ReaderBuilder, Trim};
use matricula_admin::bulk::{NewRow, RowError};
use matricula_core::Secret;

const COLUMNS: [&str; 5] = ["username", "password", "displayname", "email", "admin"];
/// The maximum number of rows of a list.
const MAX_ROWS: usize = 1_000_000;

/// Reads a list of new users. The first line names the columns, in any order: `username`, and
/// optionally `password`, `displayname`, `email` and `admin`. An empty field counts as absent. `admin`
/// is `true`, `yes` or `1`; or `false`, `no`, `0` or empty.
///
/// # Errors
/// All errors of the list, with their lines.
pub fn read_csv(text: &[u8]) -> Result<Vec<NewRow>, Vec<RowError>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        // Not fields: a password may end in a space.
        .trim(Trim::Headers)
        .from_reader(text);
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    let header = match reader.byte_headers() {
        Ok(header) => columns(header, &mut errors),
        Err(error) => return Err(vec![RowError::new(1, error.to_string())]),
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                errors.push(RowError::new(reader.position().line(), error.to_string()));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let (fields, columns) = (record.len(), header.len());
            let message = format!("it has {fields} fields, but the header line has {columns}");
            errors.push(RowError::new(line, message));
            continue;
        }
        match row(line, &header, &record) {
            Ok(row) => rows.push(row),
            Err(message) => errors.push(RowError::new(line, message)),
        }
        if rows.len() > MAX_ROWS {
            errors.push(RowError::new(
                line,
                format!("a list has {MAX_ROWS} rows at most"),
            ));
            break;
        }
    }
    if rows.is_empty() && errors.is_empty() {
        errors.push(RowError::new(1, "the list has no rows"));
    }
    if errors.is_empty() {
        Ok(rows)
    } else {
        Err(errors)
    }
}

/// The names of the columns.
fn columns(header: &ByteRecord, errors: &mut Vec<RowError>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for name in header {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if !COLUMNS.contains(&name.as_str()) {
            let all = COLUMNS.join(", ");
            errors.push(RowError::new(
                1,
                format!("{name:?} is not a column; the columns are {all}"),
            ));
        } else if !seen.insert(name.clone()) {
            errors.push(RowError::new(
                1,
                format!("the column {name:?} is named twice"),
            ));
        }
        names.push(name);
    }
    if !seen.contains("username") {
        let message = "the column \"username\" is missing; the first line names the columns";
        errors.push(RowError::new(1, message));
    }
    names
}

fn row(line: u64, header: &[String], record: &ByteRecord) -> Result<NewRow, String> {
    let mut row = NewRow::new(line, "");
    for (name, field) in header.iter().zip(record) {
        let field = std::str::from_utf8(field)
            .map_err(|_| format!("its {name} is not UTF-8; save the list as UTF-8"))?;
        let text = (!field.is_empty()).then_some(field);
        match name.as_str() {
            "username" => row.username = field.trim().to_owned(),
            "password" => row.password = text.map(Secret::from),
            "displayname" => row.display_name = text.map(str::to_owned),
            "email" => row.email = text.map(|it| it.trim().to_owned()),
            _ => row.is_admin = flag(field)?,
        }
    }
    Ok(row)
}

fn flag(field: &str) -> Result<bool, String> {
    match field.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" | "" => Ok(false),
        _ => Err(format!("its admin is {field:?}; use true or false")),
    }
}
