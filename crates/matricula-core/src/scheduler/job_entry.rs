//! What the scheduler knows of one job, with the keys and timers that its parts share.

use std::{collections::BTreeSet, sync::Arc};

use super::{JobId, retry::Attempts};
use crate::{EffectId, Job, Timestamp};

/// Identifies a queue while it exists; never reused.
pub(super) type QueueKey = u64;

/// Identifies a rate-limit bucket while it exists; never reused.
pub(super) type BucketKey = u64;

/// A job that has not ended.
#[derive(Clone, Debug)]
pub(super) struct JobEntry {
    pub(super) job: Arc<Job>,
    pub(super) queue: Option<QueueKey>,
    pub(super) bucket: BucketKey,
    pub(super) state: JobState,
    pub(super) attempts: Attempts,
    /// When the last attempt was sent.
    pub(super) sent_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    /// In its queue, or in the ready list of its bucket.
    Queued,
    InFlight(EffectId),
    BackingOff(Timestamp),
    AwaitingCredential,
    /// It failed, and its queue is held.
    Held,
}

/// The timers that are set, the earliest first.
pub(super) type Timers = BTreeSet<(Timestamp, Timer)>;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The bucket's rate limit allows the next request.
    Bucket(BucketKey),
    /// The job's back-off is over.
    Job(JobId),
}
