//! The model of the server.

use matricula_core::{
    Body, Job, Processed, Response, TransportError, TransportErrorKind, TransportResult,
};
use serde_json::json;

use crate::plan::{JobKind, RetryAfterIn};

/// What the server has done, by job number.
#[derive(Debug, Default)]
pub(crate) struct Server {
    /// Each effect with its time, in order. A repeated transaction has none.
    pub(crate) effects: Vec<(usize, u64)>,
    /// The URLs of processed transactions and other idempotent requests.
    done: Vec<String>,
    /// Older tokens are not valid.
    pub(crate) token: u32,
}

impl Server {
    /// Processes a request. A repeated idempotent request has no effect.
    pub(crate) fn process(&mut self, number: usize, kind: JobKind, job: &Job, now: u64) {
        if kind != JobKind::CreateRoom {
            if self.done.iter().any(|done| done == job.url()) {
                return;
            }
            self.done.push(job.url().to_owned());
        }
        self.effects.push((number, now));
    }

    /// How often this job had an effect.
    pub(crate) fn count(&self, number: usize) -> usize {
        self.effects.iter().filter(|(of, _)| *of == number).count()
    }

    /// The time of its first effect.
    pub(crate) fn first(&self, number: usize) -> Option<u64> {
        let mut effects = self.effects.iter();
        effects.find(|(of, _)| *of == number).map(|(_, at)| *at)
    }
}

pub(crate) fn success() -> TransportResult {
    response(200, "{}")
}

pub(crate) fn forbidden() -> TransportResult {
    response(403, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#)
}

pub(crate) fn unknown(status: u16) -> TransportResult {
    response(status, r#"{"errcode":"M_UNKNOWN","error":"oops"}"#)
}

pub(crate) fn unknown_token() -> TransportResult {
    response(401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"gone"}"#)
}

pub(crate) fn page(status: u16) -> TransportResult {
    response(status, "<html><body>Welcome</body></html>")
}

pub(crate) fn limited(millis: u64, retry_after: RetryAfterIn) -> TransportResult {
    let mut body = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "slow down" });
    let mut header = Vec::new();
    match retry_after {
        RetryAfterIn::Header => {
            header.push(("retry-after".into(), millis.div_ceil(1_000).to_string()))
        }
        RetryAfterIn::Body => body["retry_after_ms"] = millis.into(),
        RetryAfterIn::Omitted => {}
    }
    TransportResult::Response(Response::new(429, header, Body::Json(body.to_string())))
}

pub(crate) fn failed(kind: TransportErrorKind, processed: Processed) -> TransportResult {
    TransportResult::Failed(TransportError {
        kind,
        processed,
        message: "the network".to_owned(),
    })
}

fn response(status: u16, body: &str) -> TransportResult {
    TransportResult::Response(Response::new(
        status,
        Vec::new(),
        Body::Json(body.to_owned()),
    ))
}
