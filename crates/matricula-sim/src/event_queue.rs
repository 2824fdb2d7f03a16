//! The future events of a run, by time.

use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc};

use matricula_core::{CredentialRef, EffectId, Job, TransportResult, WriteBatch};

use crate::plan::Action;

/// Something that happens at a time.
#[derive(Debug)]
pub(crate) enum SimEvent {
    /// The program does something.
    Action(Action),
    /// A request arrives at the server.
    RequestArrived(Arc<Job>),
    /// A request of this incarnation of the program completes.
    Completed(u32, EffectId, TransportResult),
    /// The disk has taken a batch of this incarnation, with all steps before this one.
    Written(u32, WriteBatch, u64),
    /// The credential was renewed, or could not be.
    CredentialRenewed(u32, CredentialRef, bool),
    /// The program restarts.
    Restart,
    /// There are no more faults from now on.
    FaultsEnd,
}

/// The future events, earliest first.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    heap: BinaryHeap<Entry>,
    count: u64,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    /// Of events at the same time, the one added first happens first.
    number: u64,
    what: SimEvent,
}

impl EventQueue {
    pub(crate) fn add(&mut self, at: u64, what: SimEvent) {
        self.count += 1;
        let number = self.count;
        self.heap.push(Entry { at, number, what });
    }

    /// The time of the next event.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at)
    }

    pub(crate) fn take(&mut self) -> Option<SimEvent> {
        self.heap.pop().map(|entry| entry.what)
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
