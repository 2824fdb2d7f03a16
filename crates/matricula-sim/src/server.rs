//! A server that knows what it processed.

use matricula_core::{
    Body, Job, Processed, Response, TransportError, TransportErrorKind, TransportResult,
};
use serde_json::json;

use crate::plan::{Kind, Said};

/// What the server has done, by the number of the job that asked for it.
#[derive(Debug, Default)]
pub(crate) struct Server {
    /// Each effect, with its moment, in order. A repeated transaction is none.
    pub(crate) effects: Vec<(usize, u64)>,
    /// Transactions and what else may be done twice, by the address.
    done: Vec<String>,
    /// Tokens from before this one are not taken.
    pub(crate) token: u32,
}

impl Server {
    /// Processes a request: what has been done before is not done again, where the server can tell.
    pub(crate) fn process(&mut self, number: usize, kind: Kind, job: &Job, now: u64) {
        if kind != Kind::Room {
            if self.done.iter().any(|done| done == job.url()) {
                return;
            }
            self.done.push(job.url().to_owned());
        }
        self.effects.push((number, now));
    }

    /// How often it did what this job asked for.
    pub(crate) fn count(&self, number: usize) -> usize {
        self.effects.iter().filter(|(of, _)| *of == number).count()
    }

    /// When it first did.
    pub(crate) fn first(&self, number: usize) -> Option<u64> {
        let mut effects = self.effects.iter();
        effects.find(|(of, _)| *of == number).map(|(_, at)| *at)
    }
}

pub(crate) fn done() -> TransportResult {
    answer(200, "{}")
}

pub(crate) fn forbidden() -> TransportResult {
    answer(403, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#)
}

pub(crate) fn unknown_token() -> TransportResult {
    answer(401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"gone"}"#)
}

pub(crate) fn page(status: u16) -> TransportResult {
    answer(status, "<html><body>Welcome</body></html>")
}

pub(crate) fn limited(millis: u64, said: Said) -> TransportResult {
    let mut body = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "slow down" });
    let mut header = Vec::new();
    match said {
        Said::Header => header.push(("retry-after".into(), millis.div_ceil(1_000).to_string())),
        Said::Body => body["retry_after_ms"] = millis.into(),
        Said::Nothing => {}
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

fn answer(status: u16, body: &str) -> TransportResult {
    TransportResult::Response(Response::new(
        status,
        Vec::new(),
        Body::Json(body.to_owned()),
    ))
}
