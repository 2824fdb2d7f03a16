//! The address of a request, which every parser reads alike.

use std::borrow::Cow;

use http::{Uri, uri::Authority};
use matricula_core::{Job, ServerUrl, ServerUrlError, TransportError};

use crate::{HttpOptions, error::invalid_request};

/// The address of a request.
///
/// HTTP libraries, proxies and servers each read it with a parser of their own, and another parser
/// must not see another server or path in it. So it is in normal form here: it has no user name,
/// fragment or dot segment, its host and port are written in the usual way, and it has no character
/// that RFC 3986 does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Scheme, host and port only.
    server: ServerUrl,
    uri: Uri,
}

impl Address {
    /// The address of a job with its query. A path that is not in normal form is refused.
    pub(crate) fn of_job(job: &Job) -> Result<Self, TransportError> {
        if let Some((address, _)) = job.url().split_once(['?', '#']) {
            // The query is not repeated: it may hold a secret.
            return Err(invalid_request(format!(
                "{address} is followed by a query or fragment: a query belongs into the job's pairs"
            )));
        }
        let (origin, path) = split_at_path(job.url());
        let server: ServerUrl = origin
            .parse()
            .map_err(|error: ServerUrlError| invalid_request(error.to_string()))?;
        let pairs = job.request_query();
        let query = (!pairs.is_empty()).then(|| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(pairs).finish()
        });
        match Self::new(server, path, query.as_deref()) {
            Ok(normal) if normal.path() == path || path.is_empty() => Ok(normal),
            Ok(normal) => Err(invalid_request(match job.masked_url() {
                Cow::Borrowed(url) => {
                    let (origin, path) = (normal.origin(), normal.path());
                    format!("{url} means {origin}{path}: use that")
                }
                Cow::Owned(masked) => format!("{masked} is not in normal form"),
            })),
            Err(what) => {
                let message = format!("{:?} is not well-formed: {what}", job.masked_url());
                Err(invalid_request(message))
            }
        }
    }

    /// Joins the parts, and brings them into normal form. The server has no path of its own. The path is
    /// empty or begins with a slash.
    fn new(server: ServerUrl, path: &str, query: Option<&str>) -> Result<Self, &'static str> {
        let path = without_dot_segments(path);
        let query = query.unwrap_or_default();
        if !path.bytes().all(is_path_byte) || !query.bytes().all(is_query_byte) {
            return Err("it has characters that must be percent-encoded");
        }
        let mark = if query.is_empty() { "" } else { "?" };
        let uri = [server.origin(), &*path, mark, query].concat();
        let uri = Uri::try_from(uri).map_err(|_| "it is too long")?;
        Ok(Self { server, uri })
    }

    /// The address that a `Location` means, resolved as in RFC 3986, section 5.2. `None` if that is not
    /// an address of http or https, or parsers disagree about it.
    pub(crate) fn resolve(&self, reference: &str) -> Option<Self> {
        // Browsers take a backslash for a slash, and ignore some control characters.
        if !reference
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\')
        {
            return None;
        }
        let reference = reference.split('#').next().unwrap_or(reference);
        let (reference, query) = match reference.split_once('?') {
            Some((reference, query)) => (reference, Some(encode(query))),
            None => (reference, None),
        };
        let first_segment = reference.split('/').next().unwrap_or(reference);
        let (scheme, rest) = match first_segment.split_once(':') {
            Some((scheme, _)) => (Some(scheme), &reference[scheme.len() + 1..]),
            None => (None, reference),
        };
        if let Some(rest) = rest.strip_prefix("//") {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            // Browsers refuse it.
            if authority.contains(' ') {
                return None;
            }
            let scheme = scheme.unwrap_or(self.scheme());
            let server = format!("{scheme}://{authority}").parse().ok()?;
            return Self::new(server, &encode(path), query.as_deref()).ok();
        }
        if scheme.is_some() {
            return None;
        }
        let base = self.uri.path();
        let (path, query) = match encode(reference) {
            path if path.is_empty() => {
                let query = query.or_else(|| self.uri.query().map(Cow::Borrowed));
                (base.to_owned(), query)
            }
            path if path.starts_with('/') => (path.into_owned(), query),
            path => {
                let directory = base.rfind('/').map_or("/", |end| &base[..=end]);
                (format!("{directory}{path}"), query)
            }
        };
        Self::new(self.server.clone(), &path, query.as_deref()).ok()
    }

    /// The whole address.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Host and port as in the header `Host`: without the port that is usual for the scheme.
    pub(crate) fn authority(&self) -> &str {
        self.uri.authority().map_or("", Authority::as_str)
    }

    /// The port, also where the address leaves it out.
    pub(crate) fn port(&self) -> u16 {
        let usual = if self.is_https() { 443 } else { 80 };
        self.uri.port_u16().unwrap_or(usual)
    }

    /// The server, without a path.
    pub(crate) fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Scheme, host and port, for messages. Path and query are left out: they may hold a secret.
    pub(crate) fn origin(&self) -> &str {
        self.server.origin()
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.server.is_https()
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_https() { "https" } else { "http" }
    }

    /// Whether a request stays on this machine, where it needs neither a proxy nor a certificate.
    pub(crate) fn is_loopback(&self) -> bool {
        !self.is_https() && self.server.is_loopback()
    }

    /// The path for logs, with the job's secrets masked. After a redirect it is unknown what is secret
    /// in the path: that is why the job's own path is used where it has secrets.
    pub(crate) fn path_to_log<'a>(&'a self, job: &'a Job) -> Cow<'a, str> {
        match job.masked_url() {
            Cow::Owned(masked) => Cow::Owned(masked),
            Cow::Borrowed(_) => Cow::Borrowed(self.path()),
        }
    }
}

