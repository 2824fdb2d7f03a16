//! Making a user as an administrator.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError, UserId,
    client::login::Login,
    synapse::{FindUserByAddress, GetUser, PutUser, User, UserAddress, UserChange},
};
use matricula_auth::{
    Account, AuthError, Conversation, Effect, Event, Input, Progress, password_login_request,
};
use matricula_core::{
    Auth, EffectId, Job, Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp,
    scheduler::Outcome,
};
use serde_json::Value;

use crate::{PendingUser, tables};

/// What came of a [`CreateUser`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NewUser {
    /// The user was made.
    Made(Box<Account>),
    /// The user was there already, and is as before.
    Exists(Box<User>),
}

/// Makes a user with an administrator's session; ends in the new account, without a session, or in what
/// the server knows of a user who is there already.
///
/// The server is asked first: what makes a user would change one who is there. The password is stored
/// in [`tables::NEW_USERS`] before it is sent, and stays there until it is certain whether the user was
/// made. Where an answer is lost, signing in as the user tells, which leaves a session in the account.
///
/// Specification: none; [Synapse](https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html).
#[derive(Clone, Debug)]
pub struct CreateUser {
    server: ServerUrl,
    auth: Auth,
    administrator: UserId,
    user_id: UserId,
    given: Option<Secret>,
    is_admin: bool,
    display_name: Option<String>,
    email: Option<String>,
    data: Value,
    /// What is or was to be set, once it is stored.
    pending: Option<PendingUser>,
    phase: Phase,
    /// Whether a request was sent that may have made the user, here or earlier.
    lost: bool,
    last_effect: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    New,
    LookingUp,
    /// Has somebody the address already? It would be taken from them.
    LookingUpAddress,
    Creating,
    /// The user is there: is it the one whose creation's answer was lost?
    SigningIn(Box<User>),
    Over,
}

type Turn = Step<Effect, Event<NewUser>>;

impl CreateUser {
    /// Makes this user, with the session of an administrator of its server; with a password that is
    /// made here and kept with the account.
    pub fn new(administrator: &Account, user_id: UserId) -> Self {
        Self {
            server: administrator.server.clone(),
            auth: Auth::Required(administrator.credential()),
            administrator: administrator.user_id.clone(),
            user_id,
            given: None,
            is_admin: false,
            display_name: None,
            email: None,
            data: administrator.data.clone(),
            pending: None,
            phase: Phase::New,
            lost: false,
            last_effect: 0,
        }
    }

    /// Sets this password, which the person keeps.
    #[must_use]
    pub fn with_password(mut self, password: Secret) -> Self {
        self.given = Some(password);
        self
    }

    /// Makes the user an administrator.
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

    /// Gives the user this email address; nobody proves that it is the user's.
    #[must_use]
    pub fn with_email(mut self, address: impl Into<String>) -> Self {
        self.email = Some(address.into());
        self
    }

    /// Goes on after an earlier try of which it is not known whether it made the user.
    #[must_use]
    pub fn resume(mut self, pending: PendingUser) -> Self {
        self.pending = Some(pending);
        self.lost = true;
        self
    }

    /// The key in [`tables::NEW_USERS`].
    pub fn key(&self) -> String {
        PendingUser::key(&self.server, self.user_id.as_str())
    }

    fn look_up(&mut self, turn: &mut Turn) {
        self.phase = Phase::LookingUp;
        let request = GetUser {
            user_id: self.user_id.clone(),
        };
        let job = request.job(&self.server).with_auth(self.auth.clone());
        self.send(job, turn);
    }

    fn create(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        let pending = match (&self.given, self.pending.take()) {
            (Some(given), _) => PendingUser::given(given.clone()),
            (None, Some(pending)) => pending,
            (None, None) => PendingUser::make(cx.entropy),
        };
        pending.put_into(self.key(), &mut turn.writes);
        let mut user = UserChange::default()
            .password(pending.password.clone())
            .admin(self.is_admin);
        user.displayname = self.display_name.clone();
        let email = self.email.clone();
        user.threepids = email.map(|address| vec![UserAddress::new("email", address)]);
        self.pending = Some(pending);
        self.phase = Phase::Creating;
        let request = PutUser {
            user_id: self.user_id.clone(),
            user,
        };
        let job = request.job(&self.server).with_auth(self.auth.clone());
        self.send(job, turn);
    }

    fn send(&mut self, job: Job, turn: &mut Turn) {
        self.last_effect += 1;
        turn.effects
            .push(Effect::Send(EffectId(self.last_effect), Box::new(job)));
    }

    fn on_outcome(&mut self, cx: &mut StepContext<'_>, outcome: Outcome, turn: &mut Turn) {
        let server = self.server.clone();
        match (self.phase.clone(), outcome) {
            (Phase::LookingUp, Outcome::Responded(response)) => self.on_user(cx, &response, turn),
            (Phase::LookingUpAddress, Outcome::Responded(response)) => {
                self.on_address(cx, &response, turn);
            }
            (Phase::Creating, Outcome::Responded(response)) => self.on_created(&response, turn),
            (Phase::SigningIn(user), Outcome::Responded(response)) => {
                self.on_sign_in(cx.now, *user, &response, turn);
            }
            (Phase::Creating, Outcome::InDoubt(error)) => self.settle(error.to_string(), turn),
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => match self.lost {
                true => self.in_doubt(error.to_string(), turn),
                false => self.end(Err(AuthError::Unreachable { server, error }), turn),
            },
            _ => self.over(Err(AuthError::Cancelled), turn),
        }
    }

