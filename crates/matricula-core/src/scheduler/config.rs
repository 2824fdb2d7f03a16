//! The bounds of a scheduler.

use std::time::Duration;

/// The bounds of a scheduler: retries, requests in flight, and memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchedulerConfig {
    /// Attempts in all before a job that cannot reach the server ends. Responses that
    /// [ask to wait](crate::Response::asks_to_wait) are not counted.
    pub max_attempts: u32,
    /// The wait before the second attempt is drawn from zero to this; it doubles with each attempt.
    pub initial_backoff: Duration,
    /// Upper bound of those waits.
    pub max_backoff: Duration,
    /// How long a job waits because the server asks for it, all waits together. After that the server's
    /// last response is its outcome.
    pub max_rate_limit_wait: Duration,
    /// Requests in flight at once, not counting long polls.
    pub max_in_flight: usize,
    /// Long polls in flight at once: requests that ask the server to wait, such as `/sync` with a timeout.
    pub max_long_polls: usize,
    /// Jobs that have not ended. Beyond it a submitted job is rejected.
    pub max_jobs: usize,
    /// Outcomes that are stored until they are dropped. Beyond it the oldest is removed.
    pub max_kept_outcomes: usize,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(30),
            max_rate_limit_wait: Duration::from_secs(600),
            max_in_flight: 16,
            max_long_polls: 64,
            max_jobs: 1_000_000,
            max_kept_outcomes: 10_000,
        }
    }
}

impl SchedulerConfig {
    /// Bounds for background work: retries for about two days while a server is unreachable, and waits up
    /// to a day where it asks to wait.
    pub fn patient() -> Self {
        Self {
            max_attempts: 5_000,
            max_backoff: Duration::from_secs(60),
            max_rate_limit_wait: Duration::from_secs(24 * 60 * 60),
            ..Self::default()
        }
    }
}
