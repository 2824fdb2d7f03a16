//! Faults that a scheduler, a store or a runner could have, each put in on purpose: what a check does
//! not catch, it does not see.

use std::fmt;

use matricula_core::{
    Body, Job, Processed, QueuePolicy, Response, RetrySafety, TransportResult, Write, WriteBatch,
    scheduler::{Input, tables},
};

/// Something done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Requests go out, and ends are told, before what they follow from is written.
    NothingIsWrittenAhead,
    /// What is told as durable was not forced to the disk.
    NothingIsForcedToTheDisk,
    /// A write that is interrupted leaves half of its changes.
    WritesAreTorn,
    /// The changes of one write are made in the wrong order.
    WritesAreReordered,
    /// That a write failed is not noticed.
    FailedWritesAreIgnored,
    /// What is removed stays.
    RemovalsAreLost,
    /// Jobs are not written.
    JobsAreLost,
    /// Outcomes are not written.
    OutcomesAreLost,
    /// That a request may be on the wire is not written.
    SendingIsNotWritten,
    /// That job ids were given is not written.
    TicketsAreNotCounted,
    /// That a queue is paused or held is not written.
    QueuesAreForgotten,
    /// After a restart, a message goes with another transaction id.
    TransactionIdsAreNew,
    /// After a restart, jobs stand in another order.
    OrderIsForgotten,
    /// What must not go twice is taken for harmless.
    EverythingIsIdempotent,
    /// What may have been processed is taken for not processed.
    MaybeIsTakenForNo,
    /// What was not processed is taken for perhaps processed.
    NoIsTakenForMaybe,
    /// Each request goes out twice.
    RequestsAreDoubled,
    /// A job that is called back is told as cancelled, and goes all the same.
    CancelIsLost,
    /// Answers to what stands in queues are now and then lost.
    AnswersAreLost,
    /// A refusal because of too many requests is taken for any other trouble.
    PaceIsIgnored,
    /// How long the server asks to wait is not read.
    RetryAfterIsIgnored,
    /// Nobody wakes it.
    WakesAreLost,
    /// It is woken each millisecond while anything waits.
    WakesAreMany,
    /// Jobs of queues go as if they were of none.
    QueuesAreIgnored,
    /// What stands behind a failed job goes all the same.
    CancelFutureIsIgnored,
    /// A queue that is to be held goes on.
    HoldIsIgnored,
    /// A queue that is to be paused goes on.
    PauseIsIgnored,
    /// Requests go out without a network.
    OfflineIsIgnored,
    /// A credential that is asked for never comes.
    RenewalIsLost,
    /// Ends are told twice.
    EndsAreDoubled,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::NothingIsWrittenAhead,
        Self::NothingIsForcedToTheDisk,
        Self::WritesAreTorn,
        Self::WritesAreReordered,
        Self::FailedWritesAreIgnored,
        Self::RemovalsAreLost,
        Self::JobsAreLost,
        Self::OutcomesAreLost,
        Self::SendingIsNotWritten,
        Self::TicketsAreNotCounted,
        Self::QueuesAreForgotten,
        Self::TransactionIdsAreNew,
        Self::OrderIsForgotten,
        Self::EverythingIsIdempotent,
        Self::MaybeIsTakenForNo,
        Self::NoIsTakenForMaybe,
        Self::RequestsAreDoubled,
        Self::CancelIsLost,
        Self::AnswersAreLost,
        Self::PaceIsIgnored,
        Self::RetryAfterIsIgnored,
        Self::WakesAreLost,
        Self::WakesAreMany,
        Self::QueuesAreIgnored,
        Self::CancelFutureIsIgnored,
        Self::HoldIsIgnored,
        Self::PauseIsIgnored,
        Self::OfflineIsIgnored,
        Self::RenewalIsLost,
        Self::EndsAreDoubled,
    ];

    /// What reaches the disk of a patch.
    pub(crate) fn on_patch(self, patch: &WriteBatch) -> WriteBatch {
        let mut changes: Vec<Write> = patch.writes().to_vec();
        match self {
            Self::WritesAreReordered => changes.reverse(),
            Self::RemovalsAreLost => changes.retain(|change| change.value.is_some()),
            _ => {}
        }
        let lost = match self {
            Self::JobsAreLost => tables::JOBS,
            Self::OutcomesAreLost => tables::OUTCOMES,
            Self::SendingIsNotWritten => tables::SENT,
            Self::TicketsAreNotCounted => tables::COUNTERS,
            Self::QueuesAreForgotten => tables::QUEUES,
            _ => "",
        };
        changes.retain(|change| change.table != lost);
        patch_of(changes)
    }

    /// What is left of a patch whose write was interrupted.
    pub(crate) fn torn(self, patch: &WriteBatch) -> Option<WriteBatch> {
        let half = patch.writes().len() / 2;
        (self == Self::WritesAreTorn).then(|| patch_of(patch.writes()[..half].to_vec()))
    }

    /// What a scheduler comes back from.
    pub(crate) fn on_entries(self, entries: &mut [(String, String, Vec<u8>)]) {
        let mut jobs: Vec<_> = entries
            .iter_mut()
            .filter(|(table, ..)| table == tables::JOBS)
            .collect();
        match self {
            Self::TransactionIdsAreNew => {
                for (.., job) in jobs {
                    let text = String::from_utf8_lossy(job);
                    *job = text
                        .replace("/m.room.message/", "/m.room.message/again-")
                        .into();
                }
            }
            Self::OrderIsForgotten => {
                let mut values: Vec<_> = jobs.iter().map(|(.., job)| job.clone()).collect();
                values.reverse();
                for ((.., job), value) in jobs.iter_mut().zip(values) {
                    *job = value;
                }
            }
            _ => {}
        }
    }

    /// The job that the scheduler gets for one that is handed in.
    pub(crate) fn on_job(self, job: Job) -> Job {
        let (id, policy) = (job.queue_id().map(str::to_owned), job.queue_policy());
        let ignored = match self {
            Self::CancelFutureIsIgnored => QueuePolicy::CancelFutureIfFailed,
            Self::HoldIsIgnored => QueuePolicy::Hold,
            _ => QueuePolicy::AlwaysContinue,
        };
        match (self, id) {
            (Self::EverythingIsIdempotent, _) => job.with_retry_safety(RetrySafety::Idempotent),
            (Self::QueuesAreIgnored, Some(id)) => {
                let alone = format!("{id} {}", job.url());
                job.with_queue(alone, policy)
            }
            (_, Some(id)) if policy == ignored => job.with_queue(id, QueuePolicy::AlwaysContinue),
            _ => job,
        }
    }

    /// The input that the scheduler gets.
    pub(crate) fn on_input(self, input: Input) -> Option<Input> {
        match (self, input) {
            (Self::PauseIsIgnored, Input::PauseQueue(_))
            | (Self::OfflineIsIgnored, Input::SetOnline(_)) => None,
            // One in two: the others let it go on for long enough to be seen.
            (Self::AnswersAreLost, Input::Completed(id, _)) if id.0 % 2 == 0 => None,
            (_, Input::Completed(id, answer)) => Some(Input::Completed(id, self.on_answer(answer))),
            (_, input) => Some(input),
        }
    }

    fn on_answer(self, answer: TransportResult) -> TransportResult {
        match answer {
            TransportResult::Failed(mut error) => {
                match self {
                    Self::MaybeIsTakenForNo => error.processed = Processed::No,
                    Self::NoIsTakenForMaybe => error.processed = Processed::Maybe,
                    _ => {}
                }
                TransportResult::Failed(error)
            }
            TransportResult::Response(response) if response.status_code() == 429 => {
                let status = match self {
                    Self::PaceIsIgnored => 503,
                    _ => 429,
                };
                match self {
                    Self::PaceIsIgnored | Self::RetryAfterIsIgnored => {
                        TransportResult::Response(Response::new(status, Vec::new(), Body::Empty))
                    }
                    _ => TransportResult::Response(response),
                }
            }
            answer => answer,
        }
    }
}

fn patch_of(changes: Vec<Write>) -> WriteBatch {
    let mut patch = WriteBatch::default();
    for change in changes {
        match change.value {
            Some(value) => patch.put(change.table, change.key, value),
            None => patch.remove(change.table, change.key),
        }
    }
    patch
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
            .ok_or_else(|| format!("there is no fault {text}; they are {:?}", Self::ALL))
    }
}
