//! What happens to all jobs, for whoever listens.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use matricula_core::scheduler::Event;

use crate::core::Listener;

/// Events that a slow listener may be behind before it misses some, and is told so.
const MOST_BEHIND: usize = 256;

/// What a listener hears.
#[derive(Clone, Debug, PartialEq)]
pub enum EventOrLag {
    /// Something happened to a job.
    Event(Event),
    /// It was too far behind, and has missed so many.
    Lagged(u64),
}

/// What happens to all jobs, in order. As an iterator it waits for the next, and ends with the runner.
#[derive(Debug)]
pub struct Events {
    line: Arc<Line>,
}

#[derive(Debug, Default)]
struct Line {
    waiting: Mutex<Waiting>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    missed: u64,
    is_closed: bool,
}

impl Waiting {
    fn take(&mut self) -> Option<EventOrLag> {
        match std::mem::take(&mut self.missed) {
            0 => self.events.pop_front().map(EventOrLag::Event),
            missed => Some(EventOrLag::Lagged(missed)),
        }
    }

    fn is_quiet(&mut self) -> bool {
        self.events.is_empty() && self.missed == 0 && !self.is_closed
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the runner tells. Dropped, there is nothing more to hear.
struct Teller(Arc<Line>);

impl Teller {
    /// Whether anybody listens.
    fn tell(&self, event: &Event) -> bool {
        if Arc::strong_count(&self.0) == 1 {
            return false;
        }
        let mut waiting = self.0.lock();
        if waiting.events.len() == MOST_BEHIND {
            waiting.events.pop_front();
            waiting.missed += 1;
        }
        waiting.events.push_back(event.clone());
        self.0.moved.notify_one();
        true
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.moved.notify_one();
    }
}

impl Events {
    /// A listener, and what tells it.
    pub(crate) fn new() -> (Self, Listener) {
        let line = Arc::new(Line::default());
        let teller = Teller(Arc::clone(&line));
        (Self { line }, Box::new(move |event| teller.tell(event)))
    }

    /// The next, if it is there already.
    pub fn try_next(&mut self) -> Option<EventOrLag> {
        self.line.lock().take()
    }

    /// The next, if it comes within this time.
    pub fn next_within(&mut self, time: Duration) -> Option<EventOrLag> {
        let waiting = self.line.lock();
        let waited = self
            .line
            .moved
            .wait_timeout_while(waiting, time, |waiting| waiting.is_quiet());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

impl Iterator for Events {
    type Item = EventOrLag;

    fn next(&mut self) -> Option<EventOrLag> {
        let waiting = self.line.lock();
        let waited = self
            .line
            .moved
            .wait_while(waiting, |waiting| waiting.is_quiet());
        waited.unwrap_or_else(PoisonError::into_inner).take()
    }
}