/// Refuses an unencrypted request to another machine, unless that is allowed. Checked for every
/// request, those after a redirect included.
pub(crate) fn check_encryption(
    address: &Address,
    options: &HttpOptions,
) -> Result<(), TransportError> {
    let is_local = || address.server().is_this_machine();
    if address.is_https() || options.allow_plain_http || is_local() {
        return Ok(());
    }
    Err(invalid_request(format!(
        "{} is not encrypted: everyone on the way could read what is sent there, and it was not \
         allowed",
        address.origin()
    )))
}

/// Splits an address before its path.
fn split_at_path(address: &str) -> (&str, &str) {
    let host = address.find("://").map_or(0, |at| at + "://".len());
    let path = address[host..].find('/').map(|at| host + at);
    address.split_at(path.unwrap_or(address.len()))
}

/// Whether RFC 3986 allows this byte in a path.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~' | b'%' | b':' | b'@')
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
}

fn is_query_byte(byte: u8) -> bool {
    is_path_byte(byte) || byte == b'?'
}

/// Encodes the characters that addresses must not have, and often have nevertheless.
fn encode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_query_byte) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::new();
    for byte in text.bytes() {
        if is_query_byte(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

/// Removes the segments `.` and `..`, percent-encoded ones too, as in RFC 3986, section 5.2.4.
fn without_dot_segments(path: &str) -> Cow<'_, str> {
    let dots = |segment: &str| {
        let is = |dots: &str| segment.eq_ignore_ascii_case(dots);
        match () {
            () if !segment.starts_with(['.', '%']) => 0,
            () if is(".") || is("%2e") => 1,
            () if is("..") || is(".%2e") || is("%2e.") || is("%2e%2e") => 2,
            () => 0,
        }
    };
    if path.is_empty() {
        return Cow::Borrowed("/");
    }
    if path.split('/').all(|segment| dots(segment) == 0) {
        return Cow::Borrowed(path);
    }
    let mut left = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match dots(segment) {
            0 => left.push(segment),
            dots => {
                if dots == 2 {
                    left.pop();
                }
                if segments.peek().is_none() {
                    left.push("");
                }
            }
        }
    }
    Cow::Owned(format!("/{}", left.join("/")))
}

/// An address for tests.
#[cfg(test)]
pub(crate) fn address(text: &str) -> Address {
    let server: ServerUrl = "http://base.example".parse().unwrap();
    let job = Job::new(&server, "/", matricula_core::Method::Get, "test");
    Address::of_job(&job).unwrap().resolve(text).unwrap()
}

#[cfg(test)]
mod tests {
    use matricula_core::Method;
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    fn resolved(base: &str, reference: &str) -> Option<String> {
        let next = address(base).resolve(reference);
        next.map(|next| next.uri.to_string())
    }