    fn on_user(&mut self, cx: &mut StepContext<'_>, response: &Response, turn: &mut Turn) {
        match GetUser::read(response) {
            Ok(user) => match (self.lost, &self.pending) {
                (true, Some(pending)) => {
                    let request = password_login_request(self.user_id.as_str(), &pending.password);
                    self.phase = Phase::SigningIn(Box::new(user));
                    self.send(request.job(&self.server), turn);
                }
                _ => self.end(Ok(NewUser::Exists(Box::new(user))), turn),
            },
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::NotFound => {
                // Nothing that was sent before has come to anything.
                match &self.email {
                    Some(email) => self.look_up_address(email.to_lowercase(), turn),
                    None => self.create(cx, turn),
                }
            }
            Err(error) => self.fail(error, turn),
        }
    }

    fn look_up_address(&mut self, address: String, turn: &mut Turn) {
        self.phase = Phase::LookingUpAddress;
        let request = FindUserByAddress {
            medium: "email".to_owned(),
            address,
        };
        let job = request.job(&self.server).with_auth(self.auth.clone());
        self.send(job, turn);
    }

    fn on_address(&mut self, cx: &mut StepContext<'_>, response: &Response, turn: &mut Turn) {
        match FindUserByAddress::read(response) {
            Ok(found) => {
                let error = AuthError::AddressRefused {
                    server: self.server.clone(),
                    address: self.email.clone().unwrap_or_default(),
                    code: ErrorCode::ThreepidInUse,
                    message: format!("it is {}'s", found.user_id),
                };
                self.end(Err(error), turn);
            }
            // Nobody has it; or the server cannot be asked, and then it takes addresses from nobody.
            Err(ApiError::Matrix(error))
                if [ErrorCode::NotFound, ErrorCode::Unrecognized].contains(&error.code) =>
            {
                self.create(cx, turn);
            }
            Err(error) => self.fail(error, turn),
        }
    }

    fn on_created(&mut self, response: &Response, turn: &mut Turn) {
        match PutUser::read(response) {
            Ok(_) => {
                let user_id = self.user_id.clone();
                let account =
                    Account::without_session(user_id, self.server.clone(), self.data.clone());
                self.finish(account, turn);
            }
            // A success that cannot be read: the user was made.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                self.settle(message, turn);
            }
            Err(error) => {
                let error = self.refusal(error);
                self.end(Err(error), turn);
            }
        }
    }

    fn settle(&mut self, what: String, turn: &mut Turn) {
        if self.lost {
            return self.in_doubt(what, turn);
        }
        let how = format!("{what}; looking whether the user is there");
        turn.events.push(Event::Progress(Progress::Settling(how)));
        self.lost = true;
        self.look_up(turn);
    }

    fn on_sign_in(&mut self, now: Timestamp, user: User, response: &Response, turn: &mut Turn) {
        match Login::read(response) {
            Ok(answer) => {
                let account = Account::from_login(&self.server, now, answer, self.data.clone());
                self.finish(account, turn);
            }
            // With another password: somebody else made the user.
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::Forbidden => {
                self.end(Ok(NewUser::Exists(Box::new(user))), turn);
            }
            Err(error) => self.in_doubt(format!("signing in to find out: {error}"), turn),
        }
    }

    fn refusal(&self, error: ApiError) -> AuthError {
        let server = self.server.clone();
        match error {
            ApiError::Matrix(error) => match error.code {
                ErrorCode::Forbidden => AuthError::NotAnAdministrator {
                    server,
                    user_id: self.administrator.clone(),
                },
                ErrorCode::UnknownToken => AuthError::SignedOut {
                    by: server.to_string(),
                    what: error.message,
                },
                ErrorCode::Unrecognized => AuthError::NoAdministration { server },
                ErrorCode::InvalidUsername => self.invalid(error),
                _ => AuthError::Refused { server, error },
            },
            error => AuthError::from_api(&self.server, error),
        }
    }

    fn invalid(&self, error: MatrixError) -> AuthError {
        AuthError::NameInvalid {
            server: self.server.clone(),
            username: self.user_id.localpart().to_owned(),
            message: error.message,
        }
    }

    fn finish(&mut self, mut account: Account, turn: &mut Turn) {
        if let Some(pending) = &self.pending {
            account.password = pending.to_be_kept(self.given.as_ref());
        }
        account.write_to(&mut turn.writes);
        self.end(Ok(NewUser::Made(Box::new(account))), turn);
    }

    /// It fails, and what an earlier request did is not known any better.
    fn fail(&mut self, error: ApiError, turn: &mut Turn) {
        let error = self.refusal(error);
        match self.lost {
            true => self.over(Err(error), turn),
            false => self.end(Err(error), turn),
        }
    }

    fn in_doubt(&mut self, what: String, turn: &mut Turn) {
        let server = self.server.clone();
        self.over(Err(AuthError::InDoubt { server, what }), turn);
    }

    /// It is certain which users there are: nothing is pending any more.
    fn end(&mut self, result: Result<NewUser, AuthError>, turn: &mut Turn) {
        turn.writes.remove(tables::NEW_USERS, self.key());
        self.over(result, turn);
    }

    fn over(&mut self, result: Result<NewUser, AuthError>, turn: &mut Turn) {
        self.phase = Phase::Over;
        turn.events.push(Event::Finished(result));
    }
}

impl Machine for CreateUser {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<NewUser>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        match input {
            Input::Start if self.phase == Phase::New => self.look_up(&mut turn),
            Input::Outcome(id, outcome)
                if id.0 == self.last_effect && self.phase != Phase::Over =>
            {
                self.on_outcome(cx, outcome, &mut turn);
            }
            _ => {}
        }
        turn
    }
}

impl Conversation for CreateUser {
    type Output = NewUser;
}
