//! Gets the next tokens of a session, once, whoever else wants them at the same time.

use std::time::Duration;

use matricula_core::{Job, Machine, Secret, Step, StepContext, Timestamp, scheduler::Outcome};

use super::{
    RenewalResult, SessionState,
    state::RenewalFailures,
    token_exchange::{self, ExchangeError, TokenPair},
};
use crate::{Account, SessionError};

/// How often one renewal asks the server before it is given up for now.
const MOST_REQUESTS: u32 = 4;
/// The wait before the second request is drawn from zero to this, and doubles with each one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(500);
/// The longest time for which a renewal waits where the server asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why tokens are to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenewalReason {
    /// The access token expires soon. Where the renewal fails, it is still good for a while.
    Due,
    /// The server refused the access token. Where the server refuses the refresh token too, the
    /// session is over.
    Refused {
        /// Whether it said that the device is to be kept.
        soft_logout: bool,
    },
    /// Somebody asked for it. Where the server refuses, the session is over.
    Wanted,
}

/// What can happen to a [`Renewal`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RenewalInput {
    /// Begin.
    Start,
    /// The turn in this process is taken; this is what the process knows.
    TurnTaken(Box<SessionState>),
    /// No other process renews this account as long as this renewal goes on.
    Locked,
    /// This is what is stored of the account; none where nothing is.
    Stored(Option<Box<Account>>),
    /// It could not be locked, read or stored, for this reason. Where it is the answer to a step with
    /// a commit, that step's effects and events are void.
    StoreFailed(String),
    /// What became of the request.
    Outcome(Outcome),
    /// The moment that was waited for has come.
    Waited,
}

/// What a [`Renewal`] wants done, one at a time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RenewalEffect {
    /// Wait until nothing else in this process renews the account, and keep others waiting until the
    /// renewal has ended.
    TakeTurn,
    /// Do the same across processes.
    Lock,
    /// Read the account from the store.
    Read,
    /// Send this request.
    Send(Box<Job>),
    /// Wait until this moment.
    Wait(Timestamp),
}

/// What a [`Renewal`] tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RenewalEvent {
    /// It is over: the process is to know of it, and then lock and turn are to be given up.
    Finished(Box<RenewalResult>),
}

/// Gets the next pair of tokens.
#[derive(Clone, Debug)]
pub struct Renewal {
    reason: RenewalReason,
    /// The one that is to be replaced.
    token: Option<Secret>,
    /// What the process knew when its turn came.
    standing: Option<Box<SessionState>>,
    /// The account as it was before the step, as far as it was stored.
    stored: Option<Account>,
    account: Option<Account>,
    phase: Phase,
    sent_at: Timestamp,
    requests: u32,
    /// Refresh tokens that the server refused.
    refused: Vec<Secret>,
    /// What the server said when it refused, and whether the device is to be kept.
    refusal: Option<(String, bool)>,
    /// What the server gave, and for which refresh token.
    got: Option<(Secret, TokenPair)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    New,
    TakingTurn,
    Locking,
    Reading,
    Sent(Secret),
    Waiting(Secret),
    Over,
}

impl Renewal {
    /// Replaces this access token. Where another one is there when its turn has come, nothing is done.
    pub fn new(reason: RenewalReason, token: Option<Secret>) -> Self {
        Self {
            reason,
            token,
            standing: None,
            stored: None,
            account: None,
            phase: Phase::New,
            sent_at: Timestamp::default(),
            requests: 0,
            refused: Vec::new(),
            refusal: None,
            got: None,
        }
    }

    fn on_turn(
        &mut self,
        cx: &StepContext<'_>,
        standing: Box<SessionState>,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        let account = standing.account().clone();
        let trouble = standing.trouble(cx.now).cloned();
        self.stored = Some(account.clone());
        self.standing = Some(standing);
        if account.access_token != self.token {
            return self.settle(account, step);
        }
        // Of many that wait, the first one tries; the others hear how that went.
        let is_left_alone = |trouble: &RenewalFailures| match self.reason {
            RenewalReason::Due => true,
            RenewalReason::Refused { .. } => !trouble.is_refusal,
            RenewalReason::Wanted => false,
        };
        if let Some(trouble) = trouble.filter(is_left_alone) {
            let error = trouble.error.clone();
            return self.finish(account, Some(trouble), Err(error), step);
        }
        self.account = Some(account);
        self.phase = Phase::Locking;
        step.effects.push(RenewalEffect::Lock);
    }

