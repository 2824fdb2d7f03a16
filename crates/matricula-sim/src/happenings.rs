//! What is to happen later, in order of time.

use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc};

use matricula_core::{CredentialRef, EffectId, Job, TransportResult, WriteBatch};

use crate::plan::Action;

#[derive(Debug)]
pub(crate) enum Happening {
    Act(Action),
    /// A request arrives at the server.
    Arrives(Arc<Job>),
    /// An answer arrives at the program of this life.
    Answered(u32, EffectId, TransportResult),
    /// The disk is done with what the program of this life gave it, up to this step.
    Written(u32, WriteBatch, u64),
    /// There is a new token, or there is none.
    Renewed(u32, CredentialRef, bool),
    /// The program begins again.
    Restart,
    /// From now on everything goes well.
    Calm,
}

/// Everything that is to happen.
#[derive(Debug, Default)]
pub(crate) struct Happenings {
    heap: BinaryHeap<Entry>,
    count: u64,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    /// What was entered first happens first.
    number: u64,
    what: Happening,
}

impl Happenings {
    pub(crate) fn add(&mut self, at: u64, what: Happening) {
        self.count += 1;
        let number = self.count;
        self.heap.push(Entry { at, number, what });
    }

    /// When the next one happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at)
    }

    pub(crate) fn take(&mut self) -> Option<Happening> {
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
