//! Conditional and range requests (RFC 9110, sections 13 and 14), with one range at most.

use std::ops::Range;

use hyper::{HeaderMap, header};

/// What part of a file is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RangeResult {
    Whole,
    Part(Range<u64>),
    /// The client has the file.
    NotModified,
    /// The range is outside of the file.
    Unsatisfiable,
}

/// The requested part of a file with this ETag and length.
pub(super) fn resolve(headers: &HeaderMap, etag: &str, length: u64) -> RangeResult {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|it| is_among(etag, it)) {
        return RangeResult::NotModified;
    }
    // A date never matches: responses have no `Last-Modified`.
    if text(header::IF_RANGE).is_some_and(|it| it.trim() != etag) {
        return RangeResult::Whole;
    }
    let range = text(header::RANGE).and_then(|it| parse_range(it, length));
    range.unwrap_or(RangeResult::Whole)
}

/// Whether a list of ETags contains this one, by weak comparison.
fn is_among(etag: &str, list: &str) -> bool {
    let mut tags = list.split(',').map(str::trim);
    tags.any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == etag)
}

/// The part in a `Range` header; none where it has several ranges or is invalid.
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
    Some(if range.start < range.end {
        RangeResult::Part(range)
    } else {
        RangeResult::Unsatisfiable
    })
}

fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}
