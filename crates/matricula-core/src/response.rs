//! A response, with the data of its job.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{Body, Headers, Processed, Timestamp, lossy_json};

/// The response to a job.
#[derive(Clone, PartialEq)]
pub struct Response {
    status_code: u16,
    headers: Headers,
    body: Body,
    operation_id: Cow<'static, str>,
    data: Value,
}

impl Response {
    /// A response as it was received; [`Job::respond`](crate::Job::respond) attaches the operation and
    /// data of the job.
    pub fn new(status_code: u16, headers: Headers, body: Body) -> Self {
        Self {
            status_code,
            headers,
            body,
            operation_id: Cow::Borrowed(""),
            data: Value::Null,
        }
    }

    /// The response, which arrived at this time. That takes the place of a `Date` that the server leaves
    /// out (RFC 9110, section 6.6.1), if it matters.
    pub(crate) fn received(mut self, now: Timestamp) -> Self {
        let needs_date = self.header("retry-after").is_some() && self.header("date").is_none();
        let now = UNIX_EPOCH.checked_add(Duration::from_millis(now.as_millis()));
        // A later year than 9999 has no HTTP date.
        let has_date = |now: &SystemTime| {
            let since = now.duration_since(UNIX_EPOCH);
            since.is_ok_and(|it| it.as_secs() < 253_402_300_800)
        };
        if let Some(now) = now.filter(|now| needs_date && has_date(now)) {
            let date = httpdate::fmt_http_date(now);
            self.headers.push((Cow::Borrowed("date"), date));
        }
        self
    }

    pub(crate) fn with_job(self, operation_id: Cow<'static, str>, data: Value) -> Self {
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
        &self.headers
    }

    /// The first header of this name, case-insensitively.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body as JSON; `None` if it is not JSON. A part that fits no `Value`, such as the number `1e400`, is
    /// null.
    #[doc(alias = "jsonBody")]
    pub fn json_body(&self) -> Option<Value> {
        lossy_json(self.body.text().ok()?)
    }

    /// Whether the status is below 400.
    pub fn success(&self) -> bool {
        self.status_code < 400
    }

    /// The `errcode` of a Matrix error, or an empty string.
    #[doc(alias = "errorCode")]
    pub fn error_code(&self) -> String {
        self.error_text("errcode")
    }

    /// The `error` text of a Matrix error, or an empty string.
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

    /// The `operationId` of the request.
    #[doc(alias = "jobId")]
    pub fn operation_id(&self) -> &str {
        &self.operation_id
    }

    /// One key of the data that the job carried.
    #[doc(alias("dataJson", "extraData"))]
    pub fn data_json(&self, key: &str) -> Option<&Value> {
        self.data.get(key)
    }

    /// One key of the data that the job carried, if it is a string.
    #[doc(alias = "dataStr")]
    pub fn data_str(&self, key: &str) -> Option<&str> {
        self.data_json(key)?.as_str()
    }

    /// How long the server asks to wait: `Retry-After`, else the body's `retry_after_ms`.
    ///
    /// A `Retry-After` with a date is compared with the response's own `Date`. A scheduler adds the time of
    /// arrival as `Date` if the server sent none. Fractions are rounded up. What cannot be read counts as
    /// absent.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")
            .and_then(|value| self.wait_in_header(value.trim()))
            .or_else(|| self.retry_after_ms())
    }

    fn wait_in_header(&self, value: &str) -> Option<Duration> {
        // RFC 9110, section 10.2.3, knows whole seconds only; some servers send fractions.
        if let Some(seconds) = rounded_up(value) {
            return Some(Duration::from_secs(seconds));
        }
        let until = date(value)?;
        let now = date(self.header("date")?.trim())?;
        // A date in the past asks for no wait.
        Some(until.duration_since(now).unwrap_or_default())
    }

    /// The `retry_after_ms` of the body, which is more precise than the whole seconds of the header.
    pub(crate) fn retry_after_ms(&self) -> Option<Duration> {
        /// The body of a 429.
        #[derive(Deserialize)]
        struct Limited {
            retry_after_ms: Option<Value>,
        }

        let limited: Limited = serde_json::from_str(self.body.text().ok()?).ok()?;
        let millis = match limited.retry_after_ms? {
            Value::Number(number) => rounded_up(&number.to_string()),
            Value::String(text) => rounded_up(text.trim()),
            _ => None,
        };
        millis.map(Duration::from_millis)
    }

    /// Whether the server asks to send the request again later: a rate limit, or maintenance with a
    /// `Retry-After`.
    pub fn asks_to_wait(&self) -> bool {
        match self.status_code {
            429 => true,
            503 => self.retry_after().is_some_and(|wait| !wait.is_zero()),
            _ => false,
        }
    }

    /// Whether the server processed the request, if the response does not settle it. `None` if it does: a
    /// success, or a refusal.
    ///
    /// A server may fail after it has acted, and then says so with a status of 500 or more; whether the
    /// answer is its own (with an `errcode`) or a proxy's makes no difference.
    pub fn processed(&self) -> Option<Processed> {
        match (self.status_code, &*self.error_code()) {
            (408, _) => Some(Processed::No),
            // The server asks to come back, or a proxy has no server to send the request to.
            (503, "" | "M_LIMIT_EXCEEDED") => Some(Processed::No),
            (503, _) if self.retry_after().is_some() => Some(Processed::No),
            // It cannot process such a request.
            (501 | 505, _) | (_, "M_UNRECOGNIZED") => None,
            // A network that asks for a login first has not passed it on.
            (511, "") => None,
            (500..=599, _) => Some(Processed::Maybe),
            _ => None,
        }
    }

    /// What the response says about a failure, for people to read.
    pub(crate) fn failure(&self) -> String {
        let words = [self.error_code(), self.error_message()];
        let words: Vec<_> = words.into_iter().filter(|text| !text.is_empty()).collect();
        let status = self.status_code;
        if words.is_empty() {
            format!("answered with status {status}")
        } else {
            format!("answered with status {status} ({})", words.join(": "))
        }
    }

    /// The data that the job carried.
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

/// A decimal number without a sign, rounded up. `None` for all other text, and beyond [`u64`].
fn rounded_up(number: &str) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let has_rest = fraction.bytes().any(|digit| digit != b'0');
    let whole = if whole.is_empty() { "0" } else { whole };
    whole.parse::<u64>().ok()?.checked_add(has_rest.into())
}

/// The time of an HTTP date. The libraries that write dates for emails name the same zone in other ways.
fn date(text: &str) -> Option<SystemTime> {
    let zones = ["+0000", "-0000", "UTC"];
    let other = zones.iter().find_map(|zone| text.strip_suffix(zone));
    let text = other.map_or(Cow::Borrowed(text), |rest| format!("{rest}GMT").into());
    httpdate::parse_http_date(&text).ok()
}
