//! Why a request is not granted, as Matrix says it.

use std::{borrow::Cow, error::Error, time::Duration};

use serde_json::{Map, Value, json};

use super::Response;

/// An answer other than success: status, `errcode` and a sentence for a person.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    pub(crate) errcode: &'static str,
    pub(crate) error: Cow<'static, str>,
    extra: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(
        status: u16,
        errcode: &'static str,
        error: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            errcode,
            error: error.into(),
            extra: Map::new(),
            retry_after: None,
        }
    }

    pub(crate) fn missing(what: &str) -> Self {
        Self::new(400, "M_MISSING_PARAM", format!("{what} is missing"))
    }

    pub(crate) fn unrecognized() -> Self {
        let error = "this server has no such endpoint";
        Self::new(404, "M_UNRECOGNIZED", error)
    }

    /// A token that is not good, or not any more.
    pub(crate) fn unknown_token(error: &'static str, soft_logout: bool) -> Self {
        let mut refusal = Self::new(401, "M_UNKNOWN_TOKEN", error);
        refusal
            .extra
            .insert("soft_logout".to_owned(), json!(soft_logout));
        refusal
    }

    pub(crate) fn limited(wait: Duration) -> Self {
        let mut refusal = Self::new(429, "M_LIMIT_EXCEEDED", "too many requests; wait a while");
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        refusal
            .extra
            .insert("retry_after_ms".to_owned(), json!(millis));
        refusal.retry_after = Some(wait);
        refusal
    }

    pub(crate) fn into_response(self) -> Response {
        let mut body = self.extra;
        body.insert("errcode".to_owned(), json!(self.errcode));
        body.insert("error".to_owned(), json!(self.error));
        let response = Response::json(self.status, &Value::Object(body));
        match self.retry_after {
            // The header counts whole seconds: rounded down it would invite a second refusal.
            Some(wait) => {
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                response.with_header("Retry-After", seconds.to_string())
            }
            None => response,
        }
    }
}

/// What keeps a request from success: a rule, or something broken on our side.
#[derive(Debug)]
pub(crate) enum Fault {
    Refused(Refusal),
    Broken(Box<dyn Error + Send + Sync>),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Broken(error.into())
    }
}
