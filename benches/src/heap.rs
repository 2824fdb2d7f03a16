//! The least that keeps queues in order: a heap of what may go, by time, and a line for each queue.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use matricula_core::{Job, Response, scheduler::Outcome};

/// Jobs in queues, without retries, pace, policies, handles, or anything to go on with after a crash.
#[derive(Debug, Default)]
pub struct Heap {
    queues: HashMap<String, VecDeque<(u64, Arc<Job>)>>,
    /// The heads, by when they may go.
    ready: BinaryHeap<Reverse<(u64, u64, String)>>,
    last: u64,
}

impl Heap {
    /// Puts a job last in its queue.
    pub fn submit(&mut self, now: u64, job: Arc<Job>) {
        self.last += 1;
        let id = job.queue_id().unwrap_or_default().to_owned();
        let queue = self.queues.entry(id.clone()).or_default();
        queue.push_back((self.last, job));
        if queue.len() == 1 {
            self.ready.push(Reverse((now, self.last, id)));
        }
    }

    /// The next that may go, which stays the head of its queue meanwhile.
    pub fn next(&mut self) -> Option<(String, &Arc<Job>)> {
        let Reverse((_, _, id)) = self.ready.pop()?;
        let (_, job) = self.queues.get(&id)?.front()?;
        Some((id, job))
    }

    /// The head of this queue has been answered: the next one may go.
    pub fn answered(&mut self, now: u64, id: String, response: Response) -> Option<Outcome> {
        let queue = self.queues.get_mut(&id)?;
        let (_, done) = queue.pop_front()?;
        match queue.front() {
            Some((number, _)) => self.ready.push(Reverse((now, *number, id))),
            None => drop(self.queues.remove(&id)),
        }
        Some(Outcome::Done(done.gen_response(response)))
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}
