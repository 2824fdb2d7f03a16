//! A response that a server sends.

use std::{borrow::Cow, fmt, time::Duration};

use serde::Serialize;

use crate::{Content, ErrorCode, Extra, Redirect, uia::UiaInfo};

/// A response: status, headers and body.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutgoingResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers, including the content type.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl OutgoingResponse {
    /// A response of any kind, such as a page.
    pub fn new(status: u16, headers: Vec<(Cow<'static, str>, String)>, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// A success with a JSON body.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Self {
        Self::of_json(200, json_of(value))
    }

    /// A failure, as a [standard error].
    ///
    /// [standard error]: https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
    pub fn error(status: u16, code: &ErrorCode, message: &str) -> Self {
        Self::error_with(status, code, message, Extra::new())
    }

    /// A failure with further fields, such as `soft_logout`.
    pub fn error_with(status: u16, code: &ErrorCode, message: &str, mut extra: Extra) -> Self {
        extra.insert("errcode".to_owned(), code.as_str().into());
        extra.insert("error".to_owned(), message.into());
        Self::of_json(status, json_of(&extra))
    }

    /// A [rate limit] error: the client must wait this long.
    ///
    /// [rate limit]: https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
    pub fn rate_limited(message: &str, wait: Duration) -> Self {
        let mut extra = Extra::new();
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        extra.insert("retry_after_ms".to_owned(), millis.into());
        let mut reply = Self::error_with(429, &ErrorCode::LimitExceeded, message, extra);
        // The header has whole seconds: rounding down would cause a second error.
        let seconds = millis.div_ceil(1000).to_string();
        reply.headers.push((Cow::Borrowed("retry-after"), seconds));
        reply
    }

    /// A request for user-interactive [authentication].
    ///
    /// [authentication]: https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
    pub fn uia(info: &UiaInfo) -> Self {
        Self::of_json(401, json_of(info))
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

    /// A redirect.
    pub fn redirect(redirect: &Redirect) -> Self {
        Self {
            status: 302,
            headers: vec![(Cow::Borrowed("location"), redirect.location.clone())],
            body: Vec::new(),
        }
    }

    fn of_json(status: u16, body: Vec<u8>) -> Self {
        let json = "application/json".to_owned();
        Self::new(status, vec![(Cow::Borrowed("content-type"), json)], body)
    }
}

fn json_of(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    // It fails only for maps with keys that are not strings; no type of the API has one.
    serde_json::to_vec(value).expect("a type of the API has a JSON form")
}

impl fmt::Debug for OutgoingResponse {
    // The body may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}
