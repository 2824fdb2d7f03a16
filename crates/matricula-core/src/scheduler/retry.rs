//! Judges an answer: first whether the request was processed, then whether to try again.

use std::time::Duration;

use super::{Outcome, WaitReason};
use crate::{
    Job, Processed, Response, RetrySafety, StepContext, TransportError, TransportErrorKind,
    TransportResult,
};

/// How long a job is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchedulerConfig {
    /// Attempts in all before a job that cannot reach the server is given up.
    pub max_attempts: u32,
    /// The wait before the second attempt is drawn from zero to this, and doubles with each one.
    pub initial_backoff: Duration,
    /// The longest of those waits.
    pub max_backoff: Duration,
    /// How long a job waits for the server's pace, all its waits together; beyond it the last 429
    /// is its outcome.
    pub max_rate_limit_wait: Duration,
    /// Requests that may be on the wire at once, those aside that ask the server to wait for news.
    pub max_in_flight: usize,
    /// Requests that ask the server to wait for news, such as `/sync` with a timeout, at once.
    pub max_long_polls: usize,
    /// Jobs that have not ended. Beyond it a submitted one is refused.
    pub max_jobs: usize,
    /// Outcomes that are kept until they are forgotten; beyond it the oldest goes.
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
    /// For jobs that nobody waits for at a terminal: a server may be away for about two days, and
    /// its pace may hold a job up for one.
    pub fn patient() -> Self {
        Self {
            max_attempts: 5_000,
            max_backoff: Duration::from_secs(60),
            max_rate_limit_wait: Duration::from_secs(24 * 60 * 60),
            ..Self::default()
        }
    }
}

pub(super) enum Decision {
    End(Outcome),
    Retry { wait: Duration, why: WaitReason },
}

/// What has been tried of a job so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts {
    /// How often it went on the wire.
    pub(super) sent: u32,
    /// Whether an earlier attempt may have been processed, of an earlier process too.
    pub(super) may_be_processed: bool,
    /// How often its credential was renewed.
    pub(super) renewals: u32,
    /// Attempts that failed; waits for the server's pace are not counted here.
    pub(super) failures: u32,
    /// Waits for the server's pace.
    pub(super) rate_limits: u32,
    /// How long those waits were together.
    pub(super) rate_limited_for: Duration,
}

impl Attempts {
    /// What may be said of a job that ends so, with all its attempts in mind.
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

/// Whether the server may have acted on a request that is answered so and tried again.
pub(super) fn may_be_processed(answer: &TransportResult) -> bool {
    match answer {
        TransportResult::Response(response) => {
            processed_by_status(response) == Some(Processed::Maybe)
        }
        TransportResult::Failed(error) => error.processed == Processed::Maybe,
        TransportResult::Cancelled => true,
    }
}

/// What a server that names no time is given after a 429.
const DEFAULT_PACE: Duration = Duration::from_secs(1);
/// What any server is given after a first 429; doubled with each further one, up to 256 times.
const FIRST_PACE: Duration = Duration::from_millis(50);

/// What an answer means for its job; `pace` is how long its class waits, if it was refused.
pub(super) fn decide(
    job: &Job,
    answer: TransportResult,
    limits: &SchedulerConfig,
    tried: &Attempts,
    pace: Duration,
    cx: &mut StepContext<'_>,
) -> Decision {
    let response = match answer {
        TransportResult::Response(response) => response,
        TransportResult::Failed(error) => {
            return decide_failure(job, error, limits, tried.failures, cx);
        }
        TransportResult::Cancelled => return Decision::End(aborted_in_flight()),
    };
    if response.status_code() == 429 {
        let wait = pace;
        return if tried.rate_limited_for.saturating_add(wait) <= limits.max_rate_limit_wait {
            Decision::Retry {
                wait,
                why: WaitReason::RateLimited,
            }
        } else {
            Decision::End(Outcome::Responded(job.respond(response)))
        };
    }
    match processed_by_status(&response) {
        None => Decision::End(Outcome::Responded(job.respond(response))),
        Some(processed) => {
            let message = format!(
                "{} answered with status {}",
                job.masked_url(),
                response.status_code()
            );
            let error = TransportError {
                kind: TransportErrorKind::ConnectionLost,
                processed,
                message,
            };
            match decide_failure(job, error, limits, tried.failures, cx) {
                // The server did answer: its words are worth more than ours.
                Decision::End(Outcome::Failed(_)) => {
                    Decision::End(Outcome::Responded(job.respond(response)))
                }
                verdict => verdict,
            }
        }
    }
}

/// How long a 429 asks to wait.
pub(super) fn rate_limit_wait(response: &Response, tried: &Attempts) -> Duration {
    // A server that says "now" each time must not be asked in a tight loop.
    let floor = FIRST_PACE.saturating_mul(1 << tried.rate_limits.min(8));
    response.retry_after().unwrap_or(DEFAULT_PACE).max(floor)
}

/// For a status that stands for trouble on the way: whether the request was processed.
/// `None` where the status is the server's own, final word.
fn processed_by_status(response: &Response) -> Option<Processed> {
    match response.status_code() {
        408 | 503 => Some(Processed::No),
        500 if !response.error_code().is_empty() => None,
        500 | 502 | 504 | 520..=527 => Some(Processed::Maybe),
        _ => None,
    }
}

fn decide_failure(
    job: &Job,
    error: TransportError,
    limits: &SchedulerConfig,
    failures: u32,
    cx: &mut StepContext<'_>,
) -> Decision {
    let again =
        error.processed == Processed::No || job.retry_safety() != RetrySafety::OnlyIfNotProcessed;
    if again && error.kind.is_transient() && failures + 1 < limits.max_attempts {
        let wait = backoff(limits, failures, cx);
        return Decision::Retry {
            wait,
            why: WaitReason::Unreachable(error.message),
        };
    }
    Decision::End(if again {
        Outcome::Failed(error)
    } else {
        Outcome::InDoubt(error)
    })
}

/// Exponential back-off with full jitter.
fn backoff(limits: &SchedulerConfig, failures: u32, cx: &mut StepContext<'_>) -> Duration {
    let bound = limits
        .initial_backoff
        .saturating_mul(1 << failures.min(16))
        .min(limits.max_backoff);
    let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(cx.entropy.below(millis.saturating_add(1)))
}

/// The end of a job that was on the wire when the process ended.
pub(super) fn interrupted() -> TransportError {
    TransportError {
        kind: TransportErrorKind::ConnectionLost,
        processed: Processed::Maybe,
        message: "the program ended before the answer came".to_owned(),
    }
}

/// The end of a job that was called back when it was on the wire already.
pub(super) fn aborted_in_flight() -> Outcome {
    Outcome::InDoubt(TransportError {
        kind: TransportErrorKind::ConnectionLost,
        processed: Processed::Maybe,
        message: "the request was called back after it was sent".to_owned(),
    })
}
