//! Registering with the secret that a server shares with whoever runs it.

use hmac::{Hmac, KeyInit, Mac};
use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError,
    client::{login::Login, registration::RegisterResponse},
    synapse::{GetNonce, RegisterBySecret},
};
use matricula_auth::{
    Account, AuthError, Conversation, Effect, Event, Input, Progress, ServerInfo,
    password_login_request,
};
use matricula_core::{
    EffectId, Job, Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp,
    scheduler::Outcome,
};
use serde_json::Value;
use sha1::Sha1;

use crate::{PendingUser, tables};

/// How many nonces are asked for: the first may be too old by the time it is used.
const MOST_NONCES: u32 = 2;

/// Makes an account on a server whose [shared secret] is known, be it open or closed; ends in an
/// [`Account`] with a session.
///
/// The password is stored in [`tables::NEW_USERS`] before it is sent, and stays there until it is
/// certain whether there is an account. Where an answer is lost, signing in tells; a later try goes on
/// [after](Self::resume) what was stored. The secret itself never leaves: requests are signed with it.
///
/// [shared secret]: https://element-hq.github.io/synapse/latest/admin_api/register_api.html
#[derive(Clone, Debug)]
pub struct SharedSecretRegistration {
    server: ServerUrl,
    secret: Secret,
    username: String,
    given: Option<Secret>,
    is_admin: bool,
    display_name: Option<String>,
    data: Value,
    /// What is or was to be set, once it is stored.
    pending: Option<PendingUser>,
    phase: Phase,
    /// A request was sent that may have made the account; what happened to it.
    lost: Option<String>,
    /// Whether the server said that the name and the password do not belong together.
    is_not_ours: bool,
    nonces: u32,
    last_effect: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    GettingNonce,
    Registering,
    SigningIn,
    Over,
}

type Turn = Step<Effect, Event<Account>>;

impl SharedSecretRegistration {
    /// Makes the account `username`, with a password that is made here and kept with it.
    pub fn new(facts: &ServerInfo, secret: Secret, username: impl Into<String>) -> Self {
        Self {
            server: facts.server.clone(),
            secret,
            username: username.into(),
            given: None,
            is_admin: false,
            display_name: None,
            data: Value::Null,
            pending: None,
            phase: Phase::New,
            lost: None,
            is_not_ours: false,
            nonces: 0,
            last_effect: 0,
        }
    }

    /// Sets this password, which the person keeps.
    #[must_use]
    pub fn with_password(mut self, password: Secret) -> Self {
        self.given = Some(password);
        self
    }

    /// Makes the account an administrator's.
    #[must_use]
    pub fn admin(mut self) -> Self {
        self.is_admin = true;
        self
    }

