//! From submission to sending: queues, ready lists, timers.

use std::sync::Arc;

use super::{
    Effect, Event, JobId, Outcome, Rejection, Scheduler, SchedulerStep,
    buckets::ReadyEntry,
    credentials::credential_of,
    job_entry::{BucketKey, JobEntry, JobState, QueueKey, Timer},
    retry::{self, Attempts},
};
use crate::{CredentialRef, EffectId, Job, Response, RetrySafety, Timestamp};

/// Submission and restart.
impl Scheduler {
    pub(super) fn submit(&mut self, job: Arc<Job>, step: &mut SchedulerStep) {
        if let Some(rejection) = self.rejection(&job) {
            step.events.push(Event::Rejected(rejection));
            return;
        }
        self.last_job_id += 1;
        let job_id = JobId(self.last_job_id);
        step.events.push(Event::Accepted(job_id));
        let writes = &mut step.writes;
        self.persistence.job_accepted(job_id, &job, writes);
        self.enqueue(job_id, job);
        self.dispatch(step);
    }

    fn rejection(&self, job: &Job) -> Option<Rejection> {
        let max_jobs = self.config.max_jobs;
        if self.jobs.len() >= max_jobs {
            return Some(Rejection::Full { max_jobs });
        }
        let is_secret = job.holds_secret() || job.response_is_secret();
        (self.persistence.stores(job) && is_secret).then_some(Rejection::Secret)
    }

    /// Puts a job at the end of its queue. A job without a queue is ready at once.
    pub(super) fn enqueue(&mut self, job_id: JobId, job: Arc<Job>) {
        let bucket = self.buckets.add_job(&job, &mut self.timers);
        let queue = job.queue_id().map(|id| self.queues.get_or_insert(id));
        let entry = JobEntry {
            job,
            queue,
            bucket,
            state: JobState::Queued,
            attempts: Attempts::default(),
            sent_at: Timestamp::from_millis(0),
        };
        self.jobs.insert(job_id.0, entry);
        let Some(key) = queue else {
            return self.buckets.push_ready(bucket, ReadyEntry::Job(job_id));
        };
        if let Some(queue) = self.queues.get_mut(key) {
            queue.jobs.push_back(job_id);
            if queue.jobs.len() == 1 {
                self.mark_queue_ready(key);
            }
        }
    }

    /// Ends the jobs that must not be sent again after a restart, and sends the others.
    pub(super) fn resume(&mut self, step: &mut SchedulerStep) {
        self.is_online = true;
        let in_doubt: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, entry)| {
                entry.attempts.may_be_processed
                    && entry.state != JobState::Held
                    && entry.job.retry_safety() == RetrySafety::OnlyIfNotProcessed
            })
            .map(|(job_id, _)| JobId(job_id))
            .collect();
        for job_id in in_doubt {
            self.finish_or_hold(job_id, Outcome::InDoubt(retry::interrupted()), step);
        }
        self.dispatch(step);
    }
}

/// Sending.
impl Scheduler {
    /// Sends what may be sent, round-robin over the buckets.
    pub(super) fn dispatch(&mut self, step: &mut SchedulerStep) {
        while self.is_online
            && let Some(bucket) = self.buckets.next(self.now, &self.config, &mut self.timers)
        {
            while let Some(entry) = self.buckets.pop_ready(bucket) {
                let Some(job_id) = self.ready_job(bucket, entry) else {
                    continue;
                };
                if !self.await_renewal(job_id, step) {
                    self.send(job_id, step);
                    break;
                }
            }
            self.buckets.list(bucket);
        }
    }

    /// The job to send for an entry of this bucket's ready list; `None` if the entry is stale, or its
    /// queue is stopped.
    fn ready_job(&mut self, bucket: BucketKey, entry: ReadyEntry) -> Option<JobId> {
        let key = match entry {
            ReadyEntry::Job(job_id) => {
                let entry = self.jobs.get(job_id.0);
                let is_ready = entry.is_some_and(|entry| entry.state == JobState::Queued);
                if !is_ready {
                    self.buckets.count_popped_stale(bucket);
                }
                return is_ready.then_some(job_id);
            }
            ReadyEntry::Queue(key) => key,
        };
        let queue = self.queues.find_mut(key);
        let Some(queue) = queue.filter(|queue| queue.ready_in == Some(bucket)) else {
            self.buckets.count_popped_stale(bucket);
            return None;
        };
        queue.ready_in = None;
        if queue.is_stopped() {
            return None;
        }
        let head = *queue.jobs.front()?;
        let entry = self.jobs.get(head.0)?;
        (entry.state == JobState::Queued).then_some(head)
    }

