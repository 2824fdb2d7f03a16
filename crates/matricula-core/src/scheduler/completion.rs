//! How jobs come back from the wire, and how they end.

use std::time::Duration;

use super::{
    Effect, Entry, Event, JobId, Outcome, Scheduler, SchedulerStep, State, Timer, WaitReason,
    queue::{BucketKey, QueueKey, ReadyEntry},
    retry::{self, Attempts, Decision, decide},
};
use crate::{EffectId, Processed, QueuePolicy, StepContext, Timestamp, TransportResult};

impl Scheduler {
    pub(super) fn complete(
        &mut self,
        cx: &mut StepContext<'_>,
        id: EffectId,
        answer: TransportResult,
        step: &mut SchedulerStep,
    ) {
        // An answer to a job that was called back, or a second answer: nobody waits for it.
        let Some(job_id) = self.in_flight.remove(id.0) else {
            return;
        };
        if retry::may_be_processed(&answer)
            && let Some(entry) = self.jobs.get_mut(job_id.0)
        {
            entry.attempts.may_be_processed = true;
        }
        let Some(entry) = self.jobs.get(job_id.0) else {
            return;
        };
        let (job, lane, sent_at) = (entry.job.clone(), entry.bucket, entry.sent_at);
        let (tried, now) = (entry.attempts.clone(), self.now);
        self.release_slot(lane);
        if self.credential_failed(job_id, id, &answer, step) {
            return self.dispatch(step);
        }
        let is_offline = !self.online && is_unsent(&answer);
        let pace = self.update_rate_limit(lane, &answer, sent_at, &tried);
        let verdict = decide(&job, answer, &self.config, &tried, pace, cx);
        match verdict {
            // Nothing that fails without a network counts.
            _ if is_offline => {
                self.persist_unsent(job_id, &job, step);
                self.requeue_first(job_id);
            }
            Decision::End(outcome) => self.finish_or_hold(job_id, outcome, step),
            Decision::Retry { wait, why } => {
                let until = now.plus(wait);
                self.persist_unsent(job_id, &job, step);
                if let Some(entry) = self.jobs.get_mut(job_id.0) {
                    match why {
                        WaitReason::RateLimited => {
                            entry.attempts.rate_limits += 1;
                            entry.attempts.rate_limited_for += wait;
                        }
                        WaitReason::Unreachable(_) => entry.attempts.failures += 1,
                    }
                }
                match why {
                    WaitReason::RateLimited => self.requeue_first(job_id),
                    WaitReason::Unreachable(_) => {
                        if let Some(entry) = self.jobs.get_mut(job_id.0) {
                            entry.state = State::BackingOff(until);
                        }
                        self.timers.insert((until, Timer::Job(job_id)));
                    }
                }
                step.events.push(Event::Waiting {
                    job_id,
                    until,
                    reason: why,
                });
            }
        }
        self.dispatch(step);
    }

    /// Takes what an answer says of the server's pace; how long a refused request is to wait.
    fn update_rate_limit(
        &mut self,
        lane: BucketKey,
        answer: &TransportResult,
        sent_at: Timestamp,
        tried: &Attempts,
    ) -> Duration {
        let (TransportResult::Response(response), Some(lane)) =
            (answer, self.buckets.get_mut(lane))
        else {
            return Duration::ZERO;
        };
        if response.status_code() != 429 {
            lane.limiter.passed();
            return Duration::ZERO;
        }
        let asked = retry::rate_limit_wait(response, tried);
        let bounded = asked.min(self.config.max_rate_limit_wait);
        lane.limiter.refused(self.now, sent_at, bounded, response);
        let until = lane.limiter.wait(self.now).unwrap_or(self.now);
        asked.max(until.since(self.now))
    }

    /// One of the lane's requests is back: it may have been its probe.
    fn release_slot(&mut self, key: BucketKey) {
        let Some(lane) = self.buckets.get_mut(key) else {
            return;
        };
        lane.in_flight = lane.in_flight.saturating_sub(1);
        let (polls, takes_a_turn) = (lane.polls, lane.needs_listing());
        match polls {
            true => self.polls = self.polls.saturating_sub(1),
            false => self.requests = self.requests.saturating_sub(1),
        }
        if takes_a_turn {
            self.push_ready_bucket(key, polls);
        }
    }

    /// Ends a job, or holds its queue where that is the policy.
    pub(super) fn finish_or_hold(
        &mut self,
        job_id: JobId,
        outcome: Outcome,
        step: &mut SchedulerStep,
    ) {
        let Some(entry) = self.jobs.get(job_id.0) else {
            return;
        };
        let outcome = entry.attempts.final_outcome(&entry.job, outcome);
        let holds = entry.job.queue_policy() == QueuePolicy::Hold && !outcome.success();
        let Some(key) = entry.queue.filter(|_| holds) else {
            return self.finish(job_id, outcome, step);
        };
        let job = entry.job.clone();
        if !matches!(outcome, Outcome::InDoubt(_)) {
            self.persist_unsent(job_id, &job, step);
        }
        if let Some(entry) = self.jobs.get_mut(job_id.0) {
            entry.state = State::Held;
        }
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        queue.held = Some(outcome.clone());
        let id = queue.id.clone();
        self.persist_queue(key, step);
        step.events.push(Event::Held {
            queue: id,
            job_id,
            outcome,
        });
    }

