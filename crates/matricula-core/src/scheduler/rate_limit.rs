//! How fast a server lets requests of one class come, learnt from its refusals.

use std::time::Duration;

use crate::{Response, Timestamp};

/// After so many answers in a row without a refusal, a little faster is tried.
const CALM: u32 = 64;
/// The longest spacing that is learnt.
const LONGEST: Duration = Duration::from_secs(60);

/// When the next request may go.
#[derive(Clone, Debug, Default)]
pub(super) struct RateLimiter {
    /// Nothing goes before this.
    open_at: Option<Timestamp>,
    /// The time between two requests; zero while nothing is known of the server's pace.
    spacing: Duration,
    /// How many refusals the spacing was learnt from: the first says less than the server's pace, as
    /// part of its time had passed already.
    lessons: u32,
    /// Requests sent before this moment belong to a burst that was refused already.
    refused_at: Option<Timestamp>,
    /// Whether the next request finds out whether the server takes any again.
    probes: bool,
    calm: u32,
}

impl RateLimiter {
    /// Until when nothing may go, if anything is to be waited for.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Timestamp> {
        self.open_at.filter(|open_at| *open_at > now)
    }

    /// Whether one request is to come back before another goes.
    pub(super) fn probes(&self) -> bool {
        self.probes
    }

    pub(super) fn sent(&mut self, now: Timestamp) {
        if self.spacing.is_zero() {
            self.open_at = None;
        } else {
            self.open_at = Some(now.plus(self.spacing));
        }
    }

    /// The server answered a request with something else than a refusal.
    pub(super) fn passed(&mut self) {
        self.probes = false;
        self.calm += 1;
        if self.calm >= CALM {
            self.calm = 0;
            self.spacing = self.spacing * 9 / 10;
            if self.spacing < Duration::from_millis(2) {
                self.spacing = Duration::ZERO;
                self.lessons = 0;
            }
        }
    }

    /// The server refused a request that was sent at `sent_at`, and asks to wait.
    pub(super) fn refused(
        &mut self,
        now: Timestamp,
        sent_at: Timestamp,
        wait: Duration,
        response: &Response,
    ) {
        let open_at = now.plus(wait);
        self.open_at = Some(self.open_at.map_or(open_at, |known| known.max(open_at)));
        self.calm = 0;
        // The others of a burst say nothing new.
        if self.refused_at.is_some_and(|refused| sent_at <= refused) {
            return;
        }
        self.refused_at = Some(now);
        self.probes = true;
        let finer = finer(response).map_or(wait, |finer| finer.min(wait));
        self.spacing = match self.lessons {
            0 | 1 => self.spacing.max(finer),
            // What was thought to be the server's pace is too fast.
            _ => self.spacing * 5 / 4,
        }
        .min(LONGEST);
        self.lessons = self.lessons.saturating_add(1);
    }

    /// The clock was set back by this.
    pub(super) fn shift(&mut self, by: Duration) {
        for at in [&mut self.open_at, &mut self.refused_at] {
            *at = at.map(|at| at.minus(by));
        }
    }
}

/// The wait in milliseconds that many servers name beside the header, which has whole seconds.
fn finer(response: &Response) -> Option<Duration> {
    response.retry_after_of_body()
}
