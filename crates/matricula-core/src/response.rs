//! What a server answered, together with what its job wanted remembered.

use std::{borrow::Cow, fmt, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::{Body, Headers};

/// A server's answer.
#[derive(Clone, PartialEq)]
pub struct Response {
    status_code: u16,
    header: Headers,
    body: Body,
    operation_id: Cow<'static, str>,
    data: Value,
}

impl Response {
    /// An answer as it came from the wire; [`Job::respond`](crate::Job::respond) makes it
    /// a job's.
    pub fn new(status_code: u16, header: Headers, body: Body) -> Self {
        Self {
            status_code,
            header,
            body,
            operation_id: Cow::Borrowed(""),
            data: Value::Null,
        }
    }

    pub(crate) fn of_job(self, operation_id: Cow<'static, str>, data: Value) -> Self {
        Self {
            operation_id,
            data,
            ..self
        }
    }

    /// The HTTP status.
    #[doc(alias = "statusCode")]
    pub fn status_code(&self) -> u16 {
        self.status_code
    }

    /// All headers.
    pub fn headers(&self) -> &[(Cow<'static, str>, String)] {
        &self.header
    }

    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .header
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body as JSON; `None` where it is not JSON.
    #[doc(alias = "jsonBody")]
    pub fn json_body(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_bytes()).ok()
    }

    /// Whether the status is below 400.
    pub fn success(&self) -> bool {
        self.status_code < 400
    }

    /// The `errcode` of a Matrix error; empty where there is none.
    #[doc(alias = "errorCode")]
    pub fn error_code(&self) -> String {
        self.error_text("errcode")
    }

    /// The `error` of a Matrix error, in the server's words; empty where there is none.
    #[doc(alias = "errorMessage")]
    pub fn error_message(&self) -> String {
        self.error_text("error")
    }

    fn error_text(&self, key: &str) -> String {
        if self.success() {
            return String::new();
        }
        self.json_body()
            .and_then(|body| body.get(key)?.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// The name of the operation that was asked.
    #[doc(alias = "jobId")]
    pub fn operation_id(&self) -> &str {
        &self.operation_id
    }

    /// One key of the data that the job carried.
    #[doc(alias = "dataJson")]
    pub fn data_json(&self, key: &str) -> Option<&Value> {
        self.data.get(key)
    }

    /// One key of the data that the job carried, where it is a text.
    #[doc(alias = "dataStr")]
    pub fn data_str(&self, key: &str) -> Option<&str> {
        self.data_json(key)?.as_str()
    }

    /// How long the server asks to wait: its `Retry-After` in seconds, else `retry_after_ms`.
    ///
    /// The form of `Retry-After` that is a date is left aside: it would take a clock to read.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header("retry-after");
        if let Some(seconds) = seconds.and_then(|value| value.trim().parse().ok()) {
            return Some(Duration::from_secs(seconds));
        }
        self.retry_after_ms()
    }

    /// What the body alone says of it: to the millisecond, where the header has whole seconds.
    pub(crate) fn retry_after_ms(&self) -> Option<Duration> {
        /// What of the body matters here.
        #[derive(Deserialize)]
        struct Limited {
            retry_after_ms: Option<u64>,
        }

        let limited: Limited = serde_json::from_slice(self.body.as_bytes()).ok()?;
        limited.retry_after_ms.map(Duration::from_millis)
    }

    /// All that the job carried.
    pub(crate) fn data(&self) -> &Value {
        &self.data
    }
}

impl fmt::Debug for Response {
    // Headers and body may hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("operation_id", &self.operation_id)
            .field("status_code", &self.status_code)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
