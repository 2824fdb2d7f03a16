//! A request, as the engine sees it.

use std::fmt;

use matricula_core::{Method, Secret};
use percent_encoding::percent_decode_str;

use super::{file_action::ReceivedFile, service_call::CalledService};

/// A request to the homeserver.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The percent-encoded path, without the query.
    pub path: String,
    /// The decoded query.
    pub query: Vec<(String, String)>,
    /// The token of the `Authorization: Bearer` header.
    pub access_token: Option<Secret>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The body, unless it is a file.
    pub body: Vec<u8>,
    /// The declared length in bytes of a body that is a file and has not been read yet.
    pub content_length: Option<u64>,
    /// The file that holds the body, once a [`FileAction::Receive`](crate::FileAction::Receive) for this request is done.
    pub received: Option<ReceivedFile>,
    /// What came of the call to an application service that an earlier response asked for.
    pub called: Option<CalledService>,
    /// The key of rate limits: in general the client's network address.
    pub peer: String,
}

impl Request {
    /// A request without query, token or body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            access_token: None,
            content_type: None,
            body: Vec::new(),
            content_length: None,
            received: None,
            called: None,
            peer: String::new(),
        }
    }

    /// The first value of a query parameter.
    pub(crate) fn query(&self, key: &str) -> Option<&str> {
        let mut pairs = self.query.iter();
        pairs
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// The decoded segments of the path; none where one is not UTF-8.
    pub(crate) fn segments(&self) -> Option<Vec<String>> {
        let path = self.path.strip_prefix('/')?;
        path.split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().ok())
            .map(|segment| segment.map(std::borrow::Cow::into_owned))
            .collect()
    }
}

impl fmt::Debug for Request {
    /// Hides everything that may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method, self.path)
    }
}
