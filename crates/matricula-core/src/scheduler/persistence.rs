//! What a scheduler writes to its store, and how it is restored.
//!
//! | table | key | value |
//! |---|---|---|
//! | [`JOBS`](tables::JOBS) | job id | the job |
//! | [`SENT`](tables::SENT) | job id | empty: the request may be in flight, and must not be sent twice |
//! | [`QUEUES`](tables::QUEUES) | queue id | whether it is paused, and the outcome of its held head |
//! | [`OUTCOMES`](tables::OUTCOMES) | job id | the outcome, until it is dropped |
//! | [`COUNTERS`](tables::COUNTERS) | `job_id` | job ids up to this may have been given |
//!
//! Only jobs of queues are stored. A job id is written with leading zeros, so that keys sort as job ids do.

use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
    error::Error,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{JobId, Outcome, queues::Queue};
use crate::{Body, Job, Response, RetrySafety, TransportError, WriteBatch};

/// The tables that a scheduler writes to.
pub mod tables {
    /// Jobs that have not ended, by job id.
    pub const JOBS: &str = "jobs";
    /// Jobs that may be in flight and must not be sent twice, by job id.
    pub const SENT: &str = "sent";
    /// Queues that are paused or held, by queue id.
    pub const QUEUES: &str = "queues";
    /// Outcomes of jobs that have ended, by job id.
    pub const OUTCOMES: &str = "outcomes";
    /// Numbers that must not be given twice, by name.
    pub const COUNTERS: &str = "counters";
}

/// How many job ids are reserved by one write.
const RESERVED_IDS: u64 = 1024;

/// An entry of the store was not written by a scheduler of this version.
#[derive(Debug, thiserror::Error)]
#[error(
    "the entry {key:?} of {table:?} cannot be read ({source}); use the version that wrote it, or move the store aside to start with an empty one"
)]
pub struct RestoreError {
    /// The entry's table.
    pub table: String,
    /// The entry's key.
    pub key: String,
    /// Why it cannot be read.
    pub source: Box<dyn Error + Send + Sync>,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct StoredQueue {
    #[serde(default)]
    pub(super) paused: bool,
    #[serde(default)]
    pub(super) held: Option<StoredOutcome>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredOutcome {
    Responded(StoredResponse),
    Failed(TransportError),
    InDoubt(TransportError),
    Cancelled,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    operation_id: String,
    data: Value,
}

impl From<&Outcome> for StoredOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Responded(response) => {
                let headers = response.headers().iter();
                Self::Responded(StoredResponse {
                    status: response.status_code(),
                    headers: headers
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
            StoredOutcome::Responded(stored) => {
                let headers = stored.headers.into_iter();
                let headers = headers.map(|(name, value)| (Cow::Owned(name), value));
                let response = Response::new(stored.status, headers.collect(), stored.body);
                Self::Responded(response.with_job(Cow::Owned(stored.operation_id), stored.data))
            }
            StoredOutcome::Failed(error) => Self::Failed(error),
            StoredOutcome::InDoubt(error) => Self::InDoubt(error),
            StoredOutcome::Cancelled => Self::Cancelled,
        }
    }
}

impl Outcome {
    /// Reads an outcome that a scheduler wrote to [`tables::OUTCOMES`].
    ///
    /// # Errors
    /// If the value was not written by a scheduler of this version.
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<StoredOutcome>(json).map(Self::from)
    }
}

impl JobId {
    /// The key of this job in each of the [`tables`] whose keys are job ids.
    pub fn key(self) -> String {
        format!("{:020}", self.0)
    }
}

/// The JSON of a stored value. Jobs that hold secrets, the only ones without a JSON form, are rejected
/// when they are submitted to a durable queue.
#[expect(clippy::expect_used, reason = "an empty value would lose the job")]
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value)
        .expect("a job without secrets, an outcome and a queue have a JSON form")
}

/// Writes the durable state of a scheduler; writes nothing if there is no store.
#[derive(Clone, Debug)]
pub(super) struct Persistence {
    pub(super) is_durable: bool,
    max_kept_outcomes: usize,
    /// Job ids up to this may be given without another write.
    reserved: u64,
    /// Jobs whose outcomes are stored, in the order in which they ended.
    ended: VecDeque<JobId>,
}

impl Persistence {
    pub(super) fn none() -> Self {
        Self {
            is_durable: false,
            max_kept_outcomes: 0,
            reserved: 0,
            ended: VecDeque::new(),
        }
    }

    pub(super) fn restored(stored: &Stored, max_kept_outcomes: usize) -> Self {
        Self {
            is_durable: true,
            max_kept_outcomes,
            reserved: stored.reserved,
            ended: stored.ended.iter().copied().collect(),
        }
    }

