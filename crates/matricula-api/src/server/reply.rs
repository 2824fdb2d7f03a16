//! What a server answers, before it is put on the wire.

use std::{borrow::Cow, fmt};

use serde::Serialize;
use serde_json::json;

use crate::{Content, ErrorCode, Redirect};

/// An answer: a status, headers and a body.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, that of the body's type among them.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A success with a JSON body.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Self {
        // It fails for maps whose keys are not texts alone, and no generated type has one.
        let body = serde_json::to_vec(value).expect("a generated type has a JSON form");
        Self::of_json(200, body)
    }

    /// A failure, as a [standard error].
    ///
    /// [standard error]: https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
    pub fn refusal(status: u16, code: &ErrorCode, message: &str) -> Self {
        let body = json!({"errcode": code.as_str(), "error": message});
        Self::of_json(status, body.to_string().into_bytes())
    }

    /// A file.
    pub fn content(content: &Content) -> Self {
        let headers = [
            ("content-type", &content.content_type),
            ("content-disposition", &content.content_disposition),
        ];
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some((Cow::Borrowed(name), value.clone()))
        });
        Self {
            status: 200,
            headers: headers.collect(),
            body: content.bytes.clone(),
        }
    }

    /// The way elsewhere.
    pub fn redirect(redirect: &Redirect) -> Self {
        Self {
            status: 302,
            headers: vec![(Cow::Borrowed("location"), redirect.location.clone())],
            body: Vec::new(),
        }
    }

    fn of_json(status: u16, body: Vec<u8>) -> Self {
        let json = "application/json".to_owned();
        Self {
            status,
            headers: vec![(Cow::Borrowed("content-type"), json)],
            body,
        }
    }
}

impl fmt::Debug for Reply {
    // What a body holds may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}
