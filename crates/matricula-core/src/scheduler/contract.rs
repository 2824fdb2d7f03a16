//! The words in which a scheduler is spoken to, and answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CredentialRef, EffectId, Job, Response, Timestamp, TransportError, TransportResult};

/// Names one submitted job, uniquely within its scheduler, restarts included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

/// What can happen to a scheduler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// Goes on with what was read back from a store.
    Start,
    /// A job is handed in; [`Event::Accepted`] tells its job id, or [`Event::Rejected`] why not.
    Submit(Arc<Job>),
    /// The answer to an [`Effect::Send`].
    Completed(EffectId, TransportResult),
    /// A job is called back. It ends as cancelled, or in doubt where it may have been processed: it is
    /// on the wire, or an earlier attempt came back without an answer.
    Cancel(JobId),
    /// The queue of this id sends nothing more until it is resumed.
    PauseQueue(String),
    /// The queue of this id goes on.
    ResumeQueue(String),
    /// The queue of this id, which was held, tries its head again.
    RetryHead(String),
    /// The queue of this id, which was held, lets its head end as it stands, and goes on.
    SkipHead(String),
    /// This credential is good again: the answer to [`Effect::NeedCredential`].
    CredentialReady(CredentialRef),
    /// This credential will not be good again; the jobs that wait for it end.
    CredentialRefused(CredentialRef),
    /// Whether there is a network. Without one nothing is sent, and no failure counts.
    SetOnline(bool),
    /// The outcome of a job that was kept has been taken: it need not be kept any longer.
    DropOutcome(JobId),
    /// The time that [`Step::wake_at`](crate::Step::wake_at) named has come.
    Wake,
}

/// What a scheduler wants done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Send this job, and answer by the id.
    Send(EffectId, Arc<Job>),
    /// Stop sending: nobody waits for this answer any more. It needs none.
    Abort(EffectId),
    /// The server does not take this credential any more: get another, and say so.
    NeedCredential(CredentialRef),
}

impl Effect {
    /// What is left to carry out of effects that were held back together: a request that is called
    /// back among them need not be sent at all.
    pub fn left_of(mut effects: Vec<Self>) -> Vec<Self> {
        let is_sent = |id: &EffectId, effects: &[Self]| {
            let mut effects = effects.iter();
            effects.any(|effect| matches!(effect, Self::Send(sent, _) if sent == id))
        };
        let called_back: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Self::Abort(id) if is_sent(id, &effects) => Some(*id),
                _ => None,
            })
            .collect();
        if !called_back.is_empty() {
            effects.retain(|effect| match effect {
                Self::Send(id, _) | Self::Abort(id) => !called_back.contains(id),
                Self::NeedCredential(_) => true,
            });
        }
        effects
    }
}

/// What a scheduler tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The job that was just submitted has this job id.
    Accepted(JobId),
    /// The job that was just submitted is not taken.
    Rejected(Rejection),
    /// The job goes on the wire.
    Started {
        /// Which job.
        job_id: JobId,
        /// The how manieth time, from 1.
        attempt: u32,
    },
    /// The job waits before it is tried again.
    Waiting {
        /// Which job.
        job_id: JobId,
        /// Until when.
        until: Timestamp,
        /// What for.
        reason: WaitReason,
    },
    /// The job waits for its credential.
    AwaitingCredential {
        /// Which job.
        job_id: JobId,
        /// For which credential.
        credential: CredentialRef,
    },
    /// The queue's head failed for good, and its policy is to wait for [`Input::RetryHead`] or
    /// [`Input::SkipHead`].
    Held {
        /// Which queue.
        queue: String,
        /// Its head.
        job_id: JobId,
        /// How the head would end.
        outcome: Outcome,
    },
    /// The job has ended. Told exactly once a job.
    Finished(JobId, Outcome),
}

impl Event {
    /// The job that it is about; none where a job was not taken.
    pub fn job_id(&self) -> Option<JobId> {
        match self {
            Self::Accepted(job_id)
            | Self::Started { job_id, .. }
            | Self::Waiting { job_id, .. }
            | Self::AwaitingCredential { job_id, .. }
            | Self::Held { job_id, .. }
            | Self::Finished(job_id, _) => Some(*job_id),
            Self::Rejected(_) => None,
        }
    }
}

/// Why a job is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// As many jobs wait as may.
    #[error("{most} jobs wait already, and no more are taken; wait until some have ended")]
    Full {
        /// How many may.
        most: usize,
    },
    /// It would be kept on disk, and holds a secret or asks for one.
    #[error(
        "the job holds a secret or asks for one, and a queue that is kept must not; name a credential instead, or send it outside of a queue"
    )]
    Secret,
}

/// Why a job is not on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// The server asks for fewer requests.
    RateLimited,
    /// The server could not be reached; in its words or the network's.
    Unreachable(String),
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The server answered; [`Response::success`] tells how.
    Responded(Response),
    /// No answer came that says what became of it, and it may be asked again: it was certainly not
    /// processed, or doing it twice is doing it once. [`TransportError::processed`] tells which.
    Failed(TransportError),
    /// It may have been processed, and asking again could do it twice.
    InDoubt(TransportError),
    /// It was called back before it may have been processed, or one that it stood behind has failed.
    Cancelled,
}

impl Outcome {
    /// Whether the server did what was asked.
    pub fn success(&self) -> bool {
        matches!(self, Self::Responded(response) if response.success())
    }
}

/// Where a job stands; see [`Scheduler::status`](super::Scheduler::status).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobStatus {
    /// Its answer is waited for.
    InFlight,
    /// Others of its queue go first.
    Queued {
        /// How many.
        ahead: usize,
    },
    /// It goes as soon as others have ended: as many are on the wire as may.
    Ready,
    /// It waits for the server's pace.
    RateLimited {
        /// Until when.
        until: Timestamp,
    },
    /// The server could not be reached, and it is tried again.
    BackingOff {
        /// When.
        until: Timestamp,
    },
    /// It waits for a credential.
    AwaitingCredential {
        /// Which.
        credential: CredentialRef,
    },
    /// It failed for good, and its queue waits to be told what to do.
    Held,
    /// Its queue is paused.
    Paused,
    /// There is no network.
    Offline,
}
