//! The frame of all pages: style, headers, content security policy, redirects.

use std::borrow::Cow;

use matricula_api::server::OutgoingResponse;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::engine::error::{ApiError, HandlerError};

const STYLE: &str = include_str!("style.css");

/// What the content security policy of a page allows in addition.
#[derive(Default)]
pub(crate) struct CspSources<'a> {
    /// A `script-src` directive, or nothing.
    pub(crate) scripts: &'a str,
    /// More sources of `form-action`. Browsers apply it to redirects after a form, too.
    pub(crate) form_targets: &'a str,
}

/// Shows a rejected request as a page.
pub(crate) fn or_error_page(
    result: Result<OutgoingResponse, HandlerError>,
) -> Result<OutgoingResponse, HandlerError> {
    match result {
        Err(HandlerError::Api(error)) => Ok(error_page(error)),
        result => result,
    }
}

fn error_page(error: ApiError) -> OutgoingResponse {
    let body = format!("<p role=\"alert\">{}</p>", escape(&sentence(&error.error)));
    let plain = error.into_reply();
    let mut page = simple_page(plain.status, "en", "This request failed", &body);
    let retry = plain.headers.into_iter().filter(|it| it.0 == "retry-after");
    page.headers.extend(retry);
    page
}

/// A page without scripts and without redirects.
pub(crate) fn simple_page(
    status: u16,
    language: &str,
    title: &str,
    body: &str,
) -> OutgoingResponse {
    page(status, language, title, body, &CspSources::default())
}

/// A page. `body` is HTML, the rest is text.
pub(crate) fn page(
    status: u16,
    language: &str,
    title: &str,
    body: &str,
    sources: &CspSources<'_>,
) -> OutgoingResponse {
    let (language, title) = (escape(language), escape(title));
    let text = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n\
         <footer>A matricula homeserver, for development, tests and offline use.</footer>\n\
         </body>\n</html>\n"
    );
    let CspSources {
        scripts,
        form_targets: leads_to,
    } = sources;
    let policy = format!(
        "default-src 'none'; {scripts}style-src 'unsafe-inline'; form-action 'self'{leads_to}; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", &policy),
        // The URL contains secrets, such as the id of a session.
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ];
    let headers = headers.map(|(name, value)| (Cow::Borrowed(name), value.to_owned()));
    OutgoingResponse::new(status, headers.to_vec(), text.into_bytes())
}

/// The way on after a form, by a GET. What `leads_to` said must have allowed it.
pub(crate) fn redirect(address: String) -> OutgoingResponse {
    let headers = vec![
        (Cow::Borrowed("location"), address),
        (Cow::Borrowed("referrer-policy"), "no-referrer".to_owned()),
        (Cow::Borrowed("cache-control"), "no-store".to_owned()),
    ];
    OutgoingResponse::new(303, headers, Vec::new())
}

/// Escapes text for HTML, also within quotation marks.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// An error message as a sentence of its own.
pub(crate) fn sentence(message: &str) -> String {
    let mut rest = message.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    format!("{}{}.", String::from_iter(first), rest.as_str())
}

/// The path of a policy document in one language.
pub(crate) fn policy_path(policy: &str, language: &str) -> String {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let [policy, language] = [policy, language].map(|it| utf8_percent_encode(it, SEGMENT));
    format!("/_matricula/terms/{policy}/{language}")
}