    fn on_stored(
        &mut self,
        cx: &StepContext<'_>,
        stored: Option<Box<Account>>,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        let Some(mut account) = self.account.take() else {
            return;
        };
        if let Some(stored) = stored {
            account.adopt(*stored);
        }
        self.stored = Some(account.clone());
        if account.access_token != self.token {
            return self.settle(account, step);
        }
        if let Some((sent, pair)) = self.got.take() {
            return self.renewed(cx, account, sent, pair, step);
        }
        let candidates = [&account.refresh_token, &account.previous_refresh_token];
        let next = candidates
            .into_iter()
            .flatten()
            .find(|token| !self.refused.contains(token))
            .cloned();
        match next {
            Some(refresh_token) => self.send(cx, account, refresh_token, step),
            None => self.give_up(cx, account, step),
        }
    }

    fn send(
        &mut self,
        cx: &StepContext<'_>,
        account: Account,
        refresh_token: Secret,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        match token_exchange::job(&account, refresh_token.clone()) {
            Ok(job) => {
                self.requests += 1;
                self.sent_at = cx.now;
                self.account = Some(account);
                self.phase = Phase::Sent(refresh_token);
                step.effects.push(RenewalEffect::Send(Box::new(job)));
            }
            Err(error) => self.fail(cx, account, error.into(), step),
        }
    }

    fn on_outcome(
        &mut self,
        cx: &mut StepContext<'_>,
        sent: Secret,
        outcome: Outcome,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        let Some(account) = self.account.take() else {
            return;
        };
        match token_exchange::read(&account, outcome) {
            Ok(pair) => {
                self.got = Some((sent, pair));
                self.read_again(account, step);
            }
            Err(ExchangeError::Refused { soft_logout, what }) => {
                let keeps = self.refusal.as_ref().is_some_and(|(_, keeps)| *keeps);
                self.refusal = Some((what, keeps || soft_logout));
                self.refused.push(sent);
                self.read_again(account, step);
            }
            Err(ExchangeError::Transient(error, wait)) => {
                self.on_passing_failure(cx, account, sent, error, wait, step);
            }
            Err(ExchangeError::Permanent(error)) => self.fail(cx, account, error, step),
        }
    }

    /// Whoever does not keep to the lock may have renewed it meanwhile, signed in anew, or changed what
    /// else is kept with the account.
    fn read_again(&mut self, account: Account, step: &mut Step<RenewalEffect, RenewalEvent>) {
        self.account = Some(account);
        self.phase = Phase::Reading;
        step.effects.push(RenewalEffect::Read);
    }

    fn renewed(
        &mut self,
        cx: &StepContext<'_>,
        mut account: Account,
        sent: Secret,
        pair: TokenPair,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        // The one that worked, which need not be the one that is kept.
        account.refresh_token = Some(sent);
        // The time counts from when the server made it: that was after it was asked.
        let asked_at = self.sent_at.min(cx.now);
        account.set_tokens(asked_at, pair.access, pair.refresh, pair.lifetime);
        account.write_to(&mut step.writes);
        self.finish(account, None, Ok(()), step);
    }

    fn on_passing_failure(
        &mut self,
        cx: &mut StepContext<'_>,
        account: Account,
        sent: Secret,
        error: SessionError,
        wait: Option<Duration>,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        // A request that can be sent with the old token meanwhile is not to be held up.
        let can_wait = self.reason != RenewalReason::Due || account.has_expired(cx.now);
        let wait = wait.unwrap_or_default();
        if !can_wait || self.requests >= MOST_REQUESTS || wait > LONGEST_WAIT {
            return self.fail(cx, account, error, step);
        }
        let bound = FIRST_BACK_OFF.saturating_mul(1 << self.requests.min(8));
        let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        let back_off = Duration::from_millis(cx.entropy.below(millis));
        self.account = Some(account);
        self.phase = Phase::Waiting(sent);
        let until = cx.now.plus(back_off.max(wait));
        step.effects.push(RenewalEffect::Wait(until));
    }

