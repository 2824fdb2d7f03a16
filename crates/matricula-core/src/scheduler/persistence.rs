//! What is kept in a store, and how a scheduler comes back from it.
//!
//! | table | key | value |
//! |---|---|---|
//! | [`JOBS`](tables::JOBS) | job id | the job |
//! | [`SENT`](tables::SENT) | job id | nothing: it may be on the wire, and must not go twice |
//! | [`QUEUES`](tables::QUEUES) | the queue's id | that it is paused, or how its head would end |
//! | [`OUTCOMES`](tables::OUTCOMES) | job id | how the job ended, until that is forgotten |
//! | [`COUNTERS`](tables::COUNTERS) | `job id` | job ids up to this may have been given |
//!
//! Only jobs of queues are kept. A job id is written with leading zeros, so that keys sort as job ids do.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    JobId, Outcome, Scheduler, SchedulerConfig, SchedulerStep, State, queue::QueueKey, retry,
};
use crate::{Body, Job, Response, RetrySafety, TransportError};

/// The tables that a scheduler writes to.
pub mod tables {
    /// Jobs that have not ended, by job id.
    pub const JOBS: &str = "jobs";
    /// Jobs that may be on the wire and must not go twice, by job id.
    pub const SENT: &str = "sent";
    /// Queues that are paused or held, by id.
    pub const QUEUES: &str = "queues";
    /// How jobs ended, by job id.
    pub const OUTCOMES: &str = "outcomes";
    /// Numbers that must not be given twice, by name.
    pub const COUNTERS: &str = "counters";
}

/// How many job ids are given for each time that the store is told.
const RESERVE: u64 = 1024;

/// What is in the store was not written by a scheduler, or by a newer one.
#[derive(Debug, thiserror::Error)]
#[error("the entry {key:?} of {table:?} cannot be read; move the store aside to begin anew")]
pub struct RestoreError {
    /// Of which table.
    pub table: String,
    /// Which entry.
    pub key: String,
}

#[derive(Default, Serialize, Deserialize)]
struct StoredQueue {
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    held: Option<StoredOutcome>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredOutcome {
    Done(StoredResponse),
    Failed(TransportError),
    InDoubt(TransportError),
    Cancelled,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredResponse {
    status: u16,
    header: Vec<(String, String)>,
    body: Body,
    operation_id: String,
    data: Value,
}

impl From<&Outcome> for StoredOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Responded(response) => {
                let header = response.headers().iter();
                Self::Done(StoredResponse {
                    status: response.status_code(),
                    header: header
                        .map(|(name, value)| (name.to_string(), value.clone()))
                        .collect(),
                    body: response.body().clone(),
                    operation_id: response.operation_id().to_owned(),
                    data: response.data().clone(),
                })
            }
            Outcome::Failed(error) => Self::Failed(error.clone()),
            Outcome::InDoubt(error) => Self::InDoubt(error.clone()),
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

impl From<StoredOutcome> for Outcome {
    fn from(stored: StoredOutcome) -> Self {
        match stored {
            StoredOutcome::Done(it) => {
                let header = it.header.into_iter();
                let header = header.map(|(name, value)| (Cow::Owned(name), value));
                let response = Response::new(it.status, header.collect(), it.body);
                Self::Responded(response.of_job(Cow::Owned(it.operation_id), it.data))
            }
            StoredOutcome::Failed(error) => Self::Failed(error),
            StoredOutcome::InDoubt(error) => Self::InDoubt(error),
            StoredOutcome::Cancelled => Self::Cancelled,
        }
    }
}

impl Outcome {
    /// Reads an outcome that a scheduler kept in [`tables::OUTCOMES`].
    ///
    /// # Errors
    /// Where the text was not written by one.
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<StoredOutcome>(json).map(Self::from)
    }
}

impl JobId {
    /// The key of what is kept of this job, in each of the [`tables`] that go by job id.
    pub fn key(self) -> String {
        format!("{:020}", self.0)
    }
}

/// Texts, numbers and lists of them always have a JSON form.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Writing, with each step.
impl Scheduler {
    fn persists(&self, job: &Job) -> bool {
        self.is_durable && job.queue_id().is_some()
    }

    pub(super) fn persist_job(&mut self, job_id: JobId, job: &Job, step: &mut SchedulerStep) {
        // Also for jobs that are not kept: nobody is to be told one job id twice.
        if self.is_durable && job_id.0 > self.reserved {
            self.reserved = job_id.0 + RESERVE;
            let reserved = self.reserved.to_string();
            step.writes.put(tables::COUNTERS, "job_id", reserved);
        }
        if !self.persists(job) {
            return;
        }
        step.writes.put(tables::JOBS, job_id.key(), json(job));
    }

    /// Before a request that must not go twice is on the wire, it is known that it may be.
    pub(super) fn persist_sending(&self, job_id: JobId, job: &Job, step: &mut SchedulerStep) {
        if self.persists(job) && job.retry_safety() == RetrySafety::OnlyIfNotProcessed {
            step.writes.put(tables::SENT, job_id.key(), []);
        }
    }

    /// It is certain that the request was not processed, unless an earlier attempt may have been.
    pub(super) fn persist_unsent(&self, job_id: JobId, job: &Job, step: &mut SchedulerStep) {
        let entry = self.jobs.get(job_id.0);
        let is_certain = entry.is_none_or(|entry| !entry.attempts.may_be_processed);
        if is_certain && self.persists(job) && job.retry_safety() == RetrySafety::OnlyIfNotProcessed
        {
            step.writes.remove(tables::SENT, job_id.key());
        }
    }

