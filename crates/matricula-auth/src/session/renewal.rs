//! The renewal of a session's tokens, once for all that need it at the same time.

use std::time::Duration;

use matricula_core::{Job, Machine, Secret, Step, StepContext, Timestamp, scheduler::Outcome};

use super::{
    RenewalResult, SessionState,
    state::RenewalFailure,
    token_exchange::{self, ExchangeError, TokenPair},
};
use crate::{Account, SessionError, account::tables};

/// The most requests of one renewal.
const MAX_REQUESTS: u32 = 4;
/// The longest backoff before the second request. It is drawn from zero to this, and doubles each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest `Retry-After` that a renewal waits for.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Why tokens are to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenewalReason {
    /// The access token expires soon. If the renewal fails, it is still valid for a while.
    Due,
    /// The server refused the access token. If it refuses the refresh token too, the session is over.
    Refused {
        /// Whether it said that the device stays (`soft_logout`).
        soft_logout: bool,
    },
    /// The caller asked for it. If the server refuses, the session is over.
    Requested,
}

/// What can happen to a [`Renewal`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RenewalInput {
    /// Begin.
    Start,
    /// The lock of the process is taken; this is the state.
    ProcessLocked(Box<SessionState>),
    /// The lock of the store is taken: no other process renews this account meanwhile.
    StoreLocked,
    /// The stored account; `None` if none is stored.
    Stored(Option<Box<Account>>),
    /// The store could not be locked, read or written, for this reason. If this answers a step with writes,
    /// that step's effects and events are void.
    StoreFailed(String),
    /// The outcome of the request.
    Outcome(Outcome),
    /// The wait is over.
    Waited,
}

/// What a [`Renewal`] asks the caller to do, one at a time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RenewalEffect {
    /// Take the lock of this process for the account, until the renewal has ended.
    LockProcess,
    /// Take the lock of the store for the account, which processes share.
    LockStore,
    /// Read the account from the store.
    Read,
    /// Send this request.
    Send(Box<Job>),
    /// Wait until this time.
    Wait(Timestamp),
}

/// What a [`Renewal`] reports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RenewalEvent {
    /// The renewal has ended: [apply](SessionState::apply) the result, then release both locks.
    Finished(Box<RenewalResult>),
}

/// Gets the next pair of tokens.
#[derive(Clone, Debug)]
pub struct Renewal {
    reason: RenewalReason,
    /// The access token to replace.
    token: Option<Secret>,
    /// The state of the process when its lock was taken.
    state: Option<Box<SessionState>>,
    /// The account as it is stored.
    stored: Option<Account>,
    account: Option<Account>,
    phase: Phase,
    sent_at: Timestamp,
    requests: u32,
    /// Refresh tokens that the server refused.
    refused: Vec<Secret>,
    /// What the server said when it refused, and whether the device stays.
    refusal: Option<(String, bool)>,
    /// Whether the OAuth 2.0 server does not know the client any more.
    is_client_unknown: bool,
    /// The new tokens, and the refresh token that was exchanged for them.
    got: Option<(Secret, TokenPair)>,
    /// The step under way; empty between two steps.
    step: Step<RenewalEffect, RenewalEvent>,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    New,
    LockingProcess,
    LockingStore,
    Reading,
    Sent(Secret),
    Waiting(Secret),
    Over,
}

impl Renewal {
    /// Replaces this access token. If it has been replaced by the time the locks are taken, nothing is sent.
    pub fn new(reason: RenewalReason, token: Option<Secret>) -> Self {
        Self {
            reason,
            token,
            state: None,
            stored: None,
            account: None,
            phase: Phase::New,
            sent_at: Timestamp::default(),
            requests: 0,
            refused: Vec::new(),
            refusal: None,
            is_client_unknown: false,
            got: None,
            step: Step::default(),
        }
    }

    fn on_process_locked(&mut self, cx: &StepContext<'_>, state: Box<SessionState>) {
        let account = state.account().clone();
        let failure = state.failure(cx.now).cloned();
        self.stored = Some(account.clone());
        self.state = Some(state);
        if account.access_token != self.token {
            return self.adopt_result(account);
        }
        // Of several renewals that wait, the first one tries; the others take over its failure.
        let is_too_early = |failure: &RenewalFailure| match self.reason {
            RenewalReason::Due => true,
            RenewalReason::Refused { .. } => !failure.is_refusal,
            RenewalReason::Requested => false,
        };
        if let Some(failure) = failure.filter(is_too_early) {
            let error = failure.error.clone();
            return self.finish(account, Some(failure), Err(error));
        }
        self.account = Some(account);
        self.phase = Phase::LockingStore;
        self.step.effects.push(RenewalEffect::LockStore);
    }

