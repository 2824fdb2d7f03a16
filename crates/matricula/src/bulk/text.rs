//! The text of a list, in the encodings that spreadsheets write.

use matricula_admin::bulk::RowError;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file: UTF-8 or UTF-16, with or without a byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Result<String, RowError> {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        let message = "this is the file of a spreadsheet program; save the list as CSV";
        return Err(RowError::new(1, message));
    }
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        // A list starts with a letter of the header, or a quote.
        [letter, 0, ..] if *letter != 0 => utf16(bytes, u16::from_le_bytes)?,
        [0, letter, ..] if *letter != 0 => utf16(bytes, u16::from_be_bytes)?,
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(error) => return Err(not_text(&bytes[..error.valid_up_to()], "UTF-8")),
        },
    };
    Ok(text
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(&text)
        .to_owned())
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, RowError> {
    let (units, rest) = bytes.as_chunks::<2>();
    let units = units.iter().map(|pair| unit(*pair));
    let mut text = String::with_capacity(bytes.len());
    for c in char::decode_utf16(units) {
        match c {
            Ok(c) => text.push(c),
            Err(_) => return Err(not_text(text.as_bytes(), "UTF-16")),
        }
    }
    match rest {
        [] => Ok(text),
        _ => Err(not_text(text.as_bytes(), "UTF-16")),
    }
}

fn not_text(before: &[u8], encoding: &str) -> RowError {
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64;
    let message = format!("the line is not {encoding}; save the list as CSV in UTF-8");
    RowError::new(line, message)
}