    /// Another has renewed the account, or ended its session.
    fn settle(&mut self, account: Account, step: &mut Step<RenewalEffect, RenewalEvent>) {
        let result = match account.access_token {
            Some(_) => Ok(()),
            None => Err(SessionError::NotSignedIn {
                user_id: account.user_id.clone(),
            }),
        };
        self.finish(account, None, result, step);
    }

    /// Nothing is left to renew it with.
    fn give_up(
        &mut self,
        cx: &StepContext<'_>,
        mut account: Account,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        let by = match &account.oauth {
            Some(oauth) => oauth.issuer.clone(),
            None => account.server.to_string(),
        };
        let (what, keeps) = match (self.refusal.take(), self.reason) {
            // As long as the access token is good, so is the session.
            (refusal, RenewalReason::Due) => {
                let what = refusal.map(|(what, _)| what).unwrap_or_default();
                let error = SessionError::SignedOut { by, what };
                let trouble = self.trouble(cx, error.clone(), true);
                return self.finish(account, trouble, Err(error), step);
            }
            (None, RenewalReason::Wanted) => {
                let user_id = account.user_id.clone();
                let error = SessionError::NoRefreshToken { user_id };
                return self.finish(account, None, Err(error), step);
            }
            (refusal, reason) => {
                let (what, keeps) =
                    refusal.unwrap_or_else(|| ("the token is good no more".to_owned(), false));
                (
                    what,
                    keeps || reason == RenewalReason::Refused { soft_logout: true },
                )
            }
        };
        let error = match keeps {
            true => SessionError::SoftLogout {
                server: account.server.clone(),
                user_id: account.user_id.clone(),
                device_id: account.device_id.clone(),
            },
            false => SessionError::SignedOut { by, what },
        };
        match keeps {
            true => account.clear_tokens(),
            false => account.end_session(),
        }
        account.write_to(&mut step.writes);
        self.finish(account, None, Err(error), step);
    }

    fn trouble(
        &self,
        cx: &StepContext<'_>,
        error: SessionError,
        is_refusal: bool,
    ) -> Option<RenewalFailures> {
        let standing = self.standing.as_ref()?;
        Some(standing.trouble_after(cx.now, error, is_refusal))
    }

    /// It did not come about, and may another time.
    fn fail(
        &mut self,
        cx: &StepContext<'_>,
        account: Account,
        error: SessionError,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        let trouble = self.trouble(cx, error.clone(), false);
        self.finish(account, trouble, Err(error), step);
    }

    fn finish(
        &mut self,
        account: Account,
        trouble: Option<RenewalFailures>,
        result: Result<(), SessionError>,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        self.phase = Phase::Over;
        step.events
            .push(RenewalEvent::Finished(Box::new(RenewalResult {
                account,
                trouble,
                result,
            })));
    }

    /// What was to be stored is not, and so it has not happened.
    fn on_store_failure(
        &mut self,
        cx: &StepContext<'_>,
        what: String,
        step: &mut Step<RenewalEffect, RenewalEvent>,
    ) {
        let Some(account) = self.stored.clone() else {
            return;
        };
        let user_id = account.user_id.clone();
        let error = SessionError::NotStored { user_id, what };
        self.fail(cx, account, error, step);
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
        let mut step = Step::default();
        match (self.phase.clone(), input) {
            (Phase::New, RenewalInput::Start) => {
                self.phase = Phase::TakingTurn;
                step.effects.push(RenewalEffect::TakeTurn);
            }
            (Phase::TakingTurn, RenewalInput::TurnTaken(standing)) => {
                self.on_turn(cx, standing, &mut step);
            }
            (Phase::Locking, RenewalInput::Locked) => {
                self.phase = Phase::Reading;
                step.effects.push(RenewalEffect::Read);
            }
            (Phase::Reading, RenewalInput::Stored(stored)) => {
                self.on_stored(cx, stored, &mut step);
            }
            (Phase::Sent(sent), RenewalInput::Outcome(outcome)) => {
                self.on_outcome(cx, sent, outcome, &mut step);
            }
            (Phase::Waiting(sent), RenewalInput::Waited) => {
                if let Some(account) = self.account.take() {
                    self.send(cx, account, sent, &mut step);
                }
            }
            (_, RenewalInput::StoreFailed(what)) => self.on_store_failure(cx, what, &mut step),
            _ => {}
        }
        step
    }
}