    /// Names the user for others.
    #[must_use]
    pub fn with_display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = Some(name.into());
        self
    }

    /// Keeps this with the account.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Goes on after an earlier try of which it is not known whether it made the account.
    #[must_use]
    pub fn resume(mut self, pending: PendingUser) -> Self {
        self.pending = Some(pending);
        self
    }

    /// The key in [`tables::NEW_USERS`].
    pub fn key(&self) -> String {
        PendingUser::key(&self.server, &self.username)
    }

    fn start(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        if self.pending.is_some() {
            let what = "an earlier try did not come to its end".to_owned();
            return self.settle(what, turn);
        }
        let pending = match &self.given {
            Some(given) => PendingUser::given(given.clone()),
            None => PendingUser::make(cx.entropy),
        };
        pending.put_into(self.key(), &mut turn.writes);
        self.pending = Some(pending);
        self.get_nonce(turn);
    }

    fn get_nonce(&mut self, turn: &mut Turn) {
        self.phase = Phase::GettingNonce;
        self.nonces += 1;
        self.send(GetNonce.job(&self.server), turn);
    }

    fn register(&mut self, nonce: &str, turn: &mut Turn) {
        self.phase = Phase::Registering;
        let password = self.password();
        let signed = mac(
            &self.secret,
            nonce,
            &self.username,
            &password,
            self.is_admin,
        );
        let mut request = RegisterBySecret::new(nonce, self.username.clone(), password, signed)
            .admin(self.is_admin);
        request.displayname = self.display_name.clone();
        self.send(request.job(&self.server), turn);
    }

    fn password(&self) -> Secret {
        let pending = self.pending.as_ref();
        pending.map_or_else(Secret::default, |pending| pending.password.clone())
    }

    fn send(&mut self, job: Job, turn: &mut Turn) {
        self.last_effect += 1;
        turn.effects
            .push(Effect::Send(EffectId(self.last_effect), Box::new(job)));
    }

    /// Finds out by signing in what became of a request.
    fn settle(&mut self, what: String, turn: &mut Turn) {
        let how = format!("{what}; trying to sign in");
        turn.events.push(Event::Progress(Progress::Settling(how)));
        self.lost = Some(what);
        self.phase = Phase::SigningIn;
        let request = password_login_request(&self.username, &self.password());
        self.send(request.job(&self.server), turn);
    }

    fn on_outcome(&mut self, now: Timestamp, outcome: Outcome, turn: &mut Turn) {
        let server = self.server.clone();
        match (self.phase, outcome) {
            (Phase::GettingNonce, Outcome::Responded(response)) => self.on_nonce(&response, turn),
            (Phase::Registering, Outcome::Responded(response)) => {
                self.on_registration(now, &response, turn);
            }
            (Phase::SigningIn, Outcome::Responded(response)) => {
                self.on_sign_in(now, &response, turn)
            }
            (Phase::Registering, Outcome::InDoubt(error)) if self.lost.is_none() => {
                self.settle(error.to_string(), turn);
            }
            (Phase::Registering, Outcome::InDoubt(error)) => {
                self.in_doubt(error.to_string(), turn);
            }
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => match &self.lost {
                Some(_) => self.in_doubt(error.to_string(), turn),
                None => self.end(Err(AuthError::Unreachable { server, error }), turn),
            },
            (_, _) if self.lost.is_some() || self.phase == Phase::Registering => {
                self.over(Err(AuthError::Cancelled), turn);
            }
            _ => self.end(Err(AuthError::Cancelled), turn),
        }
    }

    fn on_nonce(&mut self, response: &Response, turn: &mut Turn) {
        let server = self.server.clone();
        match GetNonce::read(response) {
            Ok(answer) => self.register(&answer.nonce, turn),
            Err(ApiError::Matrix(error)) if error.status < 500 => {
                let message = error.message;
                self.fail(AuthError::NoSharedSecret { server, message }, turn);
            }
            Err(error) => self.fail(AuthError::from_api(&server, error), turn),
        }
    }

    fn on_registration(&mut self, now: Timestamp, response: &Response, turn: &mut Turn) {
        let error = match RegisterBySecret::read(response) {
            Ok(answer) => return self.finish(self.account(now, answer), turn),
            // A success that cannot be read: the account was made.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                return match self.lost {
                    None => self.settle(message, turn),
                    Some(_) => self.in_doubt(message, turn),
                };
            }
            Err(ApiError::Matrix(error)) => error,
            Err(error) => return self.fail(AuthError::from_api(&self.server, error), turn),
        };
        match error.code {
            // Nonces live for a minute, and their end has no code of its own.
            ErrorCode::Unknown if error.status == 400 && self.nonces < MOST_NONCES => {
                self.get_nonce(turn);
            }
            ErrorCode::UserInUse if self.lost.is_some() && !self.is_not_ours => {
                self.in_doubt(error.to_string(), turn);
            }
            _ => {
                let error = self.refusal(error);
                self.end(Err(error), turn);
            }
        }
    }

    fn refusal(&self, error: MatrixError) -> AuthError {
        let (server, username) = (self.server.clone(), self.username.clone());
        let message = error.message.clone();
        match error.code {
            ErrorCode::UserInUse => AuthError::NameTaken { server, username },
            ErrorCode::Exclusive => AuthError::NameReserved { server, username },
            ErrorCode::InvalidUsername => AuthError::NameInvalid {
                server,
                username,
                message,
            },
            code if code == ErrorCode::WeakPassword || code.as_str().starts_with("M_PASSWORD_") => {
                AuthError::WeakPassword {
                    server,
                    code,
                    message,
                }
            }
            _ if error.status == 403 => AuthError::SharedSecretWrong { server, message },
            _ => AuthError::Refused { server, error },
        }
    }

    fn on_sign_in(&mut self, now: Timestamp, response: &Response, turn: &mut Turn) {
        match Login::read(response) {
            Ok(answer) => {
                let account = Account::from_login(&self.server, now, answer, self.data.clone());
                self.finish(account, turn);
            }
            Err(ApiError::RateLimited { .. }) => {
                self.in_doubt("signing in to find out: too many requests".to_owned(), turn);
            }
            // No such account, or another's; or the server has no such sign-in, and does not tell.
            Err(error) => {
                self.is_not_ours = matches!(
                    &error,
                    ApiError::Matrix(refusal) if refusal.code == ErrorCode::Forbidden
                );
                if let Some(given) = self.given.clone() {
                    let pending = PendingUser::given(given);
                    pending.put_into(self.key(), &mut turn.writes);
                    self.pending = Some(pending);
                }
                self.get_nonce(turn);
            }
        }
    }

    fn account(&self, now: Timestamp, answer: RegisterResponse) -> Account {
        let (server, data) = (self.server.clone(), self.data.clone());
        let mut account = Account::without_session(answer.user_id, server, data);
        account.device_id = answer.device_id;
        if let Some(access) = answer.access_token {
            account.set_tokens(now, access, answer.refresh_token, answer.expires_in_ms);
        }
        account
    }

    fn finish(&mut self, mut account: Account, turn: &mut Turn) {
        if let Some(pending) = &self.pending {
            account.password = pending.to_be_kept(self.given.as_ref());
        }
        self.end(Ok(account), turn);
    }

    /// It fails, and what an earlier request did is not known any better.
    fn fail(&mut self, error: AuthError, turn: &mut Turn) {
        match self.lost.is_some() && !self.is_not_ours {
            true => self.in_doubt(error.to_string(), turn),
            false => self.end(Err(error), turn),
        }
    }

    fn in_doubt(&mut self, what: String, turn: &mut Turn) {
        let server = self.server.clone();
        self.over(Err(AuthError::InDoubt { server, what }), turn);
    }

    /// There is an account, or certainly none: nothing is pending any more.
    fn end(&mut self, result: Result<Account, AuthError>, turn: &mut Turn) {
        if let Ok(account) = &result {
            account.write_to(&mut turn.writes);
        }
        turn.writes.remove(tables::NEW_USERS, self.key());
        self.over(result, turn);
    }

    fn over(&mut self, result: Result<Account, AuthError>, turn: &mut Turn) {
        self.phase = Phase::Over;
        turn.events.push(Event::Finished(result));
    }
}

impl Machine for SharedSecretRegistration {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        match input {
            Input::Start if self.phase == Phase::New => self.start(cx, &mut turn),
            Input::Outcome(id, outcome)
                if id.0 == self.last_effect && self.phase != Phase::Over =>
            {
                self.on_outcome(cx.now, outcome, &mut turn);
            }
            _ => {}
        }
        turn
    }
}

impl Conversation for SharedSecretRegistration {
    type Output = Account;
}

/// What the request is signed with, in hexadecimal digits.
fn mac(secret: &Secret, nonce: &str, user: &str, password: &Secret, is_admin: bool) -> Secret {
    let rights = if is_admin { "admin" } else { "notadmin" };
    let parts = [nonce, user, password.expose(), rights];
    // An HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()) else {
        return Secret::default();
    };
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            mac.update(&[0]);
        }
        mac.update(part.as_bytes());
    }
    let digest = mac.finalize().into_bytes();
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.into()
}
