//! Holds back the effects and events of a machine's steps until their writes are durable.

use crate::{Step, WriteBatch};

/// Effects and events whose writes are durable.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "carry out the effects and report the events"]
pub struct Ready<Effect, Event> {
    /// To be carried out, in order.
    pub effects: Vec<Effect>,
    /// To be reported, in order.
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

/// Keeps the order of the [crate's contract](crate): writes are made durable before effects are carried
/// out and events reported. Steps that arrive during a write are combined into the next batch, so that many
/// steps share one transaction.
///
/// ```
/// use matricula_core::{Step, WriteAhead};
///
/// let mut write_ahead = WriteAhead::default();
/// let mut step = Step { effects: vec!["send"], events: vec!["started"], ..Step::default() };
/// step.writes.put("jobs", "1", "…");
/// assert_eq!(write_ahead.push(step).effects.len(), 0); // Not yet.
///
/// let batch = write_ahead.next_write().unwrap(); // Commit it to the store; then
/// assert_eq!(batch.writes().len(), 1);
/// assert_eq!(write_ahead.written().effects, ["send"]);
/// ```
#[derive(Clone, Debug)]
pub struct WriteAhead<Effect, Event> {
    /// What depends on the batch that is being written, if one is.
    writing: Option<Ready<Effect, Event>>,
    /// The next batch.
    next: WriteBatch,
    /// What depends on the next batch.
    waiting: Ready<Effect, Event>,
}

impl<Effect, Event> Default for WriteAhead<Effect, Event> {
    fn default() -> Self {
        Self {
            writing: None,
            next: WriteBatch::default(),
            waiting: Ready::default(),
        }
    }
}

impl<Effect, Event> WriteAhead<Effect, Event> {
    /// Adds a step. Its effects and events are ready at once if nothing has to be written before them.
    pub fn push(&mut self, step: Step<Effect, Event>) -> Ready<Effect, Event> {
        self.next.append(step.writes);
        self.waiting.effects.extend(step.effects);
        self.waiting.events.extend(step.events);
        if self.writing.is_none() && self.next.is_empty() {
            return std::mem::take(&mut self.waiting);
        }
        Ready::default()
    }

    /// Takes the batch to write now; `None` during a write, or if there is nothing to write. Call
    /// [`written`](Self::written) once it is durable.
    #[must_use = "effects and events wait until the batch is written"]
    pub fn next_write(&mut self) -> Option<WriteBatch> {
        if self.writing.is_some() || self.next.is_empty() {
            return None;
        }
        self.writing = Some(std::mem::take(&mut self.waiting));
        Some(std::mem::take(&mut self.next))
    }

    /// The batch that was taken last is durable. Returns what depended on it.
    pub fn written(&mut self) -> Ready<Effect, Event> {
        debug_assert!(self.writing.is_some(), "no batch was taken");
        let mut ready = self.writing.take().unwrap_or_default();
        // Steps without writes waited only to keep the order.
        if self.next.is_empty() {
            ready.effects.append(&mut self.waiting.effects);
            ready.events.append(&mut self.waiting.events);
        }
        ready
    }

    /// Whether nothing waits for a write.
    pub fn is_empty(&self) -> bool {
        self.writing.is_none() && self.next.is_empty()
    }
}
