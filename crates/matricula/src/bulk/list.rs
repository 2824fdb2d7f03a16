//! Reads a list of new users: CSV with a header line.

use std::collections::BTreeSet;

use csv::{ByteRecord, ReaderBuilder, Trim};
use matricula_admin::bulk::{NewRow, RowError};
use matricula_core::Secret;

const COLUMNS: [&str; 5] = ["username", "password", "displayname", "email", "admin"];
/// The most rows that a list may have.
const MOST_ROWS: usize = 1_000_000;

/// Reads a list: columns `username`, and `password`, `displayname`, `email` and `admin` where they are
/// wanted, in any order. An empty field is as if it were not there. In `admin`, `true`, `yes` and `1` say
/// yes; `false`, `no`, `0` and nothing say no.
///
/// # Errors
/// Everything that is wrong with it, by line.
pub fn read_list(text: &[u8]) -> Result<Vec<NewRow>, Vec<RowError>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        // A password may end in a space.
        .trim(Trim::Headers)
        .from_reader(text);
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let header = match reader.byte_headers() {
        Ok(header) => columns(header, &mut faults),
        Err(error) => return Err(vec![RowError::new(1, error.to_string())]),
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                faults.push(RowError::new(reader.position().line(), error.to_string()));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let (has, wants) = (record.len(), header.len());
            let what = format!("it has {has} fields, and the header line {wants}");
            faults.push(RowError::new(line, what));
            continue;
        }
        match row(line, &header, &record) {
            Ok(row) => rows.push(row),
            Err(what) => faults.push(RowError::new(line, what)),
        }
        if rows.len() > MOST_ROWS {
            faults.push(RowError::new(
                line,
                format!("a list has {MOST_ROWS} rows at most"),
            ));
            break;
        }
    }
    if rows.is_empty() && faults.is_empty() {
        faults.push(RowError::new(1, "there are no rows"));
    }
    match faults.is_empty() {
        true => Ok(rows),
        false => Err(faults),
    }
}

/// The names of the columns.
fn columns(header: &ByteRecord, faults: &mut Vec<RowError>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for name in header {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if !COLUMNS.contains(&name.as_str()) {
            let all = COLUMNS.join(", ");
            faults.push(RowError::new(
                1,
                format!("there is no column {name:?}; those are {all}"),
            ));
        } else if !seen.insert(name.clone()) {
            faults.push(RowError::new(
                1,
                format!("the column {name:?} is there twice"),
            ));
        }
        names.push(name);
    }
    if !seen.contains("username") {
        let what = "there is no column \"username\"; the first line names the columns";
        faults.push(RowError::new(1, what));
    }
    names
}

fn row(line: u64, header: &[String], record: &ByteRecord) -> Result<NewRow, String> {
    let mut row = NewRow::new(line, "");
    for (name, field) in header.iter().zip(record) {
        let field = std::str::from_utf8(field)
            .map_err(|_| format!("its {name} is not UTF-8; save the list as UTF-8"))?;
        let given = (!field.is_empty()).then_some(field);
        match name.as_str() {
            "username" => row.username = field.trim().to_owned(),
            "password" => row.password = given.map(Secret::from),
            "displayname" => row.display_name = given.map(str::to_owned),
            "email" => row.email = given.map(|it| it.trim().to_owned()),
            _ => row.is_admin = flag(field)?,
        }
    }
    Ok(row)
}

fn flag(field: &str) -> Result<bool, String> {
    match field.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" | "" => Ok(false),
        _ => Err(format!("its admin is {field:?}; give true or false")),
    }
}
