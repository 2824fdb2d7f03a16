//! Judges an answer: first whether the request was processed, then whether to try again.

use std::time::Duration;

use super::{Outcome, Wait};
use crate::{Answer, Cx, Job, Processed, Response, Retry, TransportError, TransportKind};

/// How long a job is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Attempts in all before a job that cannot reach the server is given up.
    pub attempts: u32,
    /// The wait before the second attempt is drawn from zero to this, and doubles with each one.
    pub first_back_off: Duration,
    /// The longest of those waits.
    pub longest_back_off: Duration,
    /// How long a job waits for the server's pace, all its waits together; beyond it the last 429
    /// is its outcome.
    pub longest_pace: Duration,
    /// Requests that may be on the wire at once, those aside that ask the server to wait for news.
    pub on_the_wire: usize,
    /// Requests that ask the server to wait for news, such as `/sync` with a timeout, at once.
    pub polls: usize,
    /// Jobs that have not ended. Beyond it a submitted one is refused.
    pub jobs: usize,
    /// Outcomes that are kept until they are forgotten; beyond it the oldest goes.
    pub outcomes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_back_off: Duration::from_millis(500),
            longest_back_off: Duration::from_secs(30),
            longest_pace: Duration::from_secs(600),
            on_the_wire: 16,
            polls: 64,
            jobs: 1_000_000,
            outcomes: 10_000,
        }
    }
}

impl Limits {
    /// For jobs that nobody waits for at a terminal: a server may be away for about two days, and
    /// its pace may hold a job up for one.
    pub fn patient() -> Self {
        Self {
            attempts: 5_000,
            longest_back_off: Duration::from_secs(60),
            longest_pace: Duration::from_secs(24 * 60 * 60),
            ..Self::default()
        }
    }
}

pub(super) enum Verdict {
    End(Outcome),
    Wait { wait: Duration, why: Wait },
}

/// What has been tried of a job so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tried {
    /// How often it went on the wire.
    pub(super) sent: u32,
    /// Whether an earlier attempt may have been processed, of an earlier process too.
    pub(super) may_be_processed: bool,
    /// How often its credential was renewed.
    pub(super) renewals: u32,
    /// Attempts that failed; waits for the server's pace are not counted here.
    pub(super) failures: u32,
    /// Waits for the server's pace.
    pub(super) paces: u32,
    /// How long those waits were together.
    pub(super) paced: Duration,
}

impl Tried {
    /// What may be said of a job that ends so, with all its attempts in mind.
    pub(super) fn told(&self, job: &Job, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Failed(mut error) if self.may_be_processed => {
                error.processed = Processed::Maybe;
                match job.retry() {
                    Retry::NotProcessed => Outcome::InDoubt(error),
                    _ => Outcome::Failed(error),
                }
            }
            Outcome::Cancelled if self.may_be_processed => called_back(),
            outcome => outcome,
        }
    }
}

/// Whether the server may have acted on a request that is answered so and tried again.
pub(super) fn may_be_processed(answer: &Answer) -> bool {
    match answer {
        Answer::Response(response) => processed_by_status(response) == Some(Processed::Maybe),
        Answer::Failed(error) => error.processed == Processed::Maybe,
        Answer::Cancelled => true,
    }
}

/// What a server that names no time is given after a 429.
const DEFAULT_PACE: Duration = Duration::from_secs(1);
/// What any server is given after a first 429; doubled with each further one, up to 256 times.
const FIRST_PACE: Duration = Duration::from_millis(50);

/// What an answer means for its job; `pace` is how long its class waits, if it was refused.
pub(super) fn judge(
    job: &Job,
    answer: Answer,
    limits: &Limits,
    tried: &Tried,
    pace: Duration,
    cx: &mut Cx<'_>,
) -> Verdict {
    let response = match answer {
        Answer::Response(response) => response,
        Answer::Failed(error) => return judge_failure(job, error, limits, tried.failures, cx),
        Answer::Cancelled => return Verdict::End(called_back()),
    };
    if response.status_code() == 429 {
        let wait = pace;
        return if tried.paced.saturating_add(wait) <= limits.longest_pace {
            Verdict::Wait {
                wait,
                why: Wait::RateLimited,
            }
        } else {
            Verdict::End(Outcome::Done(job.gen_response(response)))
        };
    }
    match processed_by_status(&response) {
        None => Verdict::End(Outcome::Done(job.gen_response(response))),
        Some(processed) => {
            let message = format!(
                "{} answered with status {}",
                job.masked_url(),
                response.status_code()
            );
            let error = TransportError {
                kind: TransportKind::Cut,
                processed,
                message,
            };
            match judge_failure(job, error, limits, tried.failures, cx) {
                // The server did answer: its words are worth more than ours.
                Verdict::End(Outcome::Failed(_)) => {
                    Verdict::End(Outcome::Done(job.gen_response(response)))
                }
                verdict => verdict,
            }
        }
    }
}

/// How long a 429 asks to wait.
pub(super) fn pace(response: &Response, tried: &Tried) -> Duration {
    // A server that says "now" each time must not be asked in a tight loop.
    let floor = FIRST_PACE.saturating_mul(1 << tried.paces.min(8));
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

fn judge_failure(
    job: &Job,
    error: TransportError,
    limits: &Limits,
    failures: u32,
    cx: &mut Cx<'_>,
) -> Verdict {
    let again = error.processed == Processed::No || job.retry() != Retry::NotProcessed;
    if again && error.kind.is_transient() && failures + 1 < limits.attempts {
        let wait = back_off(limits, failures, cx);
        return Verdict::Wait {
            wait,
            why: Wait::Unreachable(error.message),
        };
    }
    Verdict::End(if again {
        Outcome::Failed(error)
    } else {
        Outcome::InDoubt(error)
    })
}

/// Exponential back-off with full jitter.
fn back_off(limits: &Limits, failures: u32, cx: &mut Cx<'_>) -> Duration {
    let bound = limits
        .first_back_off
        .saturating_mul(1 << failures.min(16))
        .min(limits.longest_back_off);
    let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(cx.entropy.below(millis.saturating_add(1)))
}

/// The end of a job that was on the wire when the process ended.
pub(super) fn interrupted() -> TransportError {
    TransportError {
        kind: TransportKind::Cut,
        processed: Processed::Maybe,
        message: "the program ended before the answer came".to_owned(),
    }
}

/// The end of a job that was called back when it was on the wire already.
pub(super) fn called_back() -> Outcome {
    Outcome::InDoubt(TransportError {
        kind: TransportKind::Cut,
        processed: Processed::Maybe,
        message: "the request was called back after it was sent".to_owned(),
    })
}
