//! From a result to the end of a job.

use std::time::Duration;

use super::{
    Effect, Event, JobId, Outcome, Scheduler, SchedulerStep, WaitReason,
    credentials::{MAX_RENEWALS, credential_of, is_credential_failure},
    job_entry::{JobEntry, JobState, QueueKey, Timer},
    retry::{self, Decision, decide},
};
use crate::{CredentialRef, EffectId, Processed, QueuePolicy, StepContext, TransportResult};

/// Results.
impl Scheduler {
    pub(super) fn complete(
        &mut self,
        cx: &mut StepContext<'_>,
        id: EffectId,
        result: TransportResult,
        step: &mut SchedulerStep,
    ) {
        // The result of an aborted request, or a second result, is ignored.
        let Some(job_id) = self.in_flight.remove(&id) else {
            return;
        };
        let result = match result {
            TransportResult::Response(response) => {
                TransportResult::Response(response.received(self.now))
            }
            other => other,
        };
        let Some(entry) = self.entry_mut(job_id) else {
            return;
        };
        entry.attempts.may_be_processed |= retry::may_be_processed(&result);
        let (job, bucket, sent_at) = (entry.job.clone(), entry.bucket, entry.sent_at);
        let attempts = entry.attempts.clone();
        self.buckets.request_ended(bucket);
        if self.credential_failed(job_id, id, &result, step) {
            return self.dispatch(step);
        }
        let failed_offline = !self.is_online && is_unsent(&result);
        let rate_limit_wait = match &result {
            TransportResult::Response(response) => {
                let max_wait = self.config.max_rate_limit_wait;
                self.buckets
                    .learn(bucket, response, &attempts, sent_at, self.now, max_wait)
            }
            _ => Duration::ZERO,
        };
        match decide(&job, result, &self.config, &attempts, rate_limit_wait, cx) {
            // An attempt that fails without a network does not count.
            _ if failed_offline => {
                self.unmark_sent(job_id, step);
                self.requeue_first(job_id);
            }
            Decision::End(outcome) => self.finish_or_hold(job_id, outcome, step),
            Decision::Retry { wait, reason } => self.retry_later(job_id, wait, reason, step),
        }
        self.dispatch(step);
    }

    fn retry_later(
        &mut self,
        job_id: JobId,
        wait: Duration,
        reason: WaitReason,
        step: &mut SchedulerStep,
    ) {
        let until = self.now.plus(wait);
        self.unmark_sent(job_id, step);
        let Some(entry) = self.entry_mut(job_id) else {
            return;
        };
        match reason {
            WaitReason::RateLimited => {
                entry.attempts.rate_limits += 1;
                entry.attempts.rate_limited_for += wait;
                self.requeue_first(job_id);
            }
            WaitReason::Unreachable(_) => {
                entry.attempts.failures += 1;
                entry.state = JobState::BackingOff(until);
                self.timers.insert((until, Timer::Job(job_id)));
            }
        }
        step.events.push(Event::Waiting {
            job_id,
            until,
            reason,
        });
    }

    /// Unmarks a request that was not processed, unless an earlier attempt may have been.
    fn unmark_sent(&mut self, job_id: JobId, step: &mut SchedulerStep) {
        if let Some(entry) = self.jobs.get(job_id.0)
            && !entry.attempts.may_be_processed
        {
            let writes = &mut step.writes;
            self.persistence.not_processed(job_id, &entry.job, writes);
        }
    }
}

/// Credentials.
impl Scheduler {
    /// Whether the result says that the job's credential is not valid; then the job waits for another.
    fn credential_failed(
        &mut self,
        job_id: JobId,
        id: EffectId,
        result: &TransportResult,
        step: &mut SchedulerStep,
    ) -> bool {
        if !self.waits_for_credentials || !is_credential_failure(result) {
            return false;
        }
        let Some(entry) = self.entry_mut(job_id) else {
            return false;
        };
        let Some(credential) = credential_of(&entry.job).cloned() else {
            return false;
        };
        entry.attempts.renewals += 1;
        if entry.attempts.renewals > MAX_RENEWALS {
            return false;
        }
        let response = match result {
            TransportResult::Response(response) => Some(entry.job.respond(response.clone())),
            _ => None,
        };
        self.unmark_sent(job_id, step);
        if self.credentials.is_renewed_since(&credential, id) {
            self.requeue_first(job_id);
        } else if self.await_credential(job_id, credential.clone(), response, step) {
            step.effects.push(Effect::NeedCredential(credential));
        }
        true
    }

    pub(super) fn credential_ready(&mut self, credential: CredentialRef, step: &mut SchedulerStep) {
        let last_sent = EffectId(self.last_effect);
        for job_id in self.credentials.renewed(credential, last_sent) {
            self.requeue(job_id);
        }
        self.dispatch(step);
    }

    pub(super) fn credential_refused(
        &mut self,
        credential: &CredentialRef,
        step: &mut SchedulerStep,
    ) {
        for (job_id, outcome) in self.credentials.refused(credential) {
            self.finish_or_hold(job_id, outcome, step);
        }
        self.dispatch(step);
    }
}