    pub(super) fn persist_outcome(
        &mut self,
        job_id: JobId,
        job: &Job,
        outcome: &Outcome,
        step: &mut SchedulerStep,
    ) {
        if !self.persists(job) {
            return;
        }
        step.writes.remove(tables::JOBS, job_id.key());
        self.persist_unsent(job_id, job, step);
        let stored = json(&StoredOutcome::from(outcome));
        step.writes.put(tables::OUTCOMES, job_id.key(), stored);
        self.ended.push_back(job_id);
        if self.ended.len() > self.config.max_kept_outcomes
            && let Some(oldest) = self.ended.pop_front()
        {
            step.writes.remove(tables::OUTCOMES, oldest.key());
        }
    }

    pub(super) fn drop_outcome(&mut self, job_id: JobId, step: &mut SchedulerStep) {
        if let Ok(place) = self.ended.binary_search(&job_id) {
            self.ended.remove(place);
            step.writes.remove(tables::OUTCOMES, job_id.key());
        } else if let Some(place) = self.ended.iter().position(|ended| *ended == job_id) {
            self.ended.remove(place);
            step.writes.remove(tables::OUTCOMES, job_id.key());
        }
    }

    pub(super) fn persist_queue(&self, queue: QueueKey, step: &mut SchedulerStep) {
        let Some(queue) = self.queues.get(queue).filter(|_| self.is_durable) else {
            return;
        };
        if !queue.paused && queue.held.is_none() {
            step.writes.remove(tables::QUEUES, queue.id.clone());
            return;
        }
        let stored = StoredQueue {
            paused: queue.paused,
            held: queue.held.as_ref().map(StoredOutcome::from),
        };
        step.writes
            .put(tables::QUEUES, queue.id.clone(), json(&stored));
    }
}

/// Reading, after a restart.
impl Scheduler {
    /// A scheduler that keeps the jobs of queues, going on with what its store holds: each entry's
    /// table, key and value, in any order. Step it with [`Input::Start`](super::Input::Start) first.
    ///
    /// # Errors
    /// Where an entry was not written by a scheduler.
    pub fn restore<'a>(
        limits: SchedulerConfig,
        entries: impl IntoIterator<Item = (&'a str, &'a str, &'a [u8])>,
    ) -> Result<Self, RestoreError> {
        let mut scheduler = Self {
            is_durable: true,
            ..Self::new(limits)
        };
        let (mut jobs, mut sent, mut queues) = (Vec::new(), Vec::new(), Vec::new());
        let mut ended = Vec::new();
        for (table, key, value) in entries {
            let unreadable = || RestoreError {
                table: table.to_owned(),
                key: key.to_owned(),
            };
            let job_id = || key.parse().map(JobId).map_err(|_| unreadable());
            match table {
                tables::JOBS => {
                    let job: Job = serde_json::from_slice(value).map_err(|_| unreadable())?;
                    jobs.push((job_id()?, job));
                }
                tables::SENT => sent.push(job_id()?),
                tables::OUTCOMES => ended.push(job_id()?),
                tables::QUEUES => {
                    let queue: StoredQueue =
                        serde_json::from_slice(value).map_err(|_| unreadable())?;
                    queues.push((key, queue));
                }
                tables::COUNTERS => {
                    let text = std::str::from_utf8(value).map_err(|_| unreadable())?;
                    scheduler.reserved = text.parse().map_err(|_| unreadable())?;
                }
                _ => {}
            }
        }
        // job ids between the last one given and this are left out: they may have been given.
        scheduler.last_job_id = scheduler.reserved;
        ended.sort_unstable();
        scheduler.ended = ended.into_iter().collect();
        scheduler.restore_jobs(jobs, &sent, queues);
        Ok(scheduler)
    }

    fn restore_jobs(
        &mut self,
        mut jobs: Vec<(JobId, Job)>,
        sent: &[JobId],
        queues: Vec<(&str, StoredQueue)>,
    ) {
        // Nothing goes before `Input::Start`.
        self.online = false;
        jobs.sort_unstable_by_key(|(job_id, _)| *job_id);
        for (id, stored) in queues {
            let key = self.queue_named(id);
            if let Some(queue) = self.queues.get_mut(key) {
                queue.paused = stored.paused;
                queue.held = stored.held.map(Outcome::from);
            }
        }
        for (job_id, job) in jobs {
            self.last_job_id = self.last_job_id.max(job_id.0);
            self.enqueue(job_id, Arc::new(job));
            if let Some(entry) = self.jobs.get_mut(job_id.0) {
                entry.attempts.may_be_processed = sent.contains(&job_id);
            }
        }
        for (_, queue) in self.queues.iter() {
            let head = queue.jobs.front();
            let Some(entry) = head.and_then(|head| self.jobs.get_mut(head.0)) else {
                continue;
            };
            if queue.held.is_some() {
                entry.state = State::Held;
            }
            // Of those that may go twice, it is not kept that one was on the wire. Only a head was.
            if entry.job.retry_safety() != RetrySafety::OnlyIfNotProcessed {
                entry.attempts.may_be_processed = true;
            }
        }
    }

    pub(super) fn start(&mut self, step: &mut SchedulerStep) {
        self.online = true;
        let in_doubt: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, entry)| {
                entry.attempts.may_be_processed
                    && entry.state != State::Held
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
