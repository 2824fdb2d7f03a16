//! What jobs stand in: their own queues, and the lanes towards a server.

use imbl::Vector;

use super::{JobId, Outcome, rate_limit::RateLimiter};

/// A queue that a program named: one of its jobs is on the wire at most, in order.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) id: String,
    pub(super) jobs: Vector<JobId>,
    pub(super) paused: bool,
    /// How the head would end, while the queue waits to be told what to do.
    pub(super) held: Option<Outcome>,
    /// The lane that it stands in with its head. Where it stands in another still, it is passed over.
    pub(super) bucket: Option<BucketKey>,
}

impl Queue {
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            jobs: Vector::new(),
            paused: false,
            held: None,
            bucket: None,
        }
    }

    /// Whether there is anything to remember of it.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty() && !self.paused
    }
}

/// Names a queue as long as it has jobs; never used twice.
pub(super) type QueueKey = u64;

/// Names a lane as long as it has jobs; never used twice.
pub(super) type BucketKey = u64;

/// Who takes a step in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadyEntry {
    /// The head of a queue.
    Queue(QueueKey),
    /// A job of no queue.
    Single(JobId),
}

/// Requests of one class towards one server, which share its pace.
#[derive(Clone, Debug)]
pub(super) struct RateLimitBucket {
    pub(super) polls: bool,
    pub(super) limiter: RateLimiter,
    /// Whose step it is; what has ended meanwhile is passed over.
    pub(super) ready: Vector<ReadyEntry>,
    /// How many of those have ended meanwhile, at most.
    pub(super) stale: usize,
    /// Whether it stands among the lanes that take turns.
    pub(super) is_listed: bool,
    /// When it is to be looked at again.
    pub(super) timer: Option<crate::Timestamp>,
    /// How many of its requests are on the wire.
    pub(super) in_flight: usize,
    /// How many jobs are for it, wherever they stand.
    pub(super) jobs: usize,
}

impl RateLimitBucket {
    /// Whether it is to stand among those that take turns from now on, where it does not yet.
    pub(super) fn needs_listing(&mut self) -> bool {
        let is_new = !self.is_listed && !self.ready.is_empty();
        self.is_listed |= is_new;
        is_new
    }

    pub(super) fn new(polls: bool) -> Self {
        Self {
            polls,
            limiter: RateLimiter::default(),
            ready: Vector::new(),
            stale: 0,
            is_listed: false,
            timer: None,
            in_flight: 0,
            jobs: 0,
        }
    }
}