    fn on_stored(&mut self, cx: &StepContext<'_>, stored: Option<Box<Account>>) {
        let Some(mut account) = self.account.take() else {
            return;
        };
        if let Some(stored) = stored {
            account.adopt(*stored);
        }
        self.stored = Some(account.clone());
        if account.access_token != self.token {
            return self.adopt_result(account);
        }
        if let Some((sent, pair)) = self.got.take() {
            return self.renewed(cx, account, sent, pair);
        }
        let candidates = [&account.refresh_token, &account.previous_refresh_token];
        let next = candidates
            .into_iter()
            .flatten()
            .find(|token| !self.refused.contains(token))
            .cloned();
        match next {
            Some(refresh_token) => self.send(cx, account, refresh_token),
            None => self.give_up(cx, account),
        }
    }

    fn send(&mut self, cx: &StepContext<'_>, account: Account, refresh_token: Secret) {
        match token_exchange::job(&account, refresh_token.clone()) {
            Ok(job) => {
                self.requests += 1;
                self.sent_at = cx.now;
                self.account = Some(account);
                self.phase = Phase::Sent(refresh_token);
                self.step.effects.push(RenewalEffect::Send(Box::new(job)));
            }
            Err(error) => self.fail(cx, account, error.into()),
        }
    }

    fn on_outcome(&mut self, cx: &mut StepContext<'_>, sent: Secret, outcome: Outcome) {
        let Some(account) = self.account.take() else {
            return;
        };
        match token_exchange::read(&account, outcome) {
            Ok(pair) => {
                self.got = Some((sent, pair));
                self.read_again(account);
            }
            Err(ExchangeError::Refused {
                soft_logout,
                is_client_unknown,
                what,
            }) => {
                self.is_client_unknown |= is_client_unknown;
                let keeps = self.refusal.as_ref().is_some_and(|(_, keeps)| *keeps);
                self.refusal = Some((what, keeps || soft_logout));
                self.refused.push(sent);
                self.read_again(account);
            }
            Err(ExchangeError::Transient(error, wait)) => {
                self.on_passing_failure(cx, account, sent, error, wait);
            }
            Err(ExchangeError::Permanent(error)) => self.fail(cx, account, error),
        }
    }

    /// A program that ignores the lock may have renewed it meanwhile, signed in again, or changed other
    /// fields of the account.
    fn read_again(&mut self, account: Account) {
        self.account = Some(account);
        self.phase = Phase::Reading;
        self.step.effects.push(RenewalEffect::Read);
    }

    fn renewed(
        &mut self,
        cx: &StepContext<'_>,
        mut account: Account,
        sent: Secret,
        pair: TokenPair,
    ) {
        // The refresh token that worked, which need not be the stored one.
        account.refresh_token = Some(sent);
        // The lifetime starts when the server issues the token, which is after the request.
        let asked_at = self.sent_at.min(cx.now);
        account.set_tokens(asked_at, pair.access, pair.refresh, pair.lifetime);
        account.write_to(&mut self.step.writes);
        self.finish(account, None, Ok(()));
    }

    fn on_passing_failure(
        &mut self,
        cx: &mut StepContext<'_>,
        account: Account,
        sent: Secret,
        error: SessionError,
        wait: Option<Duration>,
    ) {
        // A call that can use the old token meanwhile does not have to wait.
        let can_wait = self.reason != RenewalReason::Due || account.has_expired(cx.now);
        let wait = wait.unwrap_or_default();
        if !can_wait || self.requests >= MAX_REQUESTS || wait > MAX_WAIT {
            return self.fail(cx, account, error);
        }
        let bound = FIRST_BACKOFF.saturating_mul(1 << self.requests.min(8));
        let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        let backoff = Duration::from_millis(cx.entropy.below(millis));
        self.account = Some(account);
        self.phase = Phase::Waiting(sent);
        let until = cx.now.plus(backoff.max(wait));
        self.step.effects.push(RenewalEffect::Wait(until));
    }

