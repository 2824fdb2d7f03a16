//! What a process knows of its session.

use std::time::Duration;

use matricula_core::Timestamp;

use crate::{Account, SessionError};

/// How long a renewal that failed is left alone at first; doubled with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of those pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a locked account is left alone at first; doubled with each further refusal.
const FIRST_PROBE: Duration = Duration::from_secs(10);
/// The longest time between two probes of a locked account.
const LONGEST_PROBE: Duration = Duration::from_secs(600);

/// What a process knows of its session: the account, and what stands in the way.
#[derive(Clone, Debug)]
pub struct SessionState {
    account: Account,
    /// Why the last renewal failed.
    trouble: Option<RenewalFailures>,
    /// That the server said that the account is locked.
    locked: Option<Pause>,
}

/// Why a renewal failed, and until when it is not tried again.
#[derive(Clone, Debug)]
pub(super) struct RenewalFailures {
    pub(super) error: SessionError,
    /// Whether the server refused the refresh token, which only a look at the access token settles.
    pub(super) is_refusal: bool,
    pause: Pause,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Timestamp,
    length: Duration,
}

impl Pause {
    fn after(last: Option<Self>, now: Timestamp, first: Duration, longest: Duration) -> Self {
        let length = last.map_or(first, |last| last.length.saturating_mul(2).min(longest));
        let until = now.plus(length);
        Self { until, length }
    }

    /// Whether it goes on. A clock that was set back does not make it longer.
    fn goes_on(self, now: Timestamp) -> bool {
        now < self.until && self.until <= now.plus(self.length)
    }
}

/// How a renewal left the session.
#[derive(Clone, Debug)]
#[must_use = "the process is to know of it: `Standing::settle`"]
pub struct RenewalResult {
    pub(super) account: Account,
    pub(super) trouble: Option<RenewalFailures>,
    /// Whether there is a token other than the one that was to be replaced.
    pub result: Result<(), SessionError>,
}

impl RenewalResult {
    /// The account as it is now.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl SessionState {
    /// All that is known at first: the account.
    pub fn new(account: Account) -> Self {
        Self {
            account,
            trouble: None,
            locked: None,
        }
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Takes over what a renewal came to, as long as the turn that it took is held.
    pub fn settle(&mut self, settled: &RenewalResult) {
        self.account.clone_from(&settled.account);
        self.trouble.clone_from(&settled.trouble);
    }

    /// Takes over an account that something else than a renewal has changed.
    pub fn replace(&mut self, account: Account) {
        *self = Self::new(account);
    }

    /// The server has said that the account is locked.
    pub fn lock(&mut self, now: Timestamp) {
        let pause = Pause::after(self.locked, now, FIRST_PROBE, LONGEST_PROBE);
        self.locked = Some(pause);
    }

    /// The server has answered as it does for an account that is not locked.
    pub fn unlock(&mut self) {
        self.locked = None;
    }

    /// Whether the server is not to be asked whether the account is still locked.
    pub(super) fn is_left_alone(&self, now: Timestamp) -> bool {
        self.locked.is_some_and(|pause| pause.goes_on(now))
    }

    pub(super) fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// Why a renewal is not to be tried now.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<&RenewalFailures> {
        let trouble = self.trouble.as_ref();
        trouble.filter(|trouble| trouble.pause.goes_on(now))
    }

    /// The failure of a renewal that began with this standing.
    pub(super) fn trouble_after(
        &self,
        now: Timestamp,
        error: SessionError,
        is_refusal: bool,
    ) -> RenewalFailures {
        let last = self.trouble.as_ref().map(|trouble| trouble.pause);
        RenewalFailures {
            error,
            is_refusal,
            pause: Pause::after(last, now, FIRST_PAUSE, LONGEST_PAUSE),
        }
    }
}
