//! The rate limit of one bucket, learnt from the server's 429 responses.

use std::time::Duration;

use crate::{Response, Timestamp};

/// After so many responses in a row without a 429, the spacing is reduced.
const ALLOWED_BEFORE_SPEEDUP: u32 = 64;
/// Upper bound of the learnt spacing.
const MAX_SPACING: Duration = Duration::from_secs(60);

/// Decides when the next request of a bucket may be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct RateLimiter {
    /// Nothing is sent before this.
    open_at: Option<Timestamp>,
    /// The time between two requests; zero while the server's limit is unknown.
    spacing: Duration,
    /// How many 429s the spacing was learnt from. The first names less than the whole interval, as part
    /// of it had already passed.
    limited_count: u32,
    /// Requests sent up to this time belong to a burst that was limited already.
    limited_at: Option<Timestamp>,
    /// Whether the next request alone finds out if the server accepts requests again.
    is_probing: bool,
    allowed_in_row: u32,
}

impl RateLimiter {
    /// Until when nothing may be sent.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Timestamp> {
        self.open_at.filter(|open_at| *open_at > now)
    }

    /// Whether one request must complete before another is sent.
    pub(super) fn is_probing(&self) -> bool {
        self.is_probing
    }

    /// A request was sent.
    pub(super) fn sent(&mut self, now: Timestamp) {
        self.open_at = (!self.spacing.is_zero()).then(|| now.plus(self.spacing));
    }

    /// The response was not a 429.
    pub(super) fn allowed(&mut self) {
        self.is_probing = false;
        self.allowed_in_row += 1;
        if self.allowed_in_row >= ALLOWED_BEFORE_SPEEDUP {
            self.allowed_in_row = 0;
            self.spacing = self.spacing * 9 / 10;
            if self.spacing < Duration::from_millis(2) {
                self.spacing = Duration::ZERO;
                self.limited_count = 0;
            }
        }
    }

    /// The response to a request sent at `sent_at` was a 429 that asks to wait.
    pub(super) fn limited(
        &mut self,
        now: Timestamp,
        sent_at: Timestamp,
        wait: Duration,
        response: &Response,
    ) {
        self.close(now, wait);
        self.allowed_in_row = 0;
        // The other 429s of one burst say nothing new.
        if self.limited_at.is_some_and(|at| sent_at <= at) {
            return;
        }
        self.limited_at = Some(now);
        self.is_probing = true;
        // Many servers name the wait in milliseconds in the body; the header has whole seconds.
        let precise = response.retry_after_ms();
        let precise = precise.map_or(wait, |precise| precise.min(wait));
        self.spacing = match self.limited_count {
            0 | 1 => self.spacing.max(precise),
            // The learnt spacing is too short.
            _ => self.spacing * 5 / 4,
        }
        .min(MAX_SPACING);
        self.limited_count = self.limited_count.saturating_add(1);
    }

    /// The server is unavailable for this time, which says nothing about its limit.
    pub(super) fn unavailable(&mut self, now: Timestamp, wait: Duration) {
        self.close(now, wait);
        self.is_probing = true;
    }

    fn close(&mut self, now: Timestamp, wait: Duration) {
        let open_at = now.plus(wait);
        self.open_at = Some(self.open_at.map_or(open_at, |known| known.max(open_at)));
    }

    /// The clock was set back by this much.
    pub(super) fn rewind(&mut self, by: Duration) {
        for at in [&mut self.open_at, &mut self.limited_at] {
            *at = at.map(|at| at.minus(by));
        }
    }
}
