//! Tests of the blocking runner.

mod connections;
mod durable;
mod early_close;
mod idle;
mod queues;
#[path = "../shared/mod.rs"]
mod shared;

use matricula_core::{
    CredentialRef, Job, StoreError,
    scheduler::{Event, JobId, Outcome},
};
use matricula_http::{
    RunnerBuilder, SubmitError,
    blocking::{Driver, EventOrLag, Events, Handle, Runner},
};

use crate::PATIENCE;

const MOST_HEADERS: usize = 128;
/// The protocols that it offers over TLS.
const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];
/// How it asks a proxy for `http://matrix.example.org/a`.
const PROXIED: &str = "CONNECT matrix.example.org:80 HTTP/1.1";

// The same functions as in `tokio`, for the shared tests.

/// The context in which a test calls a runner: none is needed.
struct NoContext;

fn enter() -> NoContext {
    NoContext
}

fn run(runner: &Runner, job: Job) -> Outcome {
    runner.run(job)
}

fn submit(runner: &Runner, job: Job) -> Result<Handle, SubmitError> {
    runner.submit(job)
}

fn next(handle: &mut Handle) -> Option<Event> {
    handle.next()
}

fn wait(handle: Handle) -> Outcome {
    handle.wait()
}

fn outcome(runner: &Runner, job_id: JobId) -> Result<Option<Outcome>, StoreError> {
    runner.outcome(job_id)
}

fn stop(runner: &Runner) {
    runner.stop();
}

fn wait_idle<M: matricula_http::DrivenMachine, H: matricula_http::Host<M>>(driver: &Driver<M, H>) {
    driver.wait_idle();
}

fn with_renewal(
    builder: RunnerBuilder<Runner>,
    renew: impl Fn(CredentialRef) -> bool + Send + Sync + 'static,
) -> RunnerBuilder<Runner> {
    builder.renewal(renew)
}

/// The next event, if one comes.
fn next_event(events: &mut Events) -> Option<Event> {
    match events.next_within(PATIENCE)? {
        EventOrLag::Event(event) => Some(event),
        lag => panic!("{lag:?}"),
    }
}

fn try_next_event(events: &mut Events) -> Option<Event> {
    match events.try_next()? {
        EventOrLag::Event(event) => Some(event),
        lag => panic!("{lag:?}"),
    }
}