/// The end of a job.
impl Scheduler {
    /// Ends a job, or holds its queue if that is the queue's policy.
    pub(super) fn finish_or_hold(
        &mut self,
        job_id: JobId,
        outcome: Outcome,
        step: &mut SchedulerStep,
    ) {
        let Some(entry) = self.entry_mut(job_id) else {
            return;
        };
        let outcome = entry.attempts.final_outcome(&entry.job, outcome);
        let holds = entry.job.queue_policy() == QueuePolicy::Hold && !outcome.success();
        let Some(key) = entry.queue.filter(|_| holds) else {
            return self.finish(job_id, outcome, step);
        };
        entry.state = JobState::Held;
        if !matches!(outcome, Outcome::InDoubt(_)) {
            self.unmark_sent(job_id, step);
        }
        if let Some(queue) = self.queues.get_mut(key) {
            queue.held = Some(outcome.clone());
            self.persistence.queue_changed(queue, &mut step.writes);
            step.events.push(Event::Held {
                queue: queue.id.clone(),
                job_id,
                outcome,
            });
        }
    }

    /// Ends a job. If it failed, its queue's policy decides about the jobs behind it.
    pub(super) fn finish(&mut self, job_id: JobId, outcome: Outcome, step: &mut SchedulerStep) {
        let Some(entry) = self.remove_entry(job_id) else {
            return;
        };
        let outcome = entry.attempts.final_outcome(&entry.job, outcome);
        let failed = !outcome.success();
        self.job_ended(job_id, &entry, outcome, step);
        let Some(key) = entry.queue else {
            return;
        };
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        let position = queue.position(job_id);
        debug_assert!(position.is_some(), "job {} is not in its queue", job_id.0);
        if let Some(position) = position {
            queue.jobs.remove(position);
            if failed && entry.job.queue_policy() == QueuePolicy::CancelFutureIfFailed {
                self.cancel_behind(key, position, step);
            }
        }
        self.advance(key);
    }

    /// Cancels the jobs of a queue from this position on.
    fn cancel_behind(&mut self, key: QueueKey, position: usize, step: &mut SchedulerStep) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        for job_id in queue.jobs.split_off(position) {
            if let Some(entry) = self.remove_entry(job_id) {
                self.job_ended(job_id, &entry, Outcome::Cancelled, step);
            }
        }
    }

    /// Removes the entry of a job that has not ended.
    fn remove_entry(&mut self, job_id: JobId) -> Option<JobEntry> {
        let entry = self.jobs.remove(job_id.0);
        debug_assert!(entry.is_some(), "job {} ended twice", job_id.0);
        entry
    }

    /// Writes and reports the outcome of a job whose entry was removed.
    fn job_ended(
        &mut self,
        job_id: JobId,
        entry: &JobEntry,
        outcome: Outcome,
        step: &mut SchedulerStep,
    ) {
        self.buckets.remove_job(entry.bucket, &mut self.timers);
        let writes = &mut step.writes;
        self.persistence
            .job_ended(job_id, &entry.job, &outcome, writes);
        step.events.push(Event::Finished(job_id, outcome));
    }

    pub(super) fn cancel(&mut self, job_id: JobId, step: &mut SchedulerStep) {
        let Some(entry) = self.jobs.get(job_id.0) else {
            return;
        };
        let (job, queue, bucket) = (entry.job.clone(), entry.queue, entry.bucket);
        let outcome = match entry.state {
            JobState::Queued => {
                if queue.is_none() {
                    self.count_stale(bucket);
                }
                Outcome::Cancelled
            }
            JobState::BackingOff(until) => {
                self.timers.remove(&(until, Timer::Job(job_id)));
                Outcome::Cancelled
            }
            JobState::AwaitingCredential => {
                self.credentials.remove(job_id, &job);
                Outcome::Cancelled
            }
            // It was sent already: its result is its outcome.
            JobState::Held => self.take_held_outcome(queue, step),
            JobState::InFlight(id) => {
                self.in_flight.remove(&id);
                self.buckets.request_ended(bucket);
                step.effects.push(Effect::Abort(id));
                retry::aborted_in_flight()
            }
        };
        self.finish(job_id, outcome, step);
        self.dispatch(step);
    }

    fn take_held_outcome(&mut self, queue: Option<QueueKey>, step: &mut SchedulerStep) -> Outcome {
        let queue = queue.and_then(|key| self.queues.get_mut(key));
        let outcome = queue.and_then(|queue| {
            let outcome = queue.held.take();
            self.persistence.queue_changed(queue, &mut step.writes);
            outcome
        });
        debug_assert!(outcome.is_some(), "the queue of a held job is held");
        outcome.unwrap_or(Outcome::Cancelled)
    }
}

/// Whether the request certainly did not arrive.
fn is_unsent(result: &TransportResult) -> bool {
    matches!(result, TransportResult::Failed(error) if error.processed == Processed::No && error.kind.is_transient())
}
