//! Tests of both runners against scripted servers, one module a behaviour.
#![allow(clippy::unwrap_used)]
#![allow(clippy::duplicate_mod, reason = "the shared tests run on both runners")]

mod blocking;
mod disk;
mod log;
mod server;
mod tokio;

use std::time::Duration;

use matricula_core::{
    Body, Job, Method, Response, RetrySafety, ServerUrl, TransportError, scheduler::Outcome,
};
use matricula_http::HttpOptions;

/// Much longer than any of these servers takes. A test that hangs fails after it.
const PATIENCE: Duration = Duration::from_secs(10);

fn options() -> HttpOptions {
    let mut options = HttpOptions::default();
    options.timeout = PATIENCE;
    options.max_body_size = 64 << 10;
    options.max_redirects = 3;
    options
}

fn get(server: &ServerUrl) -> Job {
    Job::new(
        server,
        "/_matrix/client/versions",
        Method::Get,
        "getVersions",
    )
    .with_retry_safety(RetrySafety::Idempotent)
}

/// A request with a password. It is not idempotent.
fn post(server: &ServerUrl) -> Job {
    Job::new(
        server,
        "/_matrix/client/v3/register",
        Method::Post,
        "register",
    )
    .with_body(Body::Json(r#"{"password":"wordpass"}"#.to_owned()))
}

/// A request with a transaction id.
fn send(server: &ServerUrl, txn: &str, queue: &str) -> Job {
    let path = format!("/_matrix/client/v3/rooms/r/send/m.room.message/{txn}");
    Job::new(server, &path, Method::Put, "sendMessage")
        .with_retry_safety(RetrySafety::TxnId)
        .with_queue(queue, Default::default())
}

/// A request that is not idempotent: sent twice, it creates two rooms.
fn make(server: &ServerUrl, queue: &str) -> Job {
    let path = "/_matrix/client/v3/createRoom";
    Job::new(server, path, Method::Post, "createRoom").with_queue(queue, Default::default())
}

fn response(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Responded(response) => response,
        other => panic!("no response: {other:?}"),
    }
}

fn error(outcome: Outcome) -> TransportError {
    match outcome {
        Outcome::Failed(error) | Outcome::InDoubt(error) => error,
        other => panic!("no error: {other:?}"),
    }
}
