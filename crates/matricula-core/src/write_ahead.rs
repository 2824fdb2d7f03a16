//! Holds back what follows from a machine's steps until what they commit is durable.

use crate::{Step, WriteBatch};

/// What may be carried out and told now.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "carry the effects out and tell the events"]
pub struct Ready<Effect, Event> {
    /// To carry out, in order.
    pub effects: Vec<Effect>,
    /// To tell, in order.
    pub events: Vec<Event>,
}

impl<Effect, Event> Default for Ready<Effect, Event> {
    fn default() -> Self {
        Self {
            effects: Vec::new(),
            events: Vec::new(),
        }
    }
}

/// Keeps the order of the [crate's contract](crate): first what a step commits is durable, then its
/// effects are carried out and its events told. While one patch is being written, what comes in
/// meanwhile becomes the next one, so that many steps share one write.
///
/// ```
/// use matricula_core::{WriteBatch, Step, WriteAhead};
///
/// let mut write_ahead = WriteAhead::default();
/// let mut step = Step { effects: vec!["send"], events: vec!["started"], ..Step::default() };
/// step.writes.put("jobs", "1", "…");
/// assert_eq!(write_ahead.push(step).effects.len(), 0); // Not yet.
///
/// let patch = write_ahead.next_write().unwrap(); // Write this durably; then
/// assert_eq!(patch.writes().len(), 1);
/// assert_eq!(write_ahead.written().effects, ["send"]);
/// ```
#[derive(Clone, Debug)]
pub struct WriteAhead<Effect, Event> {
    /// What is being written at this moment, and what follows from it.
    writing: Option<Ready<Effect, Event>>,
    /// What is written after that.
    patch: WriteBatch,
    behind: Ready<Effect, Event>,
}

impl<Effect, Event> Default for WriteAhead<Effect, Event> {
    fn default() -> Self {
        Self {
            writing: None,
            patch: WriteBatch::default(),
            behind: Ready::default(),
        }
    }
}

impl<Effect, Event> WriteAhead<Effect, Event> {
    /// Takes a step in. What follows from it is released at once where nothing has to be written
    /// before it.
    pub fn push(&mut self, step: Step<Effect, Event>) -> Ready<Effect, Event> {
        self.patch.append(step.writes);
        self.behind.effects.extend(step.effects);
        self.behind.events.extend(step.events);
        if self.writing.is_none() && self.patch.is_empty() {
            return std::mem::take(&mut self.behind);
        }
        Ready::default()
    }

    /// The patch to write now; none while another is being written, or where there is nothing to
    /// write. Whoever takes it calls [`written`](Self::written) once it is durable.
    #[must_use = "what waits for it is held back until it is written"]
    pub fn next_write(&mut self) -> Option<WriteBatch> {
        if self.writing.is_some() || self.patch.is_empty() {
            return None;
        }
        self.writing = Some(std::mem::take(&mut self.behind));
        Some(std::mem::take(&mut self.patch))
    }

    /// The patch that was taken last is durable: what waited for it is released.
    pub fn written(&mut self) -> Ready<Effect, Event> {
        let mut released = self.writing.take().unwrap_or_default();
        // Steps that commit nothing were held back only for the sake of order.
        if self.patch.is_empty() {
            released.effects.append(&mut self.behind.effects);
            released.events.append(&mut self.behind.events);
        }
        released
    }

    /// Whether everything that was taken in has been released.
    pub fn is_empty(&self) -> bool {
        self.writing.is_none() && self.patch.is_empty()
    }
}
