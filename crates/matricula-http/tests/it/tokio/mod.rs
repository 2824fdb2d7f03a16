//! Tests of the runner for tokio.

mod connections;
mod durable;
mod queues;
#[path = "../shared/mod.rs"]
mod shared;

use std::{sync::LazyLock, thread};

use matricula_core::{
    CredentialRef, Job, StoreError,
    scheduler::{Event, JobId, Outcome},
};
use matricula_http::{Driver, Handle, Runner, RunnerBuilder, SubmitError};
use tokio::{
    runtime::{self, EnterGuard, Runtime},
    sync::broadcast::{Receiver, error::TryRecvError},
    time::timeout,
};

use crate::PATIENCE;

const MOST_HEADERS: usize = 100;
/// The protocols that it offers over TLS.
const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];
/// How it asks a proxy for `http://matrix.example.org/a`.
const PROXIED: &str = "GET http://matrix.example.org/a HTTP/1.1";

/// A runtime of the test's own, which works only while the test waits for it.
fn runtime() -> Runtime {
    let mut builder = runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// A runtime with a thread of its own, which works while shared tests wait for something else.
static BACKGROUND: LazyLock<runtime::Handle> = LazyLock::new(|| {
    let runtime = runtime();
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
});

// The same functions as in `blocking`, for the shared tests.

/// The context in which a test calls a runner.
fn enter() -> EnterGuard<'static> {
    BACKGROUND.enter()
}

fn run(runner: &Runner, job: Job) -> Outcome {
    runtime().block_on(runner.run(job))
}

fn submit(runner: &Runner, job: Job) -> Result<Handle, SubmitError> {
    BACKGROUND.block_on(async { runner.submit(job).await })
}

fn next(handle: &mut Handle) -> Option<Event> {
    BACKGROUND.block_on(handle.next())
}

fn wait(handle: Handle) -> Outcome {
    BACKGROUND.block_on(handle.into_future())
}

fn outcome(runner: &Runner, job_id: JobId) -> Result<Option<Outcome>, StoreError> {
    BACKGROUND.block_on(runner.outcome(job_id))
}

fn stop(runner: &Runner) {
    BACKGROUND.block_on(runner.stop());
}

fn wait_idle<M: matricula_http::DrivenMachine, H: matricula_http::Host<M>>(driver: &Driver<M, H>) {
    BACKGROUND.block_on(driver.wait_idle());
}

fn with_renewal(
    builder: RunnerBuilder<Runner>,
    renew: impl Fn(CredentialRef) -> bool + Send + Sync + 'static,
) -> RunnerBuilder<Runner> {
    builder.renewal(move |credential| std::future::ready(renew(credential)))
}

/// The next event, if one comes.
fn next_event(events: &mut Receiver<Event>) -> Option<Event> {
    let next = BACKGROUND.block_on(async { timeout(PATIENCE, events.recv()).await });
    next.ok().map(Result::unwrap)
}

fn try_next_event(events: &mut Receiver<Event>) -> Option<Event> {
    match events.try_recv() {
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        event => Some(event.unwrap()),
    }
}
