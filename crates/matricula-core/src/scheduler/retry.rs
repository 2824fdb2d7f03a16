//! Judges a result: first whether the request was processed, then whether to retry.

use std::time::Duration;

use super::{Outcome, SchedulerConfig, WaitReason};
use crate::{
    Job, Processed, Response, RetrySafety, StepContext, TransportError, TransportErrorKind,
    TransportResult,
};

pub(super) enum Decision {
    End(Outcome),
    Retry { wait: Duration, reason: WaitReason },
}

/// The attempts of a job so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts {
    /// How often it was sent.
    pub(super) sent: u32,
    /// Whether the server may have processed an attempt, before a restart included.
    pub(super) may_be_processed: bool,
    /// How often its credential was renewed.
    pub(super) renewals: u32,
    /// Attempts that failed; those after which the server asked to wait are not counted.
    pub(super) failures: u32,
    /// How often the server asked to wait.
    pub(super) rate_limits: u32,
    /// The sum of the waits that followed.
    pub(super) rate_limited_for: Duration,
}

impl Attempts {
    /// The outcome of the job, with its earlier attempts taken into account.
    pub(super) fn final_outcome(&self, job: &Job, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Failed(mut error) if self.may_be_processed => {
                error.processed = Processed::Maybe;
                match job.retry_safety() {
                    RetrySafety::OnlyIfNotProcessed => Outcome::InDoubt(error),
                    _ => Outcome::Failed(error),
                }
            }
            Outcome::Cancelled if self.may_be_processed => aborted_in_flight(),
            outcome => outcome,
        }
    }
}

/// Whether the server may have processed a request with this result.
pub(super) fn may_be_processed(result: &TransportResult) -> bool {
    match result {
        TransportResult::Response(response) => response.processed() == Some(Processed::Maybe),
        TransportResult::Failed(error) => error.processed == Processed::Maybe,
        TransportResult::Cancelled => true,
    }
}

/// The wait after a 429 that names none.
const DEFAULT_RATE_LIMIT_WAIT: Duration = Duration::from_secs(1);
/// The shortest wait after a first 429; doubled with each further one, up to 256 times.
const MIN_RATE_LIMIT_WAIT: Duration = Duration::from_millis(50);

/// What a result means for its job. If the server [asks to wait](Response::asks_to_wait), its bucket waits
/// for `rate_limit_wait`.
pub(super) fn decide(
    job: &Job,
    result: TransportResult,
    config: &SchedulerConfig,
    attempts: &Attempts,
    rate_limit_wait: Duration,
    cx: &mut StepContext<'_>,
) -> Decision {
    let response = match result {
        TransportResult::Response(response) => response,
        TransportResult::Failed(error) => {
            return decide_failure(job, error, config, attempts.failures, cx);
        }
        TransportResult::Cancelled => return Decision::End(aborted_in_flight()),
    };
    if response.asks_to_wait() {
        let waited = attempts.rate_limited_for.saturating_add(rate_limit_wait);
        return if waited <= config.max_rate_limit_wait {
            Decision::Retry {
                wait: rate_limit_wait,
                reason: WaitReason::RateLimited,
            }
        } else {
            Decision::End(Outcome::Responded(job.respond(response)))
        };
    }
    match response.processed() {
        None => Decision::End(Outcome::Responded(job.respond(response))),
        Some(processed) => {
            let error = TransportError {
                kind: TransportErrorKind::ServerFailed,
                processed,
                message: format!("{} {}", job.masked_url(), response.failure()),
            };
            match decide_failure(job, error, config, attempts.failures, cx) {
                // The server's response says more than an error of our own.
                Decision::End(Outcome::Failed(_)) => {
                    Decision::End(Outcome::Responded(job.respond(response)))
                }
                decision => decision,
            }
        }
    }
}

/// How long a response asks to wait.
pub(super) fn rate_limit_wait(response: &Response, attempts: &Attempts) -> Duration {
    // Do not retry in a tight loop if the server says "now" each time.
    let floor = MIN_RATE_LIMIT_WAIT.saturating_mul(1 << attempts.rate_limits.min(8));
    response
        .retry_after()
        .unwrap_or(DEFAULT_RATE_LIMIT_WAIT)
        .max(floor)
}

fn decide_failure(
    job: &Job,
    error: TransportError,
    config: &SchedulerConfig,
    failures: u32,
    cx: &mut StepContext<'_>,
) -> Decision {
    let is_safe =
        error.processed == Processed::No || job.retry_safety() != RetrySafety::OnlyIfNotProcessed;
    if is_safe && error.kind.is_transient() && failures + 1 < config.max_attempts {
        let wait = backoff(config, failures, cx);
        return Decision::Retry {
            wait,
            reason: WaitReason::Unreachable(error.message),
        };
    }
    Decision::End(if is_safe {
        Outcome::Failed(error)
    } else {
        Outcome::InDoubt(error)
    })
}

/// Exponential back-off with full jitter.
fn backoff(config: &SchedulerConfig, failures: u32, cx: &mut StepContext<'_>) -> Duration {
    let bound = config
        .initial_backoff
        .saturating_mul(1 << failures.min(16))
        .min(config.max_backoff);
    let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(cx.entropy.below(millis.saturating_add(1)))
}

/// The error of a job that was in flight when the program ended.
pub(super) fn interrupted() -> TransportError {
    TransportError {
        kind: TransportErrorKind::ConnectionLost,
        processed: Processed::Maybe,
        message: "the program ended before the response arrived".to_owned(),
    }
}

/// The outcome of a job that was cancelled while it was in flight.
pub(super) fn aborted_in_flight() -> Outcome {
    Outcome::InDoubt(TransportError {
        kind: TransportErrorKind::ConnectionLost,
        processed: Processed::Maybe,
        message: "the request was cancelled after it was sent".to_owned(),
    })
}
