//! What `matricula-http` promises, one module a behaviour, against servers that keep to a script.
#![allow(clippy::unwrap_used)]
#![allow(
    clippy::duplicate_mod,
    reason = "what both runners promise is shown of both"
)]

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

/// Far longer than any of these servers takes, and short enough for a test that hangs.
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

/// Carries a password; not to be sent twice.
fn post(server: &ServerUrl) -> Job {
    Job::new(
        server,
        "/_matrix/client/v3/register",
        Method::Post,
        "register",
    )
    .with_body(Body::Json(r#"{"password":"wordpass"}"#.to_owned()))
}

/// Sends a message; it has a transaction id.
fn send(server: &ServerUrl, txn: &str, queue: &str) -> Job {
    let path = format!("/_matrix/client/v3/rooms/r/send/m.room.message/{txn}");
    Job::new(server, &path, Method::Put, "sendMessage")
        .with_retry_safety(RetrySafety::TxnId)
        .with_queue(queue, Default::default())
}

/// Makes something; to ask twice makes two.
fn make(server: &ServerUrl, queue: &str) -> Job {
    let path = "/_matrix/client/v3/createRoom";
    Job::new(server, path, Method::Post, "createRoom").with_queue(queue, Default::default())
}

fn response(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Responded(response) => response,
        other => panic!("no answer: {other:?}"),
    }
}

fn error(outcome: Outcome) -> TransportError {
    match outcome {
        Outcome::Failed(error) | Outcome::InDoubt(error) => error,
        other => panic!("no error: {other:?}"),
    }
}
