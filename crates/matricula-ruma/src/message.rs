//! Headers and bodies of requests and responses.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use matricula_core::Headers;
use ruma_common::api::OutgoingBody;

use crate::Error;

/// The bytes of ruma's body. Adds its content type to the headers, if they have none.
pub(crate) fn content_of(
    body: impl OutgoingBody,
    headers: &mut HeaderMap,
) -> Result<Vec<u8>, Error> {
    if let Some(kind) = body.content_type() {
        headers.entry(CONTENT_TYPE).or_insert(kind);
    }
    let bytes = body.try_into_buf();
    bytes.map_err(|error| Error::Write(error.into()))
}

/// The headers as strings. Headers that are not strings are left out; Matrix has none.
pub(crate) fn header_of(headers: &HeaderMap) -> Headers {
    let pairs = headers.iter().filter_map(|(name, value)| {
        let value = std::str::from_utf8(value.as_bytes()).ok()?;
        Some((name.as_str().to_owned().into(), value.to_owned()))
    });
    pairs.collect()
}

/// The strings as headers. Invalid ones, such as with a line break, are left out.
pub(crate) fn headers_from<N: AsRef<str>>(pairs: &[(N, String)]) -> HeaderMap {
    let pairs = pairs.iter().filter_map(|(name, value)| {
        let name: HeaderName = name.as_ref().parse().ok()?;
        Some((name, HeaderValue::try_from(value).ok()?))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}