    /// Ends a job, and lets the next of its queue go, or those behind it end too.
    pub(super) fn finish(&mut self, job_id: JobId, outcome: Outcome, step: &mut SchedulerStep) {
        let Some(entry) = self.jobs.remove(job_id.0) else {
            return;
        };
        let outcome = entry.attempts.final_outcome(&entry.job, outcome);
        let failed = !outcome.success();
        self.leave_bucket(&entry);
        self.persist_outcome(job_id, &entry.job, &outcome, step);
        step.events.push(Event::Finished(job_id, outcome));
        let Some(key) = entry.queue else {
            return;
        };
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        let place = match queue.jobs.front() == Some(&job_id) {
            true => Ok(0),
            false => queue.jobs.binary_search(&job_id),
        };
        match place {
            Ok(0) => drop(queue.jobs.pop_front()),
            Ok(place) => drop(queue.jobs.remove(place)),
            Err(_) => {}
        }
        if failed && entry.job.queue_policy() == QueuePolicy::CancelFutureIfFailed {
            self.cancel_behind(key, place.unwrap_or_default(), step);
        }
        self.advance(key);
    }

    /// Those that stood behind a job which failed.
    fn cancel_behind(&mut self, key: QueueKey, place: usize, step: &mut SchedulerStep) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        for job_id in queue.jobs.split_off(place) {
            let Some(entry) = self.jobs.remove(job_id.0) else {
                continue;
            };
            self.leave_bucket(&entry);
            self.persist_outcome(job_id, &entry.job, &Outcome::Cancelled, step);
            step.events
                .push(Event::Finished(job_id, Outcome::Cancelled));
        }
    }

    fn leave_bucket(&mut self, entry: &Entry) {
        if let Some(lane) = self.buckets.get_mut(entry.bucket) {
            lane.jobs = lane.jobs.saturating_sub(1);
            // Nothing is to be woken for.
            if lane.jobs == 0
                && let Some(at) = lane.timer.take()
            {
                self.timers.remove(&(at, Timer::Bucket(entry.bucket)));
            }
        }
    }

    pub(super) fn cancel(&mut self, job_id: JobId, step: &mut SchedulerStep) {
        let Some(entry) = self.jobs.get(job_id.0) else {
            return;
        };
        let (state, job, key, lane) = (entry.state, entry.job.clone(), entry.queue, entry.bucket);
        let outcome = match state {
            State::Queued => {
                if key.is_none() {
                    self.skip_stale(lane);
                }
                Outcome::Cancelled
            }
            State::BackingOff(until) => {
                self.timers.remove(&(until, Timer::Job(job_id)));
                Outcome::Cancelled
            }
            State::AwaitingCredential => {
                self.stop_awaiting(job_id, &job);
                Outcome::Cancelled
            }
            // It has been on the wire: what came of it is its end.
            State::Held => {
                let queue = key.and_then(|key| self.queues.get_mut(key));
                let held = queue.and_then(|queue| queue.held.take());
                if let Some(key) = key {
                    self.persist_queue(key, step);
                }
                held.unwrap_or(Outcome::Cancelled)
            }
            State::InFlight(id) => {
                self.in_flight.remove(id.0);
                self.release_slot(lane);
                step.effects.push(Effect::Abort(id));
                retry::aborted_in_flight()
            }
        };
        self.finish(job_id, outcome, step);
        self.dispatch(step);
    }

    /// Ended jobs of no queue, and queues that went elsewhere, stand in their lane until their step
    /// comes: not more than others do.
    pub(super) fn skip_stale(&mut self, key: BucketKey) {
        let Some(lane) = self.buckets.get_mut(key) else {
            return;
        };
        lane.stale += 1;
        if lane.stale > 64 && lane.stale > lane.ready.len() / 2 {
            let (jobs, queues) = (&self.jobs, &self.queues);
            lane.ready.retain(|line| match line {
                ReadyEntry::Single(job_id) => jobs.get(job_id.0).is_some(),
                ReadyEntry::Queue(queue) => {
                    let queue = queues.get(*queue);
                    queue.is_some_and(|queue| queue.bucket == Some(key))
                }
            });
            lane.stale = 0;
        }
    }
}

/// Whether the request certainly did not arrive.
fn is_unsent(answer: &TransportResult) -> bool {
    matches!(answer, TransportResult::Failed(error) if error.processed == Processed::No && error.kind.is_transient())
}
