//! What a program may do to its queues.

use super::{Scheduler, State, Turn, judge::Tried, lines::QueueKey};

impl Scheduler {
    pub(super) fn pause(&mut self, id: &str, turn: &mut Turn) {
        let key = self.queue_named(id);
        if let Some(queue) = self.queues.get_mut(key) {
            queue.paused = true;
        }
        self.keep_queue(key, turn);
    }

    pub(super) fn resume(&mut self, id: &str, turn: &mut Turn) {
        let Some(key) = self.queue_keys.get(id).copied() else {
            return;
        };
        if let Some(queue) = self.queues.get_mut(key) {
            queue.paused = false;
        }
        self.keep_queue(key, turn);
        self.go_on_with(key);
        self.send_what_may_go(turn);
    }

    pub(super) fn retry(&mut self, id: &str, turn: &mut Turn) {
        let Some(key) = self.queue_keys.get(id).copied() else {
            return;
        };
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        if queue.held.take().is_none() {
            return;
        }
        let head = queue.line.front().copied();
        if let Some(entry) = head.and_then(|head| self.jobs.get_mut(head.0)) {
            entry.state = State::InLine;
            entry.tried = Tried {
                may_be_processed: entry.tried.may_be_processed,
                ..Tried::default()
            };
        }
        self.keep_queue(key, turn);
        self.go_on_with(key);
        self.send_what_may_go(turn);
    }

    pub(super) fn skip(&mut self, id: &str, turn: &mut Turn) {
        let Some(key) = self.queue_keys.get(id).copied() else {
            return;
        };
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        let (head, Some(outcome)) = (queue.line.front().copied(), queue.held.take()) else {
            return;
        };
        self.keep_queue(key, turn);
        if let Some(head) = head {
            self.end(head, outcome, turn);
        }
        self.send_what_may_go(turn);
    }

    /// Lets the next one go, or forgets a queue that has nothing left.
    pub(super) fn go_on_with(&mut self, key: QueueKey) {
        let Some(queue) = self.queues.get(key) else {
            return;
        };
        if queue.is_idle() {
            let listed = queue.listed;
            self.queue_keys.remove(&queue.id);
            self.queues.remove(key);
            if let Some(lane) = listed {
                self.pass_over(lane);
            }
        } else {
            self.list_queue(key);
        }
    }
}
