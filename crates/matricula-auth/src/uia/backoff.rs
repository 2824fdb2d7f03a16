//! When to poll a server for a stage that the person completes elsewhere.

use std::time::Duration;

use matricula_core::Timestamp;
use serde::{Deserialize, Serialize};

const FIRST_WAIT: Duration = Duration::from_secs(2);
const MAX_WAIT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// A limit that does not depend on the clock.
const MAX_POLLS: u32 = 200;

/// The polling of one stage: waits that grow from 2 s to 15 s, for 30 minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backoff {
    /// When polling ends; `None` before the first poll.
    until: Option<Timestamp>,
    wait: Duration,
    polls: u32,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self {
            until: None,
            wait: FIRST_WAIT,
            polls: 0,
        }
    }

    /// Whether nothing was polled yet.
    pub(crate) fn is_new(&self) -> bool {
        self.polls == 0
    }

    /// When to poll again; `None` after the timeout.
    pub(crate) fn next_poll(&mut self, now: Timestamp) -> Option<Timestamp> {
        let until = *self.until.get_or_insert(now.plus(TIMEOUT));
        self.polls += 1;
        if now >= until || self.polls >= MAX_POLLS {
            return None;
        }
        let moment = now.plus(self.wait);
        self.wait = self.wait.mul_f64(1.5).min(MAX_WAIT);
        Some(moment)
    }
}
