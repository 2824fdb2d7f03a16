//! The system's time and randomness, as pure machines take them.

use std::time::{SystemTime, UNIX_EPOCH};

use matricula_core::{Entropy, Timestamp};

/// The time now by the system's clock; the epoch itself if the clock is set before it.
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The operating system's random number generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// Where the operating system has no randomness to give: nothing made without it would be safe.
    #[allow(clippy::expect_used)]
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives random bytes");
    }
}
