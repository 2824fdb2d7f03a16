//! What is kept in a store, and how a scheduler comes back from it.
//!
//! | table | key | value |
//! |---|---|---|
//! | [`JOBS`](tables::JOBS) | ticket | the job |
//! | [`SENT`](tables::SENT) | ticket | nothing: it may be on the wire, and must not go twice |
//! | [`QUEUES`](tables::QUEUES) | the queue's id | that it is paused, or how its head would end |
//! | [`OUTCOMES`](tables::OUTCOMES) | ticket | how the job ended, until that is forgotten |
//! | [`COUNTERS`](tables::COUNTERS) | `ticket` | tickets up to this may have been given |
//!
//! Only jobs of queues are kept. A ticket is written with leading zeros, so that keys sort as tickets do.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Limits, Outcome, Scheduler, State, Ticket, Turn, judge, lines::QueueKey};
use crate::{Body, Job, Response, Retry, TransportError};

/// The tables that a scheduler writes to.
pub mod tables {
    /// Jobs that have not ended, by ticket.
    pub const JOBS: &str = "jobs";
    /// Jobs that may be on the wire and must not go twice, by ticket.
    pub const SENT: &str = "sent";
    /// Queues that are paused or held, by id.
    pub const QUEUES: &str = "queues";
    /// How jobs ended, by ticket.
    pub const OUTCOMES: &str = "outcomes";
    /// Numbers that must not be given twice, by name.
    pub const COUNTERS: &str = "counters";
}

/// How many tickets are given for each time that the store is told.
const RESERVE: u64 = 1024;

/// What is in the store was not written by a scheduler, or by a newer one.
#[derive(Debug, thiserror::Error)]
#[error("the entry {key:?} of {table:?} cannot be read; move the store aside to begin anew")]
pub struct StoredError {
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
    job_id: String,
    data: Value,
}

