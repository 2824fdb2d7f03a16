//! What both runners promise, one module a behaviour. Both have these tests.

mod answers;
mod credentials;
mod encryption;
mod failures;
mod files;
pub(super) mod hanging_up;
mod hostile;
pub(super) mod processes;
mod redirects;
mod requests;
mod resuming;
mod secrets;
mod waiting;

use std::time::Duration;

use matricula_http::Options;
use matricula_job::scheduler::Outcome;
use matricula_job::{Job, scheduler::Limits};

use super::{MOST_HEADERS, PROTOCOLS, PROXIED, Runner, run_watched};
use crate::options;

/// Tries each job once.
pub(super) fn runner() -> Runner {
    runner_with(options(), 1)
}

pub(super) fn runner_with(options: Options, attempts: u32) -> Runner {
    let mut limits = Limits::default();
    limits.attempts = attempts;
    limits.first_back_off = Duration::from_millis(5);
    Runner::new(options).with_limits(limits)
}

fn run(runner: &Runner, job: Job) -> Outcome {
    run_watched(runner, job, |_| {})
}
