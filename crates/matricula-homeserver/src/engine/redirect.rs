//! Addresses that a browser may be led to.

use url::Url;

/// The longest one that is taken, in bytes.
const MAX_LENGTH: usize = 2048;

/// Schemes that a browser acts upon itself, on this page or on this machine, or that lead to no
/// client that waits.
const UNSAFE: [&str; 14] = [
    "about",
    "blob",
    "chrome",
    "data",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "mailto",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// An address, checked, that a browser may be led to once a person has agreed.
#[derive(Debug)]
pub(super) struct RedirectTarget {
    text: String,
    url: Url,
}

impl RedirectTarget {
    /// An `http` or `https` address, or one of a program's own scheme.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // What the parser would pass over in silence.
        let clean = text.bytes().all(|byte| matches!(byte, 0x21..=0x7e));
        if text.len() > MAX_LENGTH || !clean || text.contains(['"', '\'', '<', '>', '\\', '`']) {
            return None;
        }
        let url = Url::parse(text).ok()?;
        if UNSAFE.contains(&url.scheme()) || !url.username().is_empty() || url.password().is_some()
        {
            return None;
        }
        let text = text.to_owned();
        Some(Self { text, url })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Where it leads, as a person is told.
    pub(super) fn name(&self) -> String {
        let scheme = self.url.scheme();
        match (scheme, self.url.host_str()) {
            ("http" | "https", Some(_)) if is_loopback(&self.url) => {
                "a program on this device".to_owned()
            }
            ("http" | "https", Some(host)) => host.to_owned(),
            _ => format!("the program that opens {scheme}: addresses"),
        }
    }

    /// Where it leads, as a content security policy says it.
    pub(super) fn source(&self) -> String {
        match self.url.origin() {
            origin if origin.is_tuple() => format!(" {}", origin.ascii_serialization()),
            _ => format!(" {}:", self.url.scheme()),
        }
    }

    /// With these parameters in the query.
    pub(super) fn with_query(&self, pairs: &[(&str, &str)]) -> String {
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

    /// With these parameters in the fragment.
    pub(super) fn with_fragment(&self, pairs: &[(&str, &str)]) -> String {
        format!("{}#{}", self.text, encode(pairs))
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}