impl From<&Outcome> for StoredOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done(response) => {
                let header = response.headers().iter();
                Self::Done(StoredResponse {
                    status: response.status_code(),
                    header: header
                        .map(|(name, value)| (name.to_string(), value.clone()))
                        .collect(),
                    body: response.body().clone(),
                    job_id: response.job_id().to_owned(),
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
                Self::Done(response.of_job(Cow::Owned(it.job_id), it.data))
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

impl Ticket {
    /// The key of what is kept of this job, in each of the [`tables`] that go by ticket.
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
    fn keeps(&self, job: &Job) -> bool {
        self.keeps && job.queue_id().is_some()
    }

    pub(super) fn keep_job(&mut self, ticket: Ticket, job: &Job, turn: &mut Turn) {
        // Also for jobs that are not kept: nobody is to be told one ticket twice.
        if self.keeps && ticket.0 > self.reserved {
            self.reserved = ticket.0 + RESERVE;
            let reserved = self.reserved.to_string();
            turn.commit.put(tables::COUNTERS, "ticket", reserved);
        }
        if !self.keeps(job) {
            return;
        }
        turn.commit.put(tables::JOBS, ticket.key(), json(job));
    }

    /// Before a request that must not go twice is on the wire, it is known that it may be.
    pub(super) fn keep_sending(&self, ticket: Ticket, job: &Job, turn: &mut Turn) {
        if self.keeps(job) && job.retry() == Retry::NotProcessed {
            turn.commit.put(tables::SENT, ticket.key(), []);
        }
    }

    /// It is certain that the request was not processed, unless an earlier attempt may have been.
    pub(super) fn keep_unsent(&self, ticket: Ticket, job: &Job, turn: &mut Turn) {
        let entry = self.jobs.get(ticket.0);
        let is_certain = entry.is_none_or(|entry| !entry.tried.may_be_processed);
        if is_certain && self.keeps(job) && job.retry() == Retry::NotProcessed {
            turn.commit.remove(tables::SENT, ticket.key());
        }
    }

    pub(super) fn keep_outcome(
        &mut self,
        ticket: Ticket,
        job: &Job,
        outcome: &Outcome,
        turn: &mut Turn,
    ) {
        if !self.keeps(job) {
            return;
        }
        turn.commit.remove(tables::JOBS, ticket.key());
        self.keep_unsent(ticket, job, turn);
        let stored = json(&StoredOutcome::from(outcome));
        turn.commit.put(tables::OUTCOMES, ticket.key(), stored);
        self.ended.push_back(ticket);
        if self.ended.len() > self.limits.outcomes
            && let Some(oldest) = self.ended.pop_front()
        {
            turn.commit.remove(tables::OUTCOMES, oldest.key());
        }
    }

    pub(super) fn forget(&mut self, ticket: Ticket, turn: &mut Turn) {
        if let Ok(place) = self.ended.binary_search(&ticket) {
            self.ended.remove(place);
            turn.commit.remove(tables::OUTCOMES, ticket.key());
        } else if let Some(place) = self.ended.iter().position(|ended| *ended == ticket) {
            self.ended.remove(place);
            turn.commit.remove(tables::OUTCOMES, ticket.key());
        }
    }

    pub(super) fn keep_queue(&self, queue: QueueKey, turn: &mut Turn) {
        let Some(queue) = self.queues.get(queue).filter(|_| self.keeps) else {
            return;
        };
        if !queue.paused && queue.held.is_none() {
            turn.commit.remove(tables::QUEUES, queue.id.clone());
            return;
        }
        let stored = StoredQueue {
            paused: queue.paused,
            held: queue.held.as_ref().map(StoredOutcome::from),
        };
        turn.commit
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
        limits: Limits,
        entries: impl IntoIterator<Item = (&'a str, &'a str, &'a [u8])>,
    ) -> Result<Self, StoredError> {
        let mut scheduler = Self {
            keeps: true,
            ..Self::new(limits)
        };
        let (mut jobs, mut sent, mut queues) = (Vec::new(), Vec::new(), Vec::new());
        let mut ended = Vec::new();
        for (table, key, value) in entries {
            let unreadable = || StoredError {
                table: table.to_owned(),
                key: key.to_owned(),
            };
            let ticket = || key.parse().map(Ticket).map_err(|_| unreadable());
            match table {
                tables::JOBS => {
                    let job: Job = serde_json::from_slice(value).map_err(|_| unreadable())?;
                    jobs.push((ticket()?, job));
                }
                tables::SENT => sent.push(ticket()?),
                tables::OUTCOMES => ended.push(ticket()?),
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
        // Tickets between the last one given and this are left out: they may have been given.
        scheduler.last_ticket = scheduler.reserved;
        ended.sort_unstable();
        scheduler.ended = ended.into_iter().collect();
        scheduler.take_up(jobs, &sent, queues);
        Ok(scheduler)
    }

    fn take_up(
        &mut self,
        mut jobs: Vec<(Ticket, Job)>,
        sent: &[Ticket],
        queues: Vec<(&str, StoredQueue)>,
    ) {
        // Nothing goes before `Input::Start`.
        self.online = false;
        jobs.sort_unstable_by_key(|(ticket, _)| *ticket);
        for (id, stored) in queues {
            let key = self.queue_named(id);
            if let Some(queue) = self.queues.get_mut(key) {
                queue.paused = stored.paused;
                queue.held = stored.held.map(Outcome::from);
            }
        }
        for (ticket, job) in jobs {
            self.last_ticket = self.last_ticket.max(ticket.0);
            self.stand_in_line(ticket, Arc::new(job));
            if let Some(entry) = self.jobs.get_mut(ticket.0) {
                entry.tried.may_be_processed = sent.contains(&ticket);
            }
        }
        for (_, queue) in self.queues.iter() {
            let head = queue.line.front();
            let Some(entry) = head.and_then(|head| self.jobs.get_mut(head.0)) else {
                continue;
            };
            if queue.held.is_some() {
                entry.state = State::Held;
            }
            // Of those that may go twice, it is not kept that one was on the wire. Only a head was.
            if entry.job.retry() != Retry::NotProcessed {
                entry.tried.may_be_processed = true;
            }
        }
    }

    pub(super) fn start(&mut self, turn: &mut Turn) {
        self.online = true;
        let in_doubt: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, entry)| {
                entry.tried.may_be_processed
                    && entry.state != State::Held
                    && entry.job.retry() == Retry::NotProcessed
            })
            .map(|(ticket, _)| Ticket(ticket))
            .collect();
        for ticket in in_doubt {
            self.conclude(ticket, Outcome::InDoubt(judge::interrupted()), turn);
        }
        self.send_what_may_go(turn);
    }
}