    /// Whether this job is stored: only jobs of queues are.
    pub(super) fn stores(&self, job: &Job) -> bool {
        self.is_durable && job.queue_id().is_some()
    }

    pub(super) fn ended(&self) -> impl Iterator<Item = JobId> {
        self.ended.iter().copied()
    }

    pub(super) fn job_accepted(&mut self, job_id: JobId, job: &Job, writes: &mut WriteBatch) {
        // Ids of jobs that are not stored are reserved too: no id is given twice.
        if self.is_durable && job_id.0 > self.reserved {
            self.reserved = job_id.0 + RESERVED_IDS;
            writes.put(tables::COUNTERS, "job_id", self.reserved.to_string());
        }
        if self.stores(job) {
            writes.put(tables::JOBS, job_id.key(), json(job));
        }
    }

    /// A request that must not be sent twice is marked before it is sent.
    pub(super) fn request_sent(&self, job_id: JobId, job: &Job, writes: &mut WriteBatch) {
        if self.stores(job) && job.retry_safety() == RetrySafety::OnlyIfNotProcessed {
            writes.put(tables::SENT, job_id.key(), []);
        }
    }

    /// The server certainly did not process the request.
    pub(super) fn not_processed(&self, job_id: JobId, job: &Job, writes: &mut WriteBatch) {
        if self.stores(job) && job.retry_safety() == RetrySafety::OnlyIfNotProcessed {
            writes.remove(tables::SENT, job_id.key());
        }
    }

    pub(super) fn job_ended(
        &mut self,
        job_id: JobId,
        job: &Job,
        outcome: &Outcome,
        writes: &mut WriteBatch,
    ) {
        if !self.stores(job) {
            return;
        }
        writes.remove(tables::JOBS, job_id.key());
        self.not_processed(job_id, job, writes);
        let stored = json(&StoredOutcome::from(outcome));
        writes.put(tables::OUTCOMES, job_id.key(), stored);
        self.ended.push_back(job_id);
        if self.ended.len() > self.max_kept_outcomes
            && let Some(oldest) = self.ended.pop_front()
        {
            writes.remove(tables::OUTCOMES, oldest.key());
        }
    }

    pub(super) fn drop_outcome(&mut self, job_id: JobId, writes: &mut WriteBatch) {
        // Most jobs end in the order of their ids, so that the list is nearly sorted.
        let ended = &self.ended;
        let index = ended.binary_search(&job_id).ok();
        let index = index.or_else(|| ended.iter().position(|ended| *ended == job_id));
        if let Some(index) = index {
            self.ended.remove(index);
            writes.remove(tables::OUTCOMES, job_id.key());
        }
    }

    pub(super) fn queue_changed(&self, queue: &Queue, writes: &mut WriteBatch) {
        if !self.is_durable {
            return;
        }
        if !queue.is_stopped() {
            writes.remove(tables::QUEUES, queue.id.clone());
            return;
        }
        let stored = StoredQueue {
            paused: queue.paused,
            held: queue.held.as_ref().map(StoredOutcome::from),
        };
        writes.put(tables::QUEUES, queue.id.clone(), json(&stored));
    }
}

/// The content of a store, read but not yet restored.
#[derive(Default)]
pub(super) struct Stored {
    /// By job id.
    pub(super) jobs: Vec<(JobId, Job)>,
    /// Jobs that may have been in flight.
    pub(super) sent: BTreeSet<JobId>,
    pub(super) queues: Vec<(String, StoredQueue)>,
    ended: BTreeSet<JobId>,
    /// Job ids up to this may have been given.
    pub(super) reserved: u64,
}

impl Stored {
    pub(super) fn read<'a>(
        entries: impl IntoIterator<Item = (&'a str, &'a str, &'a [u8])>,
    ) -> Result<Self, RestoreError> {
        let mut stored = Self::default();
        for (table, key, value) in entries {
            stored
                .read_entry(table, key, value)
                .map_err(|source| RestoreError {
                    table: table.to_owned(),
                    key: key.to_owned(),
                    source,
                })?;
        }
        stored.jobs.sort_unstable_by_key(|(job_id, _)| *job_id);
        Ok(stored)
    }

    fn read_entry(
        &mut self,
        table: &str,
        key: &str,
        value: &[u8],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let job_id = || key.parse().map(JobId);
        match table {
            tables::JOBS => self.jobs.push((job_id()?, serde_json::from_slice(value)?)),
            tables::SENT => drop(self.sent.insert(job_id()?)),
            tables::OUTCOMES => drop(self.ended.insert(job_id()?)),
            tables::QUEUES => {
                let queue = serde_json::from_slice(value)?;
                self.queues.push((key.to_owned(), queue));
            }
            tables::COUNTERS => self.reserved = std::str::from_utf8(value)?.parse()?,
            // Other machines may share the store.
            _ => {}
        }
        Ok(())
    }
}