    /// The examples of RFC 3986, section 5.4.
    #[test]
    fn reference_is_resolved_as_in_rfc() {
        for (reference, next) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x", "http://a/b/c/g;x"),
            ("g;x?y#s", "http://a/b/c/g;x?y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("../../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            (".g", "http://a/b/c/.g"),
            ("g..", "http://a/b/c/g.."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("g#s/../x", "http://a/b/c/g"),
        ] {
            let resolved = resolved("http://a/b/c/d;p?q", reference);
            assert_eq!(resolved.as_deref(), Some(next), "{reference}");
        }
        for reference in ["g:h", "http:g", "http:", "mailto:a@b"] {
            assert_eq!(
                resolved("http://a/b/c/d;p?q", reference),
                None,
                "{reference}"
            );
        }
    }

    #[test]
    fn reference_is_brought_into_normal_form() {
        for (reference, next) in [
            ("HTTPS://B.Example:443/C", "https://b.example/C"),
            ("//b:0080/", "http://b/"),
            ("//[0:0::1]:01/", "http://[::1]:1/"),
            ("%2e%2E/.%2e/g", "http://a/g"),
            ("a b", "http://a/b/c/a%20b"),
            ("{a}|[b]?\"c\"", "http://a/b/c/%7Ba%7D%7C%5Bb%5D?%22c%22"),
            ("/a//b", "http://a/a//b"),
            ("/.//b", "http://a//b"),
            ("?", "http://a/b/c/d;p"),
        ] {
            let resolved = resolved("http://a/b/c/d;p?q", reference);
            assert_eq!(resolved.as_deref(), Some(next), "{reference}");
        }
    }

    #[test]
    fn ambiguous_reference_is_refused() {
        for reference in [
            "\\\\b/",
            "/\\b",
            "http:\\\\b",
            "/a\tb",
            "\u{f6}",
            "///b",
            "http:///b",
            "http://",
            "http://a@b/",
            "http://b:/",
            "http://b:+80/",
            "http://b:65536/",
            "http://[::1]c:80/",
            "http://[::1%25lo]/",
            "http://b%2ec/",
            "http://b(/",
            "http://b c/",
            "http://b./",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.0.0.01/",
            "http://1.2.3.4.5/",
            "a:b",
            "1:/",
        ] {
            assert_eq!(
                resolved("http://a/b/c/d;p?q", reference),
                None,
                "{reference}"
            );
        }
    }

    /// Text that looks like an address, in the eyes of one parser or another.
    fn like_address() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(
            &[
                "http",
                "HTTPS",
                ":",
                "//",
                "/",
                "\\",
                "..",
                ".",
                "%2e",
                "%2E",
                "@",
                "?",
                "#",
                "[::1]",
                "[0:0::1]",
                "127.0.0.1",
                "127.1",
                "2130706433",
                "0x7f",
                "a.example",
                "B",
                "xn--e1a",
                ":80",
                ":443",
                ":01",
                ":+1",
                "%",
                "%2f",
                "%00",
                " ",
                "\t",
                "\n",
                "|",
                "^",
                "{",
                "\"",
                "'",
                "~",
                "localhost",
                "_",
                "-",
                "(",
                ",",
                ";",
                "=",
                "&",
                "+",
                "*",
                "!",
            ][..],
        );
        let start = prop::sample::select(&["", "", "http://", "https://", "//", "/"][..]);
        (start, prop::collection::vec(parts, 0..7))
            .prop_map(|(start, parts)| start.to_owned() + &parts.concat())
    }

    /// Fails if the parser of browsers sees another server or path in it.
    fn assert_unambiguous(address: &Address) -> Result<(), TestCaseError> {
        let Ok(url) = Url::parse(&address.uri.to_string()) else {
            // Only this parser reads the names that are encoded as Punycode.
            prop_assert!(address.origin().contains("xn--"), "{address:?}");
            return Ok(());
        };
        prop_assert_eq!(url.scheme(), address.scheme());
        let host = url.host_str().unwrap_or_default();
        prop_assert_eq!(host.trim_matches(['[', ']']), address.server.host());
        prop_assert_eq!(url.port_or_known_default(), Some(address.port()));
        prop_assert_eq!(url.path(), address.path());
        prop_assert_eq!(
            (url.username(), url.password(), url.fragment()),
            ("", None, None)
        );
        Ok(())
    }

    /// A name in any script is the one that browsers ask for, or is refused.
    #[test]
    fn names_are_those_of_browsers() {
        let mut names = 0;
        // Ideographs and syllables of Hangul are alike.
        let is_special = |c: &char| !matches!(c, '\u{3400}'..='\u{d7ff}' | '\u{20000}'..);
        let characters = ('\u{80}'..=char::MAX).filter(|c| c.is_alphanumeric());
        for character in characters
            .filter(is_special)
            .chain(['中', '한', '\u{20000}'])
        {
            for name in [
                format!("a{character}.example"),
                format!("Ü{character}ß{character}.example"),
            ] {
                let text = format!("https://{name}/");
                let (Ok(ours), Ok(theirs)) = (text.parse::<ServerUrl>(), Url::parse(&text)) else {
                    continue;
                };
                assert_eq!(Some(ours.host()), theirs.host_str(), "{name:?}");
                names += 1;
            }
        }
        assert!(names > 10_000, "{names}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

        #[test]
        fn resolved_reference_is_unambiguous(references in prop::collection::vec(like_address(), 1..4)) {
            let mut address = address("https://c.example/d/e?f");
            for reference in references {
                if let Some(next) = address.resolve(&reference) {
                    assert_unambiguous(&next)?;
                    address = next;
                }
            }
        }

        #[test]
        fn address_of_job_is_unambiguous(server in like_address(), path in like_address()) {
            let server = server.parse().or_else(|_| "http://a.example".parse::<ServerUrl>());
            let job = Job::new(&server.unwrap(), &path, Method::Get, "test");
            if let Ok(address) = Address::of_job(&job) {
                assert_unambiguous(&address)?;
                let (_, given) = split_at_path(job.url());
                prop_assert_eq!(address.path(), if given.is_empty() { "/" } else { given });
            }
        }
    }
}
