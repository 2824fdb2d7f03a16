//! One request in a session, with a valid token.

use matricula_api::{ApiError, ErrorCode, MatrixError};
use matricula_core::{Auth, Job, Machine, Response, Secret, Step, StepContext, scheduler::Outcome};

use super::{RenewalReason, SessionState};
use crate::SessionError;

/// What can happen to a [`Call`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CallInput {
    /// Begin, in this state.
    Start(Box<SessionState>),
    /// The renewal has ended with this result; this is the state now.
    Renewed(Box<SessionState>, Result<(), SessionError>),
    /// The outcome of the request.
    Outcome(Outcome),
}

/// What a [`Call`] asks the caller to do, one at a time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CallEffect {
    /// Run a [`Renewal`](super::Renewal) of this token.
    Renew(RenewalReason, Secret),
    /// Send this request.
    Send(Box<Job>),
}

/// What a [`Call`] reports.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CallEvent {
    /// The server says that the account is locked: call [`SessionState::lock`].
    Locked,
    /// The account is not locked any more: call [`SessionState::unlock`].
    Unlocked,
    /// The call has ended.
    Finished(Box<Result<Outcome, SessionError>>),
}

/// Sends one request in a session. A token that expires soon is renewed before. A token that the server
/// refuses is renewed after, and the request is sent again, once. That is safe: a request with a refused
/// token was not processed.
#[derive(Clone, Debug)]
pub struct Call {
    job: Job,
    state: Option<Box<SessionState>>,
    /// The token that was sent last.
    sent: Option<Secret>,
    /// Whether the server has refused a token already.
    was_refused: bool,
    is_over: bool,
    /// The step under way; empty between two steps.
    step: Step<CallEffect, CallEvent>,
}

impl Call {
    /// A call of this job, which must [name](Job::auth) the account's credential as required or optional.
    /// A job that names no credential is sent as it is.
    pub fn new(job: Job) -> Self {
        Self {
            job,
            state: None,
            sent: None,
            was_refused: false,
            is_over: false,
            step: Step::default(),
        }
    }

    fn start(&mut self, cx: &StepContext<'_>, state: Box<SessionState>) {
        let account = state.account().clone();
        let user_id = account.user_id.clone();
        let is_due = account.is_due(cx.now) && state.failure(cx.now).is_none();
        let is_lock_recent = state.is_lock_recent(cx.now);
        self.state = Some(state);
        match (self.job.auth(), account.access_token) {
            (Auth::Required(_), None) => {
                self.finish(Err(SessionError::NotSignedIn { user_id }));
            }
            (Auth::Required(_) | Auth::Optional(_), Some(_)) if is_lock_recent => {
                let error = SessionError::UserLocked {
                    server: account.server,
                    user_id,
                    message: String::new(),
                };
                self.finish(Err(error));
            }
            (Auth::Required(_) | Auth::Optional(_), Some(token)) if is_due => {
                self.step
                    .effects
                    .push(CallEffect::Renew(RenewalReason::Due, token));
            }
            _ => self.send(),
        }
    }

    fn send(&mut self) {
        let names_one = matches!(self.job.auth(), Auth::Required(_) | Auth::Optional(_));
        let account = self.state.as_ref().map(|state| state.account());
        let token = account.and_then(|account| account.access_token.clone());
        let job = match token.clone().filter(|_| names_one) {
            Some(token) => self.job.clone().with_token(token),
            None => self.job.clone(),
        };
        self.sent = token.filter(|_| names_one);
        self.step.effects.push(CallEffect::Send(Box::new(job)));
    }

    fn on_renewed(&mut self, state: Box<SessionState>, result: Result<(), SessionError>) {
        let has_token = state.account().access_token.is_some();
        self.state = Some(state);
        match result {
            Err(error) if self.was_refused || !has_token => self.finish(Err(error)),
            // The old token may still be valid; the server decides.
            _ => self.send(),
        }
    }

    fn on_outcome(&mut self, outcome: Outcome) {
        let (Some(token), Outcome::Responded(response)) = (self.sent.clone(), &outcome) else {
            return self.finish(Ok(outcome));
        };
        let refusal = refusal(response);
        let code = refusal.as_ref().map(|error| &error.code);
        match (code, refusal.as_ref()) {
            (Some(ErrorCode::UnknownToken), Some(error)) if !self.was_refused => {
                self.was_refused = true;
                let soft_logout = error.extra.get("soft_logout") == Some(&true.into());
                let reason = RenewalReason::Refused { soft_logout };
                self.step.effects.push(CallEffect::Renew(reason, token));
            }
            (Some(ErrorCode::UserLocked), Some(error)) => {
                self.step.events.push(CallEvent::Locked);
                let message = error.message.clone();
                self.finish_refused(|server, user_id| SessionError::UserLocked {
                    server,
                    user_id,
                    message,
                });
            }
            (Some(ErrorCode::UserSuspended), Some(error)) => {
                let message = error.message.clone();
                self.finish_refused(|server, user_id| SessionError::UserSuspended {
                    server,
                    user_id,
                    message,
                });
            }
            _ => {
                let was_locked = self.state.as_ref().is_some_and(|one| one.is_locked());
                if was_locked && response.status_code() < 500 {
                    self.step.events.push(CallEvent::Unlocked);
                }
                self.finish(Ok(outcome));
            }
        }
    }

    fn finish_refused(
        &mut self,
        error: impl FnOnce(matricula_core::ServerUrl, matricula_api::UserId) -> SessionError,
    ) {
        if let Some(state) = &self.state {
            let account = state.account();
            let error = error(account.server.clone(), account.user_id.clone());
            self.finish(Err(error));
        }
    }

    fn finish(&mut self, result: Result<Outcome, SessionError>) {
        self.is_over = true;
        self.step.events.push(CallEvent::Finished(Box::new(result)));
    }
}

/// The Matrix error of a response, if it has one.
fn refusal(response: &Response) -> Option<MatrixError> {
    match ApiError::from_response(response)? {
        ApiError::Matrix(error) => Some(error),
        _ => None,
    }
}

impl Machine for Call {
    type Input = CallInput;
    type Effect = CallEffect;
    type Event = CallEvent;

    fn step(&mut self, cx: &mut StepContext<'_>, input: CallInput) -> Step<CallEffect, CallEvent> {
        if self.is_over {
            return Step::default();
        }
        match input {
            CallInput::Start(state) if self.state.is_none() => {
                self.start(cx, state);
            }
            CallInput::Renewed(state, result) => self.on_renewed(state, result),
            CallInput::Outcome(outcome) => self.on_outcome(outcome),
            CallInput::Start(_) => {}
        }
        std::mem::take(&mut self.step)
    }
}
