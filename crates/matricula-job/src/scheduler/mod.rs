//! Decides which job runs next, when it is tried again, and when it is given up.
//!
//! Today every job runs at once, and a job lives as long as the process: lines, pace and durability
//! come next, in the same shape.

mod judge;

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

pub use judge::Limits;
use judge::{Tried, Verdict, judge};

use crate::{Answer, Cx, EffectId, Job, Machine, Response, Step, Timestamp, TransportError};

/// The scheduler: a [`Machine`] and a value that is cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Scheduler {
    limits: Limits,
    last_ticket: u64,
    last_effect: u64,
    jobs: OrdMap<Ticket, Entry>,
    on_the_wire: OrdMap<EffectId, Ticket>,
}

/// Names one submitted job, uniquely within its scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u64);

/// What can happen to a scheduler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A job is handed in; [`Event::Accepted`] tells its ticket.
    Submit(Box<Job>),
    /// The answer to an [`Effect`].
    Answer(EffectId, Answer),
    /// A job is called back. It ends as cancelled, or in doubt if it is on the wire.
    Cancel(Ticket),
    /// The time that [`Step::wake_at`] named has come.
    Wake,
}

/// What a scheduler wants done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Send this job, and answer by the id.
    Send(EffectId, Arc<Job>),
    /// Stop sending: nobody waits for this answer any more. It needs none.
    CallBack(EffectId),
}

/// What a scheduler tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The job that was just submitted has this ticket.
    Accepted(Ticket),
    /// The job waits before it is tried again.
    Waiting {
        /// Which job.
        ticket: Ticket,
        /// Until when.
        until: Timestamp,
        /// What for.
        why: Wait,
    },
    /// The job has ended. Told exactly once a job.
    Finished(Ticket, Outcome),
}

/// Why a job is not on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// The server asks for fewer requests.
    RateLimited,
    /// The server could not be reached; in its words or the network's.
    Unreachable(String),
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The server answered; [`Response::success`] tells how.
    Done(Response),
    /// It was certainly not processed.
    Failed(TransportError),
    /// It may have been processed, and asking again could do it twice.
    InDoubt(TransportError),
    /// It was called back before it was sent.
    Cancelled,
}

#[derive(Clone, Debug)]
struct Entry {
    job: Arc<Job>,
    state: State,
    tried: Tried,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    OnTheWire(EffectId),
    Waiting(Timestamp),
}

impl Scheduler {
    /// A scheduler with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Jobs that have not ended, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = (Ticket, &Job)> {
        self.jobs
            .iter()
            .map(|(ticket, entry)| (*ticket, &*entry.job))
    }

    fn send(&mut self, ticket: Ticket, entry: Entry, step: &mut Step<Effect, Event>) {
        self.last_effect += 1;
        let id = EffectId(self.last_effect);
        step.effects.push(Effect::Send(id, Arc::clone(&entry.job)));
        self.on_the_wire.insert(id, ticket);
        self.jobs.insert(
            ticket,
            Entry {
                state: State::OnTheWire(id),
                ..entry
            },
        );
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        id: EffectId,
        answer: Answer,
        step: &mut Step<Effect, Event>,
    ) {
        // An answer to a job that was called back, or a second answer: nobody waits for it.
        let Some(ticket) = self.on_the_wire.remove(&id) else {
            return;
        };
        let Some(mut entry) = self.jobs.get(&ticket).cloned() else {
            return;
        };
        match judge(&entry.job, answer, &self.limits, &entry.tried, cx) {
            Verdict::End(outcome) => {
                self.jobs.remove(&ticket);
                step.events.push(Event::Finished(ticket, outcome));
            }
            Verdict::Wait { wait, why } => {
                match why {
                    Wait::RateLimited => {
                        entry.tried.paces += 1;
                        entry.tried.paced += wait;
                    }
                    Wait::Unreachable(_) => entry.tried.failures += 1,
                }
                let until = cx.now.plus(wait);
                self.jobs.insert(
                    ticket,
                    Entry {
                        state: State::Waiting(until),
                        ..entry
                    },
                );
                step.events.push(Event::Waiting { ticket, until, why });
            }
        }
    }

    fn cancel(&mut self, ticket: Ticket, step: &mut Step<Effect, Event>) {
        let Some(entry) = self.jobs.remove(&ticket) else {
            return;
        };
        let outcome = match entry.state {
            State::Waiting(_) => Outcome::Cancelled,
            State::OnTheWire(id) => {
                self.on_the_wire.remove(&id);
                step.effects.push(Effect::CallBack(id));
                judge::called_back()
            }
        };
        step.events.push(Event::Finished(ticket, outcome));
    }

    fn wake(&mut self, cx: &Cx<'_>, step: &mut Step<Effect, Event>) {
        let longest = self.limits.longest_wait();
        let due: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, entry)| match entry.state {
                // A clock that was set back must not make a job wait longer than it ever would.
                State::Waiting(until) => until <= cx.now || until > cx.now.plus(longest),
                State::OnTheWire(_) => false,
            })
            .map(|(ticket, entry)| (*ticket, entry.clone()))
            .collect();
        for (ticket, entry) in due {
            self.send(ticket, entry, step);
        }
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let waits = self.jobs.values().filter_map(|entry| match entry.state {
            State::Waiting(until) => Some(until),
            State::OnTheWire(_) => None,
        });
        waits.min()
    }
}

impl Machine for Scheduler {
    type Input = Input;
    type Effect = Effect;
    type Event = Event;

    fn step(&mut self, cx: &mut Cx<'_>, input: Input) -> Step<Effect, Event> {
        let mut step = Step::default();
        match input {
            Input::Submit(job) => {
                self.last_ticket += 1;
                let ticket = Ticket(self.last_ticket);
                step.events.push(Event::Accepted(ticket));
                let state = State::Waiting(cx.now);
                let entry = Entry {
                    job: Arc::new(*job),
                    state,
                    tried: Tried::default(),
                };
                self.send(ticket, entry, &mut step);
            }
            Input::Answer(id, answer) => self.answer(cx, id, answer, &mut step),
            Input::Cancel(ticket) => self.cancel(ticket, &mut step),
            Input::Wake => self.wake(cx, &mut step),
        }
        step.wake_at = self.next_wake();
        step
    }
}
