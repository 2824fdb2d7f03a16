//! The one shape that everything with a life of its own has here.

use serde::{Deserialize, Serialize};

use crate::{Entropy, Timestamp, WriteBatch};

/// The outside world at the moment of a step: both halves are recorded for a replay.
pub struct StepContext<'a> {
    /// The time now. It may jump or run backwards; machines clamp their waits.
    pub now: Timestamp,
    /// Random bytes.
    pub entropy: &'a mut dyn Entropy,
}

impl<'a> StepContext<'a> {
    /// A moment: the time, and where random bytes come from.
    pub fn new(now: Timestamp, entropy: &'a mut dyn Entropy) -> Self {
        Self { now, entropy }
    }
}

/// What one step asks of the outside: see the [crate documentation](crate) for the order.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "store `commit`, then run `effects`"]
pub struct Step<Effect, Event> {
    /// Store this durably, first.
    pub writes: WriteBatch,
    /// Then carry these out; each is answered by its id.
    pub effects: Vec<Effect>,
    /// What happened, for whoever watches.
    pub events: Vec<Event>,
    /// When to step again if nothing happens before.
    pub wake_at: Option<Timestamp>,
}

impl<Effect, Event> Default for Step<Effect, Event> {
    fn default() -> Self {
        Self {
            writes: WriteBatch::default(),
            effects: Vec::new(),
            events: Vec::new(),
            wake_at: None,
        }
    }
}

/// A value with a life of its own: inputs in, steps out, no I/O.
///
/// A step is total: it never blocks and never panics, whatever comes in.
pub trait Machine {
    /// What can happen to it.
    type Input;
    /// What it wants done.
    type Effect;
    /// What it tells.
    type Event;

    /// Takes one input and says what to store, do and tell.
    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Self::Input,
    ) -> Step<Self::Effect, Self::Event>;
}

/// Names one effect of one machine; its answer carries the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub u64);
