//! The machine contract: a value that turns inputs into steps.

use serde::{Deserialize, Serialize};

use crate::{Entropy, Timestamp, WriteBatch};

/// The time and entropy of one step; both are recorded for a replay.
pub struct StepContext<'a> {
    /// The time now. It may jump or run backwards; machines clamp their waits.
    pub now: Timestamp,
    /// Random bytes.
    pub entropy: &'a mut dyn Entropy,
}

impl<'a> StepContext<'a> {
    /// A context with this time and entropy.
    pub fn new(now: Timestamp, entropy: &'a mut dyn Entropy) -> Self {
        Self { now, entropy }
    }
}

/// What one input leads to; see the [crate documentation](crate) for the order.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "make `writes` durable, then carry out `effects`"]
pub struct Step<Effect, Event> {
    /// To be made durable first.
    pub writes: WriteBatch,
    /// To be carried out then; each is answered by its id.
    pub effects: Vec<Effect>,
    /// What happened, for watchers.
    pub events: Vec<Event>,
    /// When to step again if no other input comes first.
    #[doc(alias("setTimeout", "setInterval"))]
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

/// A value that turns inputs into steps, without I/O.
///
/// A step is total: it never blocks, and never panics on an input.
pub trait Machine {
    /// What happens outside.
    type Input;
    /// What the outside must do.
    type Effect;
    /// What is reported to watchers.
    type Event;

    /// Processes one input.
    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Self::Input,
    ) -> Step<Self::Effect, Self::Event>;
}

/// Identifies an effect of one machine; its answer carries the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub u64);
