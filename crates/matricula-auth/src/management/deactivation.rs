//! Closing an account for good.

use std::mem;

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::{
        account_deactivation::{DeactivateAccount, DeactivateAccountResponse},
        whoami::WhoAmI,
    },
    oauth::AccountAction,
};
use matricula_core::{Auth, EffectId, Machine, Secret, Step, StepContext, scheduler::Outcome};

use super::{left_to_account_page, step_part};
use crate::{
    Account, AuthError, Conversation, Effect, Event, Input, Progress, UiaRequest, account::tables,
};

/// How often it is asked for, where it is certain that the last time did not do it.
const MOST_TIMES: u32 = 3;

/// Deactivates an account for good, and then removes it from what is kept.
///
/// What is kept stays until it is certain that the account is gone. Where the answer is lost, the
/// server is asked whether it still knows the session: if it does, deactivation is asked for again.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate>.
#[derive(Clone, Debug)]
pub struct Deactivation {
    account: Account,
    erases: bool,
    known: Vec<Secret>,
    session: Option<String>,
    times: u32,
    last_effect: u64,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    New,
    Deactivating(Box<UiaRequest<DeactivateAccount>>),
    /// The answer was lost; for this reason.
    LookingUp(String),
    Over,
}

type Turn = Step<Effect, Event<()>>;

impl Deactivation {
    /// Deactivates this account.
    pub fn new(account: &Account) -> Self {
        Self {
            account: account.clone(),
            erases: false,
            known: Vec::new(),
            session: None,
            times: 0,
            last_effect: 0,
            phase: Phase::New,
        }
    }

    /// Asks the server to show what the account wrote to nobody who joins a room later.
    #[must_use]
    pub fn erase(mut self) -> Self {
        self.erases = true;
        self
    }

    /// Tries this as the password that the account has, before the person is asked for it.
    #[must_use]
    pub fn with_password(mut self, password: Secret) -> Self {
        self.known.push(password);
        self
    }

    /// Goes on in a session of the server's: see [`UiaRequest::with_session`].
    #[must_use]
    pub fn with_session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    fn start(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        let action = AccountAction::AccountDeactivate;
        if let Some(error) = left_to_account_page(&self.account, Some(action)) {
            return self.end(Err(error), turn);
        }
        self.times += 1;
        let request = DeactivateAccount::default().erase(self.erases);
        let mut part = UiaRequest::new(&self.account, request).after_effect(self.last_effect);
        for password in &self.known {
            part = part.with_password(password.clone());
        }
        if let Some(session) = self.session.take() {
            part = part.with_session(session);
        }
        self.phase = Phase::Deactivating(Box::new(part));
        self.step_part(cx, Input::Start, turn);
    }

    fn step_part(&mut self, cx: &mut StepContext<'_>, input: Input, turn: &mut Turn) {
        let Phase::Deactivating(part) = &mut self.phase else {
            return;
        };
        if let Some(result) = step_part(part, cx, input, turn) {
            self.on_end_of_part(result, turn);
        }
    }

    fn on_end_of_part(
        &mut self,
        result: Result<DeactivateAccountResponse, AuthError>,
        turn: &mut Turn,
    ) {
        match (mem::replace(&mut self.phase, Phase::Over), result) {
            (_, Ok(_)) => self.end(Ok(()), turn),
            (Phase::Deactivating(part), Err(AuthError::MayBeDone { what, .. })) => {
                let how = format!("{what}; asking whether the session is still known");
                turn.events.push(Event::Progress(Progress::Settling(how)));
                self.known.extend(part.password().cloned());
                self.last_effect = part.last_effect() + 1;
                let credential = self.account.credential();
                let job = WhoAmI::default()
                    .job(&self.account.server)
                    .with_auth(Auth::Required(credential));
                let send = Effect::Send(EffectId(self.last_effect), Box::new(job));
                turn.effects.push(send);
                self.phase = Phase::LookingUp(what);
            }
            (_, Err(error)) => self.end(Err(error), turn),
        }
    }

    fn on_looked_up(&mut self, cx: &mut StepContext<'_>, outcome: Outcome, turn: &mut Turn) {
        let Phase::LookingUp(what) = mem::replace(&mut self.phase, Phase::Over) else {
            return;
        };
        let answer = match outcome {
            Outcome::Responded(response) => Some(WhoAmI::read(&response)),
            _ => None,
        };
        match answer {
            Some(Ok(_)) if self.times < MOST_TIMES => self.start(cx, turn),
            Some(Err(ApiError::Matrix(error))) if self.says_that_it_is_gone(&error) => {
                self.end(Ok(()), turn);
            }
            _ => {
                let server = self.account.server.clone();
                self.end(Err(AuthError::MayBeDone { server, what }), turn);
            }
        }
    }

    /// A session that was known a moment ago and is not any more has ended with its account, unless
    /// tokens come to an end there by themselves.
    fn says_that_it_is_gone(&self, error: &matricula_api::MatrixError) -> bool {
        match error.code {
            ErrorCode::UserDeactivated => true,
            ErrorCode::UnknownToken => self.account.expires_at.is_none(),
            _ => false,
        }
    }

    fn end(&mut self, result: Result<(), AuthError>, turn: &mut Turn) {
        if result.is_ok() {
            let key = self.account.user_id.as_str();
            turn.writes.remove(tables::ACCOUNTS, key);
            turn.writes.remove(tables::PASSWORD_CHANGES, key);
        }
        self.phase = Phase::Over;
        turn.effects.clear();
        turn.events.push(Event::Finished(result));
    }
}

impl Machine for Deactivation {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<()>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        match (&self.phase, input) {
            (Phase::New, Input::Start) => self.start(cx, &mut turn),
            (_, Input::Start) => {}
            (Phase::LookingUp(_), Input::Outcome(id, outcome)) if id.0 == self.last_effect => {
                self.on_looked_up(cx, outcome, &mut turn);
            }
            (_, input) => self.step_part(cx, input, &mut turn),
        }
        turn
    }
}

impl Conversation for Deactivation {
    type Output = ();
}
