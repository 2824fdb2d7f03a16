//! Tests that run on both runners.

mod builder;
mod connections;
mod credentials;
mod driver;
mod durable;
pub(super) mod early_close;
mod environment;
mod file_transfer;
mod hostile_servers;
mod plain_http;
#[cfg(unix)]
mod planted_files;
mod proxies;
mod queues;
mod rate_limit;
mod redirects;
mod requests;
mod responses;
mod resume;
mod secrets;
mod transport_errors;

use std::time::Duration;

use matricula_core::{
    Job,
    scheduler::{Event, Outcome, SchedulerConfig},
};
use matricula_http::{HttpOptions, RunnerBuilder};

use super::{
    Handle, MOST_HEADERS, PROTOCOLS, PROXIED, Runner, enter, next, next_event, outcome, run, stop,
    submit, try_next_event, wait, wait_idle, with_renewal,
};
use crate::options;

/// Tries each job once.
pub(super) fn runner() -> Runner {
    runner_with(options(), 1)
}

pub(super) fn runner_with(options: HttpOptions, attempts: u32) -> Runner {
    let mut limits = SchedulerConfig::default();
    limits.max_attempts = attempts;
    limits.initial_backoff = Duration::from_millis(5);
    Runner::builder()
        .options(options)
        .scheduler(limits)
        .build()
        .unwrap()
}

/// A builder of runners that try each job once.
pub(super) fn builder() -> RunnerBuilder<Runner> {
    runner().to_builder()
}

/// Runs a job and passes its events to `watch`.
fn run_watched(runner: &Runner, job: Job, mut watch: impl FnMut(&Event)) -> Outcome {
    let _context = enter();
    let mut handle = submit(runner, job).unwrap();
    while let Some(event) = next(&mut handle) {
        watch(&event);
    }
    wait(handle)
}
