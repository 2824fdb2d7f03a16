//! Injected faults of a scheduler, a store or a runner. They show that the checks detect them.

use std::fmt;

use matricula_core::{
    Body, Job, Processed, QueuePolicy, Response, RetrySafety, TransportResult, Write, WriteBatch,
    scheduler::{Input, tables},
};

/// A fault to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Effects are carried out and events reported before the writes of their step.
    NoWriteAhead,
    /// Writes are reported as durable but not synced.
    NoSync,
    /// A batch that is interrupted leaves half of its writes.
    TornWrites,
    /// The writes of a batch are applied in reverse order.
    ReorderedWrites,
    /// A failed write is not noticed.
    IgnoredWriteErrors,
    /// Removals are not written.
    LostRemovals,
    /// Jobs are not written.
    LostJobs,
    /// Outcomes are not written.
    LostOutcomes,
    /// The mark of a request that may be in flight is not written.
    SentNotWritten,
    /// The counter of job ids is not written.
    LostJobIdCounter,
    /// The state of paused and held queues is not written.
    LostQueueState,
    /// After a restart, a message gets another transaction id.
    NewTransactionIds,
    /// After a restart, jobs are in another order.
    LostOrder,
    /// Every job is treated as idempotent.
    AllIdempotent,
    /// A request that may have been processed is treated as not processed.
    MaybeAsNo,
    /// A request that was not processed is treated as maybe processed.
    NoAsMaybe,
    /// Each request is sent twice.
    DoubledRequests,
    /// A cancelled job is reported as cancelled, and sent all the same.
    LostCancel,
    /// Every second result is lost.
    LostResults,
    /// A 429 is treated as a 408.
    IgnoredRateLimit,
    /// The wait of a 429 is ignored.
    IgnoredRetryAfter,
    /// The scheduler is never woken.
    LostWakes,
    /// The scheduler is woken each millisecond while a timer is set.
    ExcessiveWakes,
    /// Each job of a queue is in a queue of its own.
    IgnoredQueues,
    /// Jobs behind a failed one are not cancelled.
    IgnoredCancelFuture,
    /// A queue is not held.
    IgnoredHold,
    /// A queue is not paused.
    IgnoredPause,
    /// Requests are sent without a network.
    IgnoredOffline,
    /// A credential is never renewed.
    LostRenewal,
    /// Outcomes are reported twice.
    DoubledOutcomes,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 30] = [
        Self::NoWriteAhead,
        Self::NoSync,
        Self::TornWrites,
        Self::ReorderedWrites,
        Self::IgnoredWriteErrors,
        Self::LostRemovals,
        Self::LostJobs,
        Self::LostOutcomes,
        Self::SentNotWritten,
        Self::LostJobIdCounter,
        Self::LostQueueState,
        Self::NewTransactionIds,
        Self::LostOrder,
        Self::AllIdempotent,
        Self::MaybeAsNo,
        Self::NoAsMaybe,
        Self::DoubledRequests,
        Self::LostCancel,
        Self::LostResults,
        Self::IgnoredRateLimit,
        Self::IgnoredRetryAfter,
        Self::LostWakes,
        Self::ExcessiveWakes,
        Self::IgnoredQueues,
        Self::IgnoredCancelFuture,
        Self::IgnoredHold,
        Self::IgnoredPause,
        Self::IgnoredOffline,
        Self::LostRenewal,
        Self::DoubledOutcomes,
    ];

    /// The batch that is written instead.
    pub(crate) fn on_write(self, batch: &WriteBatch) -> WriteBatch {
        let mut writes: Vec<Write> = batch.writes().to_vec();
        match self {
            Self::ReorderedWrites => writes.reverse(),
            Self::LostRemovals => writes.retain(|write| write.value.is_some()),
            _ => {}
        }
        let lost = match self {
            Self::LostJobs => tables::JOBS,
            Self::LostOutcomes => tables::OUTCOMES,
            Self::SentNotWritten => tables::SENT,
            Self::LostJobIdCounter => tables::COUNTERS,
            Self::LostQueueState => tables::QUEUES,
            _ => "",
        };
        writes.retain(|write| write.table != lost);
        batch_of(writes)
    }

    /// What is left of a batch that was interrupted.
    pub(crate) fn torn(self, batch: &WriteBatch) -> Option<WriteBatch> {
        let half = batch.writes().len() / 2;
        (self == Self::TornWrites).then(|| batch_of(batch.writes()[..half].to_vec()))
    }

    /// Changes the entries from which a scheduler is restored.
    pub(crate) fn on_entries(self, entries: &mut [(String, String, Vec<u8>)]) {
        let mut jobs: Vec<_> = entries
            .iter_mut()
            .filter(|(table, ..)| table == tables::JOBS)
            .collect();
        match self {
            Self::NewTransactionIds => {
                for (.., job) in jobs {
                    let text = String::from_utf8_lossy(job);
                    *job = text
                        .replace("/m.room.message/", "/m.room.message/again-")
                        .into();
                }
            }
            Self::LostOrder => {
                let mut values: Vec<_> = jobs.iter().map(|(.., job)| job.clone()).collect();
                values.reverse();
                for ((.., job), value) in jobs.iter_mut().zip(values) {
                    *job = value;
                }
            }
            _ => {}
        }
    }

    /// The job that is submitted instead.
    pub(crate) fn on_job(self, job: Job) -> Job {
        let (id, policy) = (job.queue_id().map(str::to_owned), job.queue_policy());
        let ignored = match self {
            Self::IgnoredCancelFuture => QueuePolicy::CancelFutureIfFailed,
            Self::IgnoredHold => QueuePolicy::Hold,
            _ => QueuePolicy::AlwaysContinue,
        };
        match (self, id) {
            (Self::AllIdempotent, _) => job.with_retry_safety(RetrySafety::Idempotent),
            (Self::IgnoredQueues, Some(id)) => {
                let alone = format!("{id} {}", job.url());
                job.with_queue(alone, policy)
            }
            (_, Some(id)) if policy == ignored => job.with_queue(id, QueuePolicy::AlwaysContinue),
            _ => job,
        }
    }

    /// The input that the scheduler gets instead.
    pub(crate) fn on_input(self, input: Input) -> Option<Input> {
        match (self, input) {
            (Self::IgnoredPause, Input::PauseQueue(_))
            | (Self::IgnoredOffline, Input::SetOnline(_)) => None,
            // Only every second one, so that the run continues.
            (Self::LostResults, Input::Completed(id, _)) if id.0 % 2 == 0 => None,
            (_, Input::Completed(id, result)) => Some(Input::Completed(id, self.on_result(result))),
            (_, input) => Some(input),
        }
    }

    fn on_result(self, result: TransportResult) -> TransportResult {
        match result {
            TransportResult::Failed(mut error) => {
                match self {
                    Self::MaybeAsNo => error.processed = Processed::No,
                    Self::NoAsMaybe => error.processed = Processed::Maybe,
                    _ => {}
                }
                TransportResult::Failed(error)
            }
            TransportResult::Response(response) if response.status_code() == 429 => {
                let status = match self {
                    Self::IgnoredRateLimit => 408,
                    _ => 429,
                };
                match self {
                    Self::IgnoredRateLimit | Self::IgnoredRetryAfter => {
                        TransportResult::Response(Response::new(status, Vec::new(), Body::Empty))
                    }
                    _ => TransportResult::Response(response),
                }
            }
            result => result,
        }
    }
}

fn batch_of(writes: Vec<Write>) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for write in writes {
        match write.value {
            Some(value) => batch.put(write.table, write.key, value),
            None => batch.remove(write.table, write.key),
        }
    }
    batch
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::str::FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|fault| fault.to_string() == text)
            .ok_or_else(|| format!("there is no fault {text}; the faults are {:?}", Self::ALL))
    }
}