    /// Makes a job wait before it is sent, if its credential is being renewed.
    fn await_renewal(&mut self, job_id: JobId, step: &mut SchedulerStep) -> bool {
        let entry = self.jobs.get(job_id.0);
        match entry.and_then(|entry| self.credentials.awaited_credential(&entry.job)) {
            Some(credential) => {
                self.await_credential(job_id, credential, None, step);
                true
            }
            None => false,
        }
    }

    /// Makes a job wait for its credential. Returns whether it is the first to do so.
    pub(super) fn await_credential(
        &mut self,
        job_id: JobId,
        credential: CredentialRef,
        response: Option<Response>,
        step: &mut SchedulerStep,
    ) -> bool {
        if let Some(entry) = self.entry_mut(job_id) {
            debug_assert_eq!(credential_of(&entry.job), Some(&credential));
            entry.state = JobState::AwaitingCredential;
        }
        let is_first = self.credentials.add(job_id, &credential, response);
        step.events
            .push(Event::AwaitingCredential { job_id, credential });
        is_first
    }

    fn send(&mut self, job_id: JobId, step: &mut SchedulerStep) {
        self.last_effect += 1;
        let (id, now) = (EffectId(self.last_effect), self.now);
        let Some(entry) = self.entry_mut(job_id) else {
            return;
        };
        entry.state = JobState::InFlight(id);
        entry.sent_at = now;
        entry.attempts.sent += 1;
        let (job, attempt, bucket) = (entry.job.clone(), entry.attempts.sent, entry.bucket);
        self.in_flight.insert(id, job_id);
        self.buckets.request_sent(bucket, now);
        let writes = &mut step.writes;
        self.persistence.request_sent(job_id, &job, writes);
        step.events.push(Event::Started { job_id, attempt });
        step.effects.push(Effect::Send(id, job));
    }

    /// The entry of a job that must not have ended.
    pub(super) fn entry_mut(&mut self, job_id: JobId) -> Option<&mut JobEntry> {
        let entry = self.jobs.get_mut(job_id.0);
        debug_assert!(entry.is_some(), "job {} has ended", job_id.0);
        entry
    }
}

/// Ready lists.
impl Scheduler {
    /// Makes a queue ready in the bucket of its head, if the head may be sent.
    pub(super) fn mark_queue_ready(&mut self, key: QueueKey) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        if queue.is_stopped() {
            return;
        }
        let head = queue.jobs.front().and_then(|head| self.jobs.get(head.0));
        let Some(entry) = head.filter(|entry| entry.state == JobState::Queued) else {
            return;
        };
        let bucket = entry.bucket;
        let before = queue.ready_in.replace(bucket);
        if before == Some(bucket) {
            // A bucket without jobs has no timer, so it may have to be listed again.
            return self.buckets.list(bucket);
        }
        // The head was cancelled, and the next job belongs to another bucket.
        if let Some(before) = before {
            self.count_stale(before);
        }
        self.buckets.push_ready(bucket, ReadyEntry::Queue(key));
    }

    /// An entry of this bucket's ready list has become stale.
    pub(super) fn count_stale(&mut self, bucket: BucketKey) {
        let (jobs, queues) = (&self.jobs, &self.queues);
        self.buckets.count_stale(bucket, |entry| match entry {
            ReadyEntry::Job(job_id) => jobs.get(job_id.0).is_some(),
            ReadyEntry::Queue(key) => queues
                .get(*key)
                .is_some_and(|queue| queue.ready_in == Some(bucket)),
        });
    }

    /// Makes a job ready whose wait is over.
    pub(super) fn requeue(&mut self, job_id: JobId) {
        let Some(entry) = self.entry_mut(job_id) else {
            return;
        };
        entry.state = JobState::Queued;
        let bucket = entry.bucket;
        match entry.queue {
            Some(key) => self.mark_queue_ready(key),
            None => self.buckets.push_ready(bucket, ReadyEntry::Job(job_id)),
        }
    }

    /// The same, ahead of the others of its bucket.
    pub(super) fn requeue_first(&mut self, job_id: JobId) {
        let Some(entry) = self.entry_mut(job_id) else {
            return;
        };
        entry.state = JobState::Queued;
        let (bucket, queue) = (entry.bucket, entry.queue);
        let Some(key) = queue else {
            let entry = ReadyEntry::Job(job_id);
            return self.buckets.push_ready_first(bucket, entry);
        };
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        if queue.paused || queue.ready_in.is_some() {
            return;
        }
        queue.ready_in = Some(bucket);
        let entry = ReadyEntry::Queue(key);
        self.buckets.push_ready_first(bucket, entry);
    }

    /// Makes the next job of a queue ready, or removes the queue if nothing is left of it.
    pub(super) fn advance(&mut self, key: QueueKey) {
        match self.queues.remove_if_idle(key) {
            Some(removed) => {
                if let Some(bucket) = removed.ready_in {
                    self.count_stale(bucket);
                }
            }
            None => self.mark_queue_ready(key),
        }
    }
}