    /// Another renewal has replaced the tokens, or another process has ended the session.
    fn adopt_result(&mut self, account: Account) {
        let result = match account.access_token {
            Some(_) => Ok(()),
            None => Err(SessionError::NotSignedIn {
                user_id: account.user_id.clone(),
            }),
        };
        self.finish(account, None, result);
    }

    /// There is no refresh token left to try.
    fn give_up(&mut self, cx: &StepContext<'_>, mut account: Account) {
        let by = match &account.oauth {
            Some(oauth) => oauth.issuer.clone(),
            None => account.server.to_string(),
        };
        if self.is_client_unknown {
            // The next login must not use it either.
            self.step.writes.remove(tables::OAUTH_CLIENTS, by.clone());
        }
        let (what, keeps) = match (self.refusal.take(), self.reason) {
            // The session is valid as long as its access token is.
            (refusal, RenewalReason::Due) => {
                let what = refusal.map(|(what, _)| what).unwrap_or_default();
                let error = SessionError::SignedOut { by, what };
                let failure = self.failure(cx, error.clone(), true);
                return self.finish(account, failure, Err(error));
            }
            (None, RenewalReason::Requested) => {
                let user_id = account.user_id.clone();
                let error = SessionError::NoRefreshToken { user_id };
                return self.finish(account, None, Err(error));
            }
            (refusal, reason) => {
                let (what, keeps) = refusal
                    .unwrap_or_else(|| ("the token is not valid any more".to_owned(), false));
                (
                    what,
                    keeps || reason == RenewalReason::Refused { soft_logout: true },
                )
            }
        };
        let error = if keeps {
            account.clear_tokens();
            SessionError::SoftLogout {
                server: account.server.clone(),
                user_id: account.user_id.clone(),
                device_id: account.device_id.clone(),
            }
        } else {
            account.end_session();
            SessionError::SignedOut { by, what }
        };
        account.write_to(&mut self.step.writes);
        self.finish(account, None, Err(error));
    }

    fn failure(
        &self,
        cx: &StepContext<'_>,
        error: SessionError,
        is_refusal: bool,
    ) -> Option<RenewalFailure> {
        let state = self.state.as_ref()?;
        Some(state.failure_after(cx.now, error, is_refusal))
    }

    /// Fails for now; a later renewal may succeed.
    fn fail(&mut self, cx: &StepContext<'_>, account: Account, error: SessionError) {
        let failure = self.failure(cx, error.clone(), false);
        self.finish(account, failure, Err(error));
    }

    fn finish(
        &mut self,
        account: Account,
        failure: Option<RenewalFailure>,
        result: Result<(), SessionError>,
    ) {
        self.phase = Phase::Over;
        self.step
            .events
            .push(RenewalEvent::Finished(Box::new(RenewalResult {
                account,
                failure,
                result,
            })));
    }

    /// The writes of the last step were not stored, so that step did not happen.
    fn on_store_failure(&mut self, cx: &StepContext<'_>, what: String) {
        let Some(account) = self.stored.clone() else {
            return;
        };
        let user_id = account.user_id.clone();
        let error = SessionError::NotStored { user_id, what };
        self.fail(cx, account, error);
    }
}

impl Machine for Renewal {
    type Input = RenewalInput;
    type Effect = RenewalEffect;
    type Event = RenewalEvent;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: RenewalInput,
    ) -> Step<RenewalEffect, RenewalEvent> {
        match (self.phase.clone(), input) {
            (Phase::New, RenewalInput::Start) => {
                self.phase = Phase::LockingProcess;
                self.step.effects.push(RenewalEffect::LockProcess);
            }
            (Phase::LockingProcess, RenewalInput::ProcessLocked(state)) => {
                self.on_process_locked(cx, state);
            }
            (Phase::LockingStore, RenewalInput::StoreLocked) => {
                self.phase = Phase::Reading;
                self.step.effects.push(RenewalEffect::Read);
            }
            (Phase::Reading, RenewalInput::Stored(stored)) => {
                self.on_stored(cx, stored);
            }
            (Phase::Sent(sent), RenewalInput::Outcome(outcome)) => {
                self.on_outcome(cx, sent, outcome);
            }
            (Phase::Waiting(sent), RenewalInput::Waited) => {
                if let Some(account) = self.account.take() {
                    self.send(cx, account, sent);
                }
            }
            (_, RenewalInput::StoreFailed(what)) => self.on_store_failure(cx, what),
            _ => {}
        }
        std::mem::take(&mut self.step)
    }
}
