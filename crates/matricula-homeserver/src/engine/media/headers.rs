//! The response headers of a file.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The media types that a browser may display safely:
/// [serving inline content](https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content).
const INLINE: [&str; 26] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];

/// The content security policy of files, from the
/// [content repository](https://spec.matrix.org/v1.19/client-server-api/#content-repository).
const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
     style-src 'unsafe-inline'; object-src 'self';";

/// A file never changes. A shared cache must not store it: its users may not be signed in.
const CACHE: &str = "private, max-age=86400, immutable";

/// The characters that are not encoded in an extended parameter (RFC 8187).
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The headers of a file with this id, type and name.
pub(super) fn of(
    id: &str,
    content_type: &str,
    name: Option<&str>,
) -> Vec<(Cow<'static, str>, String)> {
    [
        ("content-type", content_type.to_owned()),
        ("content-disposition", disposition(content_type, name)),
        ("etag", format!("\"{id}\"")),
        ("accept-ranges", "bytes".to_owned()),
        ("cache-control", CACHE.to_owned()),
        ("content-security-policy", POLICY.to_owned()),
        ("cross-origin-resource-policy", "cross-origin".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (Cow::Borrowed(name), value))
    .collect()
}

/// Whether a browser displays or saves the file, and its name (RFC 6266).
fn disposition(content_type: &str, name: Option<&str>) -> String {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_inline = INLINE.iter().any(|it| it.eq_ignore_ascii_case(essence));
    let disposition = if is_inline { "inline" } else { "attachment" };
    // Browsers disagree about the meaning of these three within quotation marks.
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\%".contains(&byte);
    match name {
        None => disposition.to_owned(),
        Some(name) if name.bytes().all(is_plain) => format!("{disposition}; filename=\"{name}\""),
        Some(name) => {
            let name = utf8_percent_encode(name, &PLAIN);
            format!("{disposition}; filename*=utf-8''{name}")
        }
    }
}
