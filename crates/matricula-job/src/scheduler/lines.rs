//! What jobs stand in: their own queues, and the lanes towards a server.

use imbl::Vector;

use super::{Outcome, Ticket, pace::Pace};

/// A queue that a program named: one of its jobs is on the wire at most, in order.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) id: String,
    pub(super) line: Vector<Ticket>,
    pub(super) paused: bool,
    /// How the head would end, while the queue waits to be told what to do.
    pub(super) held: Option<Outcome>,
    /// The lane that it stands in with its head. Where it stands in another still, it is passed over.
    pub(super) listed: Option<LaneKey>,
}

impl Queue {
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            line: Vector::new(),
            paused: false,
            held: None,
            listed: None,
        }
    }

    /// Whether there is anything to remember of it.
    pub(super) fn is_idle(&self) -> bool {
        self.line.is_empty() && !self.paused
    }
}

/// Names a queue as long as it has jobs; never used twice.
pub(super) type QueueKey = u64;

/// Names a lane as long as it has jobs; never used twice.
pub(super) type LaneKey = u64;

/// Who takes a turn in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The head of a queue.
    Queue(QueueKey),
    /// A job of no queue.
    Single(Ticket),
}

/// Requests of one class towards one server, which share its pace.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) polls: bool,
    pub(super) pace: Pace,
    /// Whose turn it is; what has ended meanwhile is passed over.
    pub(super) ready: Vector<Line>,
    /// How many of those have ended meanwhile, at most.
    pub(super) stale: usize,
    /// Whether it stands among the lanes that take turns.
    pub(super) in_turns: bool,
    /// When it is to be looked at again.
    pub(super) timer: Option<crate::Timestamp>,
    /// How many of its requests are on the wire.
    pub(super) on_the_wire: usize,
    /// How many jobs are for it, wherever they stand.
    pub(super) jobs: usize,
}

impl Lane {
    /// Whether it is to stand among those that take turns from now on, where it does not yet.
    pub(super) fn takes_a_turn(&mut self) -> bool {
        let is_new = !self.in_turns && !self.ready.is_empty();
        self.in_turns |= is_new;
        is_new
    }

    pub(super) fn new(polls: bool) -> Self {
        Self {
            polls,
            pace: Pace::default(),
            ready: Vector::new(),
            stale: 0,
            in_turns: false,
            timer: None,
            on_the_wire: 0,
            jobs: 0,
        }
    }
}
