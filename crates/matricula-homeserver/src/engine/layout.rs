//! What all pages have in common: their frame, their style, and what a browser may do on them.

use std::borrow::Cow;

use matricula_api::server::OutgoingResponse;

use super::refusal::ApiError;

const STYLE: &str = include_str!("pages.css");

/// What a page's content security policy allows beside the page itself.
#[derive(Default)]
pub(super) struct CspSources<'a> {
    /// A whole directive, or nothing.
    pub(super) scripts: &'a str,
    /// Where the answer to a form may lead, for browsers hold that against the form too.
    pub(super) form_targets: &'a str,
}

/// The page that says why there is no other.
pub(super) fn error_page(refusal: ApiError) -> OutgoingResponse {
    let body = format!("<p role=\"alert\">{}.</p>", escape(&refusal.error));
    let plain = refusal.into_reply();
    let mut page = simple_page(plain.status, "en", "This does not work", &body);
    let retry = plain.headers.into_iter().filter(|it| it.0 == "retry-after");
    page.headers.extend(retry);
    page
}

/// A page without scripts that leads nowhere else.
pub(super) fn simple_page(
    status: u16,
    language: &str,
    title: &str,
    body: &str,
) -> OutgoingResponse {
    page(status, language, title, body, &CspSources::default())
}

/// A page. `body` is HTML, the rest is text.
pub(super) fn page(
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
        // The address holds the session.
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ];
    let headers = headers.map(|(name, value)| (Cow::Borrowed(name), value.to_owned()));
    OutgoingResponse::new(status, headers.to_vec(), text.into_bytes())
}

/// The way on after a form, by a GET. What `leads_to` said must have allowed it.
pub(super) fn redirect(address: String) -> OutgoingResponse {
    let headers = vec![
        (Cow::Borrowed("location"), address),
        (Cow::Borrowed("referrer-policy"), "no-referrer".to_owned()),
        (Cow::Borrowed("cache-control"), "no-store".to_owned()),
    ];
    OutgoingResponse::new(303, headers, Vec::new())
}

/// Text as it stands in HTML, in quotation marks too.
pub(super) fn escape(text: &str) -> String {
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
