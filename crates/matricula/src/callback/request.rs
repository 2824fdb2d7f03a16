//! Reads the head of an HTTP request.

/// The head of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) host: String,
    /// `Sec-Fetch-Mode`, if the browser sends it; `navigate` means that the person opens the page.
    pub(super) mode: Option<String>,
}

/// The result of reading the bytes received so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Whole(Request),
    /// The request is incomplete.
    Part,
    /// The bytes are not HTTP.
    Broken,
}

/// The maximum number of headers.
const MAX_HEADERS: usize = 100;

pub(super) fn read(bytes: &[u8]) -> Read {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Read::Part,
        Err(_) => return Read::Broken,
    }
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        ..Request::default()
    };
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        if header.name.eq_ignore_ascii_case("host") {
            request.host = value.into_owned();
        } else if header.name.eq_ignore_ascii_case("sec-fetch-mode") {
            request.mode = Some(value.into_owned());
        }
    }
    Read::Whole(request)
}
