//! Whose step it is.

use super::{
    Effect, Event, JobId, ReadyEntry, Scheduler, SchedulerStep, State, Timer,
    queue::{BucketKey, QueueKey},
};
use crate::EffectId;

impl Scheduler {
    /// Lets a line take turns in a lane.
    pub(super) fn mark_ready(&mut self, key: BucketKey, line: ReadyEntry) {
        if let Some(lane) = self.buckets.get_mut(key) {
            lane.ready.push_back(line);
            if lane.needs_listing() {
                let polls = lane.polls;
                self.push_ready_bucket(key, polls);
            }
        }
    }

    /// The same, before all others: it had its step, and the server sent it back.
    pub(super) fn mark_ready_first(&mut self, key: BucketKey, line: ReadyEntry) {
        if let Some(lane) = self.buckets.get_mut(key) {
            lane.ready.push_front(line);
        }
        self.list_bucket(key);
    }

    /// Lets a queue take turns where its head wants to go, if it may.
    pub(super) fn mark_queue_ready(&mut self, key: QueueKey) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        if queue.paused || queue.held.is_some() {
            return;
        }
        let head = queue.jobs.front().and_then(|head| self.jobs.get(head.0));
        let Some(entry) = head.filter(|entry| entry.state == State::Queued) else {
            return;
        };
        let lane = entry.bucket;
        let before = queue.bucket.replace(lane);
        if before == Some(lane) {
            // While no job was for it, nobody looked at the lane.
            return self.list_bucket(lane);
        }
        // Its head was called back, and the next one goes elsewhere.
        if let Some(before) = before {
            self.skip_stale(before);
        }
        self.mark_ready(lane, ReadyEntry::Queue(key));
    }

    fn list_bucket(&mut self, key: BucketKey) {
        if let Some(lane) = self.buckets.get_mut(key)
            && lane.needs_listing()
        {
            let polls = lane.polls;
            self.push_ready_bucket(key, polls);
        }
    }

    pub(super) fn push_ready_bucket(&mut self, key: BucketKey, polls: bool) {
        match polls {
            true => self.ready_poll_buckets.push_back(key),
            false => self.ready_buckets.push_back(key),
        }
    }

    /// Sends what may go, in turns, until the wire is full or nothing may go.
    pub(super) fn dispatch(&mut self, step: &mut SchedulerStep) {
        while self.online && self.polls < self.config.max_long_polls {
            let Some(key) = self.ready_poll_buckets.pop_front() else {
                break;
            };
            self.dispatch_one(key, step);
        }
        while self.online && self.requests < self.config.max_in_flight {
            let Some(key) = self.ready_buckets.pop_front() else {
                break;
            };
            self.dispatch_one(key, step);
        }
    }

    /// Sends the request of the lane whose step it is, and lets the lane stand last again.
    fn dispatch_one(&mut self, key: BucketKey, step: &mut SchedulerStep) {
        let Some(lane) = self.buckets.get_mut(key) else {
            return;
        };
        lane.is_listed = false;
        if let Some(until) = lane.limiter.wait(self.now) {
            if !lane.ready.is_empty() && lane.timer.is_none() {
                lane.timer = Some(until);
                self.timers.insert((until, Timer::Bucket(key)));
            }
            return;
        }
        // What comes back of this one tells whether the rest may go.
        if lane.limiter.probes() && lane.in_flight > 0 {
            return;
        }
        while let Some(line) = self
            .buckets
            .get_mut(key)
            .and_then(|lane| lane.ready.pop_front())
        {
            let Some(job_id) = self.ready_job(key, line) else {
                continue;
            };
            if self.await_credential(job_id, step) {
                continue;
            }
            self.send(job_id, step);
            break;
        }
        self.list_bucket(key);
    }

    /// Who goes for a line of this lane; none where it has ended, may not go, or goes elsewhere.
    fn ready_job(&mut self, lane: BucketKey, line: ReadyEntry) -> Option<JobId> {
        let key = match line {
            ReadyEntry::Single(job_id) => {
                let entry = self.jobs.get(job_id.0);
                let goes = entry.is_some_and(|entry| entry.state == State::Queued);
                if !goes && let Some(lane) = self.buckets.get_mut(lane) {
                    lane.stale = lane.stale.saturating_sub(1);
                }
                return goes.then_some(job_id);
            }
            ReadyEntry::Queue(key) => key,
        };
        let queue = self.queues.get_mut(key);
        let Some(queue) = queue.filter(|queue| queue.bucket == Some(lane)) else {
            if let Some(lane) = self.buckets.get_mut(lane) {
                lane.stale = lane.stale.saturating_sub(1);
            }
            return None;
        };
        queue.bucket = None;
        if queue.paused || queue.held.is_some() {
            return None;
        }
        let head = *queue.jobs.front()?;
        let entry = self.jobs.get(head.0)?;
        (entry.state == State::Queued).then_some(head)
    }

    fn send(&mut self, job_id: JobId, step: &mut SchedulerStep) {
        self.last_effect += 1;
        let (id, now) = (EffectId(self.last_effect), self.now);
        let Some(entry) = self.jobs.get_mut(job_id.0) else {
            return;
        };
        entry.state = State::InFlight(id);
        entry.sent_at = now;
        entry.attempts.sent += 1;
        let (job, attempt, lane) = (entry.job.clone(), entry.attempts.sent, entry.bucket);
        self.in_flight.insert(id.0, job_id);
        if let Some(lane) = self.buckets.get_mut(lane) {
            lane.in_flight += 1;
            lane.limiter.sent(now);
            match lane.polls {
                true => self.polls += 1,
                false => self.requests += 1,
            }
        }
        self.persist_sending(job_id, &job, step);
        step.events.push(Event::Started { job_id, attempt });
        step.effects.push(Effect::Send(id, job));
    }

    /// A job that was to wait stands in line again: with its queue, or for itself.
    pub(super) fn ready_entry(&self, job_id: JobId) -> Option<(BucketKey, ReadyEntry)> {
        let entry = self.jobs.get(job_id.0)?;
        let line = match entry.queue {
            Some(key) => ReadyEntry::Queue(key),
            None => ReadyEntry::Single(job_id),
        };
        Some((entry.bucket, line))
    }

    /// Lets a job whose wait is over take turns again.
    pub(super) fn requeue(&mut self, job_id: JobId) {
        if let Some(entry) = self.jobs.get_mut(job_id.0) {
            entry.state = State::Queued;
        }
        match self.ready_entry(job_id) {
            Some((_, ReadyEntry::Queue(key))) => self.mark_queue_ready(key),
            Some((lane, line)) => self.mark_ready(lane, line),
            None => {}
        }
    }

    /// The same, before all others of its lane.
    pub(super) fn requeue_first(&mut self, job_id: JobId) {
        if let Some(entry) = self.jobs.get_mut(job_id.0) {
            entry.state = State::Queued;
        }
        let Some((lane, line)) = self.ready_entry(job_id) else {
            return;
        };
        if let ReadyEntry::Queue(key) = line {
            let Some(queue) = self.queues.get_mut(key) else {
                return;
            };
            if queue.paused || queue.bucket.is_some() {
                return;
            }
            queue.bucket = Some(lane);
        }
        self.mark_ready_first(lane, line);
    }

    pub(super) fn wake(&mut self, step: &mut SchedulerStep) {
        while let Some((at, timer)) = self.timers.get_min().copied() {
            if at > self.now {
                break;
            }
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Job(job_id) => self.requeue(job_id),
                Timer::Bucket(key) => {
                    if let Some(lane) = self.buckets.get_mut(key) {
                        lane.timer = None;
                    }
                    self.list_bucket(key);
                }
            }
        }
        self.dispatch(step);
    }

    pub(super) fn go_online(&mut self, online: bool, step: &mut SchedulerStep) {
        self.online = online;
        if online {
            // What could not reach the server need not wait any longer.
            let waiting: Vec<_> = self
                .timers
                .iter()
                .filter_map(|(at, timer)| match timer {
                    Timer::Job(job_id) => Some((*at, *job_id)),
                    Timer::Bucket(_) => None,
                })
                .collect();
            for (at, job_id) in waiting {
                self.timers.remove(&(at, Timer::Job(job_id)));
                self.requeue(job_id);
            }
            self.dispatch(step);
        }
    }
}
