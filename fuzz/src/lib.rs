//! How arbitrary bytes choose an operation, and what is left of them for it to read.

use matricula_api::{appservice, client, identity, push, server::AnyEndpoint};
use matricula_core::ServerUrl;

/// Takes the first two bytes for the operation, of all four APIs.
pub fn operation(bytes: &[u8]) -> Option<(&'static AnyEndpoint, &[u8])> {
    let (number, rest) = number(bytes)?;
    let tables = [
        client::ENDPOINTS,
        identity::ENDPOINTS,
        appservice::ENDPOINTS,
        push::ENDPOINTS,
    ];
    let count: usize = tables.iter().map(|table| table.len()).sum();
    let mut all = tables.into_iter().flatten();
    Some((all.nth(usize::from(number) % count)?, rest))
}

/// Takes two bytes for a number.
pub fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u16::from_le_bytes(*number), rest))
}

/// Takes a line for a text; the rest is empty where there is no other line.
pub fn line(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    (String::from_utf8_lossy(line).into_owned(), rest)
}

/// Where jobs go.
///
/// # Panics
/// Never: the address is one.
pub fn server() -> ServerUrl {
    "https://matrix.example.org".parse().expect("an address")
}
