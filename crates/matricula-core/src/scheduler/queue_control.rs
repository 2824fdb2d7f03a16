//! What a program may do to its queues.

use super::{Scheduler, SchedulerStep, State, queue::QueueKey, retry::Attempts};

impl Scheduler {
    pub(super) fn pause(&mut self, id: &str, step: &mut SchedulerStep) {
        let key = self.queue_named(id);
        if let Some(queue) = self.queues.get_mut(key) {
            queue.paused = true;
        }
        self.persist_queue(key, step);
    }

    pub(super) fn resume(&mut self, id: &str, step: &mut SchedulerStep) {
        let Some(key) = self.queue_keys.get(id).copied() else {
            return;
        };
        if let Some(queue) = self.queues.get_mut(key) {
            queue.paused = false;
        }
        self.persist_queue(key, step);
        self.advance(key);
        self.dispatch(step);
    }

    pub(super) fn retry(&mut self, id: &str, step: &mut SchedulerStep) {
        let Some(key) = self.queue_keys.get(id).copied() else {
            return;
        };
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        if queue.held.take().is_none() {
            return;
        }
        let head = queue.jobs.front().copied();
        if let Some(entry) = head.and_then(|head| self.jobs.get_mut(head.0)) {
            entry.state = State::Queued;
            entry.attempts = Attempts {
                may_be_processed: entry.attempts.may_be_processed,
                ..Attempts::default()
            };
        }
        self.persist_queue(key, step);
        self.advance(key);
        self.dispatch(step);
    }

    pub(super) fn skip(&mut self, id: &str, step: &mut SchedulerStep) {
        let Some(key) = self.queue_keys.get(id).copied() else {
            return;
        };
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        let (head, Some(outcome)) = (queue.jobs.front().copied(), queue.held.take()) else {
            return;
        };
        self.persist_queue(key, step);
        if let Some(head) = head {
            self.finish(head, outcome, step);
        }
        self.dispatch(step);
    }

    /// Lets the next one go, or forgets a queue that has nothing left.
    pub(super) fn advance(&mut self, key: QueueKey) {
        let Some(queue) = self.queues.get(key) else {
            return;
        };
        if queue.is_idle() {
            let listed = queue.bucket;
            self.queue_keys.remove(&queue.id);
            self.queues.remove(key);
            if let Some(lane) = listed {
                self.skip_stale(lane);
            }
        } else {
            self.mark_queue_ready(key);
        }
    }
}
