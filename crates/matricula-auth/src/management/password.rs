//! Changing an account's password.

use std::mem;

use matricula_api::client::password_management::{ChangePassword, ChangePasswordResponse};
use matricula_core::{Machine, Secret, Step, StepContext, WriteBatch, secret::exposed};
use serde::{Deserialize, Serialize};

use super::{left_to_account_page, step_part};
use crate::{
    Account, AuthError, Conversation, Effect, Event, Input, Progress, UiaRequest,
    account::{generate_password, tables},
};

/// Changes the password of an account; ends in the new one where it was made here, for it to be
/// [kept with the account](Account::password).
///
/// One that is made here is stored before it is sent, in [`tables::PASSWORD_CHANGES`], and stays
/// there until it is certain which password the account has. Where the answer is lost, the same is asked for again, with the old password and
/// with the new one: whichever the server takes, the account then has the new one.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword>.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    account: Account,
    /// `None`: one is made.
    given: Option<Secret>,
    new: Secret,
    /// Those that the account may have, besides the one that is kept with it.
    known: Vec<Secret>,
    pending: Option<Secret>,
    keeps_devices: bool,
    session: Option<String>,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    New,
    Changing(Box<UiaRequest<ChangePassword>>),
    /// The answer was lost; for this reason.
    Settling(Box<UiaRequest<ChangePassword>>, String),
    Over,
}

/// What is stored of a change of password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PendingPassword {
    /// The new password, where it was made here.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// Whether the account has it for certain, or one that only the person knows. Whoever keeps
    /// accounts then moves this into [`Account::password`], and forgets the rest; before, the account
    /// may have it.
    pub is_set: bool,
}

impl PendingPassword {
    fn put_into(&self, account: &Account, patch: &mut WriteBatch) {
        // A text and a flag: this always has a JSON form.
        let json = serde_json::to_vec(self).unwrap_or_default();
        patch.put(tables::PASSWORD_CHANGES, account.user_id.as_str(), json);
    }
}

type Turn = Step<Effect, Event<Option<Secret>>>;

impl PasswordChange {
    /// Changes the password to this one, which the person keeps.
    pub fn new(account: &Account, password: Secret) -> Self {
        Self {
            given: Some(password),
            ..Self::generated(account)
        }
    }

    /// Changes the password to a strong one that is made here.
    pub fn generated(account: &Account) -> Self {
        Self {
            account: account.clone(),
            given: None,
            new: Secret::default(),
            known: Vec::new(),
            pending: None,
            keeps_devices: false,
            session: None,
            phase: Phase::New,
        }
    }

    /// Leaves the account's other devices signed in.
    #[must_use]
    pub fn keep_devices(mut self) -> Self {
        self.keeps_devices = true;
        self
    }

    /// Tries this as the password that the account has, before the person is asked for it.
    #[must_use]
    pub fn with_password(mut self, password: Secret) -> Self {
        self.known.push(password);
        self
    }

    /// Goes on after an earlier change of which it is not certain whether it was made.
    #[must_use]
    pub fn resume(mut self, pending: PendingPassword) -> Self {
        self.pending = pending.password;
        self
    }

    /// Goes on in a session of the server's: see [`UiaRequest::with_session`].
    #[must_use]
    pub fn with_session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    fn start(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        if let Some(error) = left_to_account_page(&self.account, None) {
            return self.end(Err(error), turn);
        }
        self.new = match (&self.given, &self.pending) {
            (Some(given), _) => given.clone(),
            // The account may have it already.
            (None, Some(pending)) => pending.clone(),
            (None, None) => generate_password(cx.entropy, 0),
        };
        if self.given.is_none() {
            let pending = PendingPassword {
                password: Some(self.new.clone()),
                is_set: false,
            };
            pending.put_into(&self.account, &mut turn.writes);
        }
        let mut part = self.part();
        for password in self.pending.iter().chain(&self.known) {
            part = part.with_password(password.clone());
        }
        if let Some(session) = &self.session {
            part = part.with_session(session.clone());
        }
        self.phase = Phase::Changing(Box::new(part));
        self.step_phase(cx, Input::Start, turn);
    }

    fn part(&self) -> UiaRequest<ChangePassword> {
        let request = ChangePassword::new(self.new.clone()).logout_devices(!self.keeps_devices);
        UiaRequest::new(&self.account, request)
    }

    fn step_phase(&mut self, cx: &mut StepContext<'_>, input: Input, turn: &mut Turn) {
        let (Phase::Changing(part) | Phase::Settling(part, _)) = &mut self.phase else {
            return;
        };
        if let Some(result) = step_part(part, cx, input, turn) {
            self.on_end_of_part(cx, result, turn);
        }
    }

    fn on_end_of_part(
        &mut self,
        cx: &mut StepContext<'_>,
        result: Result<ChangePasswordResponse, AuthError>,
        turn: &mut Turn,
    ) {
        match (mem::replace(&mut self.phase, Phase::Over), result) {
            (_, Ok(_)) => {
                let made = self.given.is_none().then(|| self.new.clone());
                let pending = PendingPassword {
                    password: made.clone(),
                    is_set: true,
                };
                pending.put_into(&self.account, &mut turn.writes);
                self.end(Ok(made), turn);
            }
            (Phase::Changing(part), Err(AuthError::MayBeDone { what, .. })) => {
                let how = format!("{what}; asking again, with the old password and the new one");
                turn.events.push(Event::Progress(Progress::Settling(how)));
                let old = part.password().cloned();
                let mut again = self.part().with_password(self.new.clone());
                if let Some(old) = old {
                    again = again.with_password(old);
                }
                let again = again.after_effect(part.last_effect());
                self.phase = Phase::Settling(Box::new(again), what);
                self.step_phase(cx, Input::Start, turn);
            }
            (Phase::Settling(_, what), Err(error)) => {
                let error = AuthError::PasswordInDoubt {
                    server: self.account.server.clone(),
                    user_id: self.account.user_id.clone(),
                    what: format!("{what}, and then: {error}"),
                };
                self.end(Err(error), turn);
            }
            (_, Err(error)) => {
                // What waits for a browser goes on later, with the same password.
                let is_certain = !matches!(
                    error,
                    AuthError::StagesNotSupported(_) | AuthError::Cancelled
                );
                if is_certain && self.pending.is_none() && self.given.is_none() {
                    let key = self.account.user_id.as_str();
                    turn.writes.remove(tables::PASSWORD_CHANGES, key);
                }
                self.end(Err(error), turn);
            }
        }
    }

    fn end(&mut self, result: Result<Option<Secret>, AuthError>, turn: &mut Turn) {
        self.phase = Phase::Over;
        turn.effects.clear();
        turn.events.push(Event::Finished(result));
    }
}

impl Machine for PasswordChange {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Option<Secret>>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        match (&self.phase, input) {
            (Phase::New, Input::Start) => self.start(cx, &mut turn),
            (_, Input::Start) => {}
            (_, input) => self.step_phase(cx, input, &mut turn),
        }
        turn
    }
}

impl Conversation for PasswordChange {
    type Output = Option<Secret>;
}
