//! What a process knows of its session.

use std::time::Duration;

use matricula_core::Timestamp;

use crate::{Account, SessionError};

/// The pause after the first failed renewal; doubled with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// The pause after an account was found locked; doubled with each further refusal.
const FIRST_PROBE: Duration = Duration::from_secs(10);
/// The longest pause between two requests to a locked account.
const MAX_PROBE: Duration = Duration::from_secs(600);

/// What a process knows of its session: the account, and what prevents its use.
#[derive(Clone, Debug)]
pub struct SessionState {
    account: Account,
    /// Why the last renewal failed.
    failure: Option<RenewalFailure>,
    /// Set while the server says that the account is locked.
    locked: Option<Pause>,
}

/// Why a renewal failed, and how long to wait before the next one.
#[derive(Clone, Debug)]
pub(super) struct RenewalFailure {
    pub(super) error: SessionError,
    /// Whether the server refused the refresh token. Then the access token decides about the session.
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

    /// Whether the pause is still on. A clock that was set back does not make it longer.
    fn is_on(self, now: Timestamp) -> bool {
        now < self.until && self.until <= now.plus(self.length)
    }
}

/// How a renewal ended.
#[derive(Clone, Debug)]
#[must_use = "apply it to the process's state: `SessionState::apply`"]
pub struct RenewalResult {
    pub(super) account: Account,
    pub(super) failure: Option<RenewalFailure>,
    /// Whether there is another token than the one that was to be replaced.
    pub result: Result<(), SessionError>,
}

impl RenewalResult {
    /// The account as it is now.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl SessionState {
    /// The state of a session of which only the account is known.
    pub fn new(account: Account) -> Self {
        Self {
            account,
            failure: None,
            locked: None,
        }
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Applies the result of a renewal. Call it before the lock of the process is released.
    pub fn apply(&mut self, result: &RenewalResult) {
        self.account.clone_from(&result.account);
        self.failure.clone_from(&result.failure);
    }

    /// Replaces the account, after anything but a renewal has changed it.
    pub fn replace(&mut self, account: Account) {
        *self = Self::new(account);
    }

    /// Records that the server says that the account is locked.
    pub fn lock(&mut self, now: Timestamp) {
        let pause = Pause::after(self.locked, now, FIRST_PROBE, MAX_PROBE);
        self.locked = Some(pause);
    }

    /// Records that the server does not say so any more.
    pub fn unlock(&mut self) {
        self.locked = None;
    }

    /// Whether it is too early to ask the server whether the account is still locked.
    pub(super) fn is_lock_recent(&self, now: Timestamp) -> bool {
        self.locked.is_some_and(|pause| pause.is_on(now))
    }

    pub(super) fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// The last failure, while its pause is on.
    pub(super) fn failure(&self, now: Timestamp) -> Option<&RenewalFailure> {
        let failure = self.failure.as_ref();
        failure.filter(|failure| failure.pause.is_on(now))
    }

    /// The failure of a renewal that began in this state.
    pub(super) fn failure_after(
        &self,
        now: Timestamp,
        error: SessionError,
        is_refusal: bool,
    ) -> RenewalFailure {
        let last = self.failure.as_ref().map(|failure| failure.pause);
        RenewalFailure {
            error,
            is_refusal,
            pause: Pause::after(last, now, FIRST_PAUSE, MAX_PAUSE),
        }
    }
}
