//! The minimal scheduler that keeps queues in order: a heap of ready queues by time, and a list for each queue.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use matricula_core::{Job, Response, scheduler::Outcome};

/// Jobs in queues, without retries, rate limits, policies, handles, or persistence.
#[derive(Debug, Default)]
pub struct Heap {
    queues: HashMap<String, VecDeque<(u64, Arc<Job>)>>,
    /// The queues whose heads may be sent, by time.
    ready: BinaryHeap<Reverse<(u64, u64, String)>>,
    last: u64,
}

impl Heap {
    /// Adds a job to the end of its queue.
    pub fn submit(&mut self, now: u64, job: Arc<Job>) {
        self.last += 1;
        let id = job.queue_id().unwrap_or_default().to_owned();
        let queue = self.queues.entry(id.clone()).or_default();
        queue.push_back((self.last, job));
        if queue.len() == 1 {
            self.ready.push(Reverse((now, self.last, id)));
        }
    }

    /// The next job to send. It stays the head of its queue.
    pub fn next(&mut self) -> Option<(String, &Arc<Job>)> {
        let Reverse((_, _, id)) = self.ready.pop()?;
        let (_, job) = self.queues.get(&id)?.front()?;
        Some((id, job))
    }

    /// The head of this queue has completed: the next one may be sent.
    pub fn completed(&mut self, now: u64, id: String, response: Response) -> Option<Outcome> {
        let queue = self.queues.get_mut(&id)?;
        let (_, done) = queue.pop_front()?;
        match queue.front() {
            Some((number, _)) => self.ready.push(Reverse((now, *number, id))),
            None => drop(self.queues.remove(&id)),
        }
        Some(Outcome::Responded(done.respond(response)))
    }

    /// Whether all jobs have ended.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}