/// Timers and the network.
impl Scheduler {
    /// Fires the timers that are due.
    pub(super) fn wake(&mut self, step: &mut SchedulerStep) {
        while let Some((at, timer)) = self.timers.first().copied()
            && at <= self.now
        {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Job(job_id) => self.requeue(job_id),
                Timer::Bucket(key) => self.buckets.timer_fired(key),
            }
        }
        self.dispatch(step);
    }

    /// Moves all timers back by as much as the clock was, so that no wait gets longer.
    pub(super) fn rewind_timers(&mut self, now: Timestamp) {
        if now < self.now {
            let by = self.now.since(now);
            let timers = self.timers.iter();
            self.timers = timers.map(|(at, timer)| (at.minus(by), *timer)).collect();
            self.buckets.rewind(by);
            for job_id in self.jobs.keys() {
                if let Some(entry) = self.jobs.get_mut(job_id) {
                    entry.sent_at = entry.sent_at.minus(by);
                    if let JobState::BackingOff(until) = &mut entry.state {
                        *until = until.minus(by);
                    }
                }
            }
        }
        self.now = now;
    }

    pub(super) fn set_online(&mut self, is_online: bool, step: &mut SchedulerStep) {
        self.is_online = is_online;
        if !is_online {
            return;
        }
        // What could not reach the server need not wait any longer.
        let backing_off: Vec<_> = self
            .timers
            .iter()
            .filter_map(|(at, timer)| match timer {
                Timer::Job(job_id) => Some((*at, *job_id)),
                Timer::Bucket(_) => None,
            })
            .collect();
        for (at, job_id) in backing_off {
            self.timers.remove(&(at, Timer::Job(job_id)));
            self.requeue(job_id);
        }
        self.dispatch(step);
    }
}

/// Queue control. A queue that does not exist is ignored.
impl Scheduler {
    pub(super) fn pause_queue(&mut self, id: &str, step: &mut SchedulerStep) {
        let key = self.queues.get_or_insert(id);
        if let Some(queue) = self.queues.get_mut(key) {
            queue.paused = true;
            self.persistence.queue_changed(queue, &mut step.writes);
        }
    }

    pub(super) fn resume_queue(&mut self, id: &str, step: &mut SchedulerStep) {
        let Some(key) = self.queues.key(id) else {
            return;
        };
        if let Some(queue) = self.queues.get_mut(key) {
            queue.paused = false;
            self.persistence.queue_changed(queue, &mut step.writes);
        }
        self.advance(key);
        self.dispatch(step);
    }

    pub(super) fn retry_head(&mut self, id: &str, step: &mut SchedulerStep) {
        let Some((key, head, _)) = self.take_held(id, step) else {
            return;
        };
        if let Some(entry) = self.entry_mut(head) {
            entry.state = JobState::Queued;
            entry.attempts = Attempts {
                may_be_processed: entry.attempts.may_be_processed,
                ..Attempts::default()
            };
        }
        self.advance(key);
        self.dispatch(step);
    }

    pub(super) fn skip_head(&mut self, id: &str, step: &mut SchedulerStep) {
        let Some((_, head, outcome)) = self.take_held(id, step) else {
            return;
        };
        self.finish(head, outcome, step);
        self.dispatch(step);
    }

    /// Releases a held queue. Returns its key, its head and the head's outcome.
    fn take_held(
        &mut self,
        id: &str,
        step: &mut SchedulerStep,
    ) -> Option<(QueueKey, JobId, Outcome)> {
        let key = self.queues.key(id)?;
        let queue = self.queues.get_mut(key)?;
        let (head, outcome) = (*queue.jobs.front()?, queue.held.take()?);
        self.persistence.queue_changed(queue, &mut step.writes);
        Some((key, head, outcome))
    }
}
