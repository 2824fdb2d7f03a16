//! Where jobs stand, for whoever watches.

use super::{Limits, Scheduler, Standing, State, Ticket};
use crate::{Auth, Job};

impl Scheduler {
    /// Jobs that have not ended, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = (Ticket, &Job)> {
        self.jobs
            .iter()
            .map(|(ticket, entry)| (Ticket(ticket), &*entry.job))
    }

    /// The bounds that it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many jobs have not ended.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether all jobs have ended.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many places it holds besides its jobs: in lines, among turns, for timers, and what it has
    /// learnt of servers. Some hundreds at most where there are few jobs, else as many as these.
    pub fn footprint(&self) -> usize {
        let lanes = self.lanes.iter().map(|(_, lane)| 1 + lane.ready.len());
        let queues = self.queues.iter().map(|(_, queue)| 1 + queue.line.len());
        let turns = self.turns.len() + self.poll_turns.len();
        lanes.sum::<usize>() + queues.sum::<usize>() + turns + self.timers.len()
    }

    /// The job of this ticket, if it has not ended.
    pub fn job(&self, ticket: Ticket) -> Option<&Job> {
        Some(&self.jobs.get(ticket.0)?.job)
    }

    /// How many of its queue go before it; none for a job that has ended, 0 for one of no queue.
    pub fn position(&self, ticket: Ticket) -> Option<usize> {
        let entry = self.jobs.get(ticket.0)?;
        let Some(key) = entry.queue else {
            return Some(0);
        };
        self.queues.get(key)?.line.binary_search(&ticket).ok()
    }

    /// The jobs of a queue that have not ended, in order.
    pub fn queue(&self, id: &str) -> impl Iterator<Item = Ticket> {
        let key = self.queue_keys.get(id);
        let queue = key.and_then(|key| self.queues.get(*key));
        queue
            .into_iter()
            .flat_map(|queue| queue.line.iter().copied())
    }

    /// The queues that have jobs or are paused.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        self.queue_keys.keys().map(String::as_str)
    }

    /// Jobs that have ended and whose outcomes are kept in the store, oldest first.
    pub fn ended(&self) -> impl Iterator<Item = Ticket> {
        self.ended.iter().copied()
    }

    /// Why a job waits, and until when if that is known; none for a job that has ended.
    pub fn standing(&self, ticket: Ticket) -> Option<Standing> {
        let entry = self.jobs.get(ticket.0)?;
        Some(match entry.state {
            State::OnTheWire(_) => Standing::OnTheWire,
            State::BackingOff(until) => Standing::BackingOff { until },
            State::Held => Standing::Held,
            State::Parked => match entry.job.auth() {
                Auth::Optional(credential) | Auth::Required(credential) => Standing::Parked {
                    credential: credential.clone(),
                },
                _ => Standing::InTurn,
            },
            State::InLine => {
                let queue = entry.queue.and_then(|key| self.queues.get(key));
                let others = self.position(ticket).unwrap_or_default();
                let lane = self.lanes.get(entry.lane);
                let paced = lane.and_then(|lane| lane.pace.wait(self.now));
                match paced {
                    _ if others > 0 => Standing::Behind { others },
                    _ if queue.is_some_and(|queue| queue.paused) => Standing::Paused,
                    _ if !self.online => Standing::Offline,
                    Some(until) => Standing::Paced { until },
                    None => Standing::InTurn,
                }
            }
        })
    }
}
