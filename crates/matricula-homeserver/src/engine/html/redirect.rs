//! URLs that a browser may be redirected to.

use url::Url;

/// The longest accepted URL, in bytes.
const MAX_LENGTH: usize = 2048;

/// Schemes that a configuration cannot allow: the browser itself handles them, or they cannot lead to a
/// waiting client.
const UNSAFE: [&str; 15] = [
    "about",
    "blob",
    "chrome",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "javascript",
    "mailto",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// Whether a configuration may allow redirects to a scheme.
pub(crate) fn may_allow(scheme: &str) -> bool {
    let is_scheme = scheme.starts_with(|it: char| it.is_ascii_lowercase())
        && scheme.bytes().all(|it| {
            it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'+' | b'-' | b'.')
        });
    is_scheme && !UNSAFE.contains(&scheme)
}

/// A checked URL. A browser may be redirected to it once the person has agreed.
#[derive(Debug)]
pub(crate) struct RedirectTarget {
    text: String,
    url: Url,
}

impl RedirectTarget {
    /// Parses an `http` or `https` URL, or one with a private-use scheme, which is a reversed domain name:
    /// [RFC 8252](https://datatracker.ietf.org/doc/html/rfc8252#section-7.1). Any other scheme may open a
    /// program that is not meant to be opened by a page.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::parse_allowing(text, &[])
    }

    /// The same, where these schemes are allowed, too.
    pub(crate) fn parse_allowing(text: &str, schemes: &[String]) -> Option<Self> {
        // The URL parser would silently ignore other characters.
        let clean = text.bytes().all(|byte| matches!(byte, 0x21..=0x7e));
        if text.len() > MAX_LENGTH || !clean || text.contains(['"', '\'', '<', '>', '\\', '`']) {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let scheme = url.scheme();
        let is_allowed = matches!(scheme, "http" | "https")
            || scheme.contains('.')
            || schemes.iter().any(|it| it == scheme);
        if !is_allowed || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let text = text.to_owned();
        Some(Self { text, url })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The target in words for people.
    pub(crate) fn name(&self) -> String {
        let scheme = self.url.scheme();
        match (scheme, self.url.host_str()) {
            ("http" | "https", Some(_)) if is_loopback(&self.url) => {
                "a program on this device".to_owned()
            }
            ("http" | "https", Some(host)) => host.to_owned(),
            _ => format!("the program that opens {scheme}: addresses"),
        }
    }

    /// The address without query and fragment.
    pub(crate) fn address(&self) -> &str {
        let end = self.text.find(['?', '#']).unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// The target as a source of a content security policy, with a space in front.
    pub(crate) fn source(&self) -> String {
        match self.url.origin() {
            origin if origin.is_tuple() => format!(" {}", origin.ascii_serialization()),
            _ => format!(" {}:", self.url.scheme()),
        }
    }

    /// The URL with these parameters in the query.
    pub(crate) fn with_query(&self, pairs: &[(&str, &str)]) -> String {
        let (address, fragment) = match self.text.split_once('#') {
            Some((address, fragment)) => (address, format!("#{fragment}")),
            None => (self.text.as_str(), String::new()),
        };
        let separator = match address.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        format!("{address}{separator}{}{fragment}", encode(pairs))
    }

    /// The URL with these parameters in the fragment.
    pub(crate) fn with_fragment(&self, pairs: &[(&str, &str)]) -> String {
        format!("{}#{}", self.text, encode(pairs))
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}
