//! How long and how often a server is asked whether something is done that is done elsewhere.

use std::time::Duration;

use matricula_core::Timestamp;
use serde::{Deserialize, Serialize};

const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// However the clock goes.
const MOST_LOOKS: u32 = 200;

/// How the server is asked again and again whether a stage is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backoff {
    /// `None` before the first look.
    until: Option<Timestamp>,
    wait: Duration,
    looks: u32,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self {
            until: None,
            wait: FIRST_WAIT,
            looks: 0,
        }
    }

    /// When to look again; `None` where the patience is at its end.
    pub(crate) fn next_look(&mut self, now: Timestamp) -> Option<Timestamp> {
        let until = *self.until.get_or_insert(now.plus(PATIENCE));
        self.looks += 1;
        if now >= until || self.looks >= MOST_LOOKS {
            return None;
        }
        let moment = now.plus(self.wait);
        self.wait = self.wait.mul_f64(1.5).min(LONGEST_WAIT);
        Some(moment)
    }
}
