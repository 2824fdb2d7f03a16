//! The events of all jobs, for listeners.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use matricula_core::scheduler::Event;

use crate::{EVENT_BUFFER, job_events::Listener};

/// What a listener receives.
#[derive(Clone, Debug, PartialEq)]
pub enum EventOrLag {
    /// Something happened to a job.
    Event(Event),
    /// The listener was too slow, and has lost this many events.
    Lagged(u64),
}

/// The events of all jobs, in order. As an iterator it waits for the next one, and ends with the
/// runner.
#[derive(Debug)]
pub struct Events {
    channel: Arc<Channel>,
}

#[derive(Debug, Default)]
struct Channel {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Buffer {
    events: VecDeque<Event>,
    lagged: u64,
    is_closed: bool,
}

impl Buffer {
    fn take(&mut self) -> Option<EventOrLag> {
        match std::mem::take(&mut self.lagged) {
            0 => self.events.pop_front().map(EventOrLag::Event),
            lagged => Some(EventOrLag::Lagged(lagged)),
        }
    }

    fn must_wait(&mut self) -> bool {
        self.events.is_empty() && self.lagged == 0 && !self.is_closed
    }
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runner's half. Dropping it ends the events.
struct Sender(Arc<Channel>);

impl Sender {
    /// Returns whether there is still a listener.
    fn send(&self, event: &Event) -> bool {
        if Arc::strong_count(&self.0) == 1 {
            return false;
        }
        let mut buffer = self.0.lock();
        if buffer.events.len() == EVENT_BUFFER {
            buffer.events.pop_front();
            buffer.lagged += 1;
        }
        buffer.events.push_back(event.clone());
        self.0.changed.notify_one();
        true
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_one();
    }
}

impl Events {
    /// The events, and what the runner sends them with.
    pub(super) fn new() -> (Self, Listener) {
        let channel = Arc::new(Channel::default());
        let sender = Sender(Arc::clone(&channel));
        (Self { channel }, Box::new(move |event| sender.send(event)))
    }

    /// The next event, if it is already there.
    pub fn try_next(&mut self) -> Option<EventOrLag> {
        self.channel.lock().take()
    }

    /// The next event, if it comes within this time.
    pub fn next_within(&mut self, time: Duration) -> Option<EventOrLag> {
        let waited =
            self.channel
                .changed
                .wait_timeout_while(self.channel.lock(), time, Buffer::must_wait);
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

impl Iterator for Events {
    type Item = EventOrLag;

    fn next(&mut self) -> Option<EventOrLag> {
        let waited = self
            .channel
            .changed
            .wait_while(self.channel.lock(), Buffer::must_wait);
        waited.unwrap_or_else(PoisonError::into_inner).take()
    }
}
