//! Queues: at most one job of a queue is in flight, in order.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, DefaultHasher},
};

use super::{
    JobId, Outcome,
    id_map::IdMap,
    job_entry::{BucketKey, QueueKey},
};

/// A queue that a program named.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) id: String,
    /// In order of submission, so ascending.
    pub(super) jobs: VecDeque<JobId>,
    pub(super) paused: bool,
    /// The outcome of the head, while the queue waits for a retry or skip.
    pub(super) held: Option<Outcome>,
    /// The bucket in which this queue's head job is ready. Entries in other buckets are stale.
    pub(super) ready_in: Option<BucketKey>,
}

impl Queue {
    /// Whether its head must not be sent.
    pub(super) fn is_stopped(&self) -> bool {
        self.paused || self.held.is_some()
    }

    /// How many jobs are ahead of this one.
    pub(super) fn position(&self, job_id: JobId) -> Option<usize> {
        if self.jobs.front() == Some(&job_id) {
            return Some(0);
        }
        self.jobs.binary_search(&job_id).ok()
    }
}

/// All queues that have jobs or are paused.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues {
    keys: HashMap<String, QueueKey, BuildHasherDefault<DefaultHasher>>,
    queues: IdMap<Queue>,
    last_key: QueueKey,
}

impl Queues {
    pub(super) fn key(&self, id: &str) -> Option<QueueKey> {
        self.keys.get(id).copied()
    }

    pub(super) fn get(&self, key: QueueKey) -> Option<&Queue> {
        self.queues.get(key)
    }

    /// The queue of this key, which must not have been removed.
    pub(super) fn get_mut(&mut self, key: QueueKey) -> Option<&mut Queue> {
        let queue = self.queues.get_mut(key);
        debug_assert!(queue.is_some(), "queue {key} was removed");
        queue
    }

    /// The queue of a ready list's entry, which may have been removed.
    pub(super) fn find_mut(&mut self, key: QueueKey) -> Option<&mut Queue> {
        self.queues.get_mut(key)
    }

    pub(super) fn get_or_insert(&mut self, id: &str) -> QueueKey {
        if let Some(key) = self.key(id) {
            return key;
        }
        self.last_key += 1;
        self.keys.insert(id.to_owned(), self.last_key);
        let queue = Queue {
            id: id.to_owned(),
            jobs: VecDeque::new(),
            paused: false,
            held: None,
            ready_in: None,
        };
        self.queues.insert(self.last_key, queue);
        self.last_key
    }

    /// Removes a queue that has neither jobs nor a pause to remember.
    pub(super) fn remove_if_idle(&mut self, key: QueueKey) -> Option<Queue> {
        let queue = self.queues.get(key)?;
        if queue.paused || !queue.jobs.is_empty() {
            return None;
        }
        self.keys.remove(&queue.id);
        self.queues.remove(key)
    }

    /// In the order in which they were made.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().map(|(_, queue)| queue)
    }
}
