//! What `matricula-http` promises, one module a behaviour, against servers that keep to a script.
#![allow(clippy::unwrap_used)]

mod answers;
mod credentials;
mod durable;
mod encryption;
mod failures;
mod files;
mod hostile;
mod processes;
mod queues;
mod redirects;
mod requests;
mod resuming;
mod secrets;
mod server;
mod waiting;

use std::time::Duration;

use matricula_http::{Options, Runner};
use matricula_job::{
    Body, Job, Method, Response, Retry, ServerUrl, TransportError,
    scheduler::{Limits, Outcome},
};

/// Far longer than any of these servers takes, and short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

fn options() -> Options {
    let mut options = Options::default();
    options.timeout = PATIENCE;
    options.longest_body = 64 << 10;
    options.redirects = 3;
    options
}

/// Tries each job once.
fn runner() -> Runner {
    runner_with(options(), 1)
}

fn runner_with(options: Options, attempts: u32) -> Runner {
    let mut limits = Limits::default();
    limits.attempts = attempts;
    limits.first_back_off = Duration::from_millis(5);
    Runner::new(options).with_limits(limits)
}

fn get(server: &ServerUrl) -> Job {
    Job::new(
        server,
        "/_matrix/client/versions",
        Method::Get,
        "getVersions",
    )
    .with_retry(Retry::Idempotent)
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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn run(runner: &Runner, job: Job) -> Outcome {
    runtime().block_on(runner.run(job, |_| {}))
}

fn response(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Done(response) => response,
        other => panic!("no answer: {other:?}"),
    }
}

fn error(outcome: Outcome) -> TransportError {
    match outcome {
        Outcome::Failed(error) | Outcome::InDoubt(error) => error,
        other => panic!("no error: {other:?}"),
    }
}
