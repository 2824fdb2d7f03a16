//! How much of a file is asked for (RFC 9110, 13 and 14): one part of it at most.

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// What of a file is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RangeResult {
    Whole,
    Part(Range<u64>),
    /// Whoever asks has it.
    NotModified,
    /// A part that is not in it.
    Unsatisfiable,
}

/// What of a file with this length and entity tag is asked for.
pub(super) fn resolve(headers: &HeaderMap, etag: &str, length: u64) -> RangeResult {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|it| is_among(etag, it)) {
        return RangeResult::NotModified;
    }
    // A date never fits: a file's is not told.
    if text(header::IF_RANGE).is_some_and(|it| it.trim() != etag) {
        return RangeResult::Whole;
    }
    let range = text(header::RANGE).and_then(|it| parse_range(it, length));
    range.unwrap_or(RangeResult::Whole)
}

/// Whether a list of entity tags has this one, however strong.
fn is_among(etag: &str, list: &str) -> bool {
    let mut tags = list.split(',').map(str::trim);
    tags.any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == etag)
}

/// The part that a range means; none where it means several, or nothing.
fn parse_range(range: &str, length: u64) -> Option<RangeResult> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let range = match (first, last) {
        ("", last) => length.saturating_sub(number(last)?)..length,
        (first, "") => number(first)?..length,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    Some(match range.start < range.end {
        true => RangeResult::Part(range),
        false => RangeResult::Unsatisfiable,
    })
}

fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}
