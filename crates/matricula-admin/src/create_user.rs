//! Creates a user with the admin API.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError, UserId,
    synapse::{FindUserByAddress, GetUser, PutUser, User, UserAddress, UserChange},
};
use matricula_auth::{
    Account, Conversation, Effect, Event, Input, RegisterError, ServerError, SessionError,
    ThreepidError, conversation::ConversationState, password_login_request, read_login,
};
use matricula_core::{
    Auth, Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp, scheduler::Outcome,
};
use serde_json::Value;

use crate::{AdminError, PendingUser, tables};

/// The result of [`CreateUser`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CreateUserResult {
    /// The user was created.
    Created(Box<Account>),
    /// The user was created, and the server refused the rest: the display name, the address or the rights,
    /// for this reason.
    Incomplete(Box<Account>, Box<AdminError>),
    /// The user exists already, and was not changed.
    Exists(Box<User>),
}

/// Creates a user with an administrator's session. Ends in the new account, without a session, or in
/// what the server knows about an existing user.
///
/// It looks for the user first, because the request that creates a user would change an existing one.
/// The password is stored in [`tables::PENDING_USERS`] before it is sent, and stays there until it is
/// certain whether the user was created. If a response is lost, a login as the user finds out; then
/// the account has a session. The same after a refusal, if the user exists then: the server may create the
/// user before it refuses something else in the request.
///
/// Not in the specification; see
/// [Synapse](https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html).
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
    /// The password that is or was to be set, once it is stored.
    pending: Option<PendingUser>,
    phase: Phase,
    /// Whether the response to a request that may have created the user is lost, here or earlier.
    is_lost: bool,
    /// Why the server refused the request to create the user, until it is known whether it did so.
    refused: Option<Box<AdminError>>,
    /// Whether the server has refused the name as taken after it did not know the user.
    is_taken: bool,
    conversation: ConversationState<CreateUserResult, AdminError>,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    New,
    LookingUp,
    /// Does another user have this address? Creating this one would take it from them.
    LookingUpAddress(String),
    Creating,
    /// The user exists: is it the one whose response was lost?
    LoggingIn(Box<User>),
}

impl CreateUser {
    /// Creates this user, with the session of an administrator of its server. The password is
    /// generated and stored with the account, unless [given](Self::password).
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
            is_lost: false,
            refused: None,
            is_taken: false,
            conversation: ConversationState::default(),
        }
    }

    /// The password, which the person knows.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        self.given = Some(password);
        self
    }

    /// Whether the user becomes an administrator of the server.
    #[must_use]
    pub fn admin(mut self, is_admin: bool) -> Self {
        self.is_admin = is_admin;
        self
    }

    /// The display name.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = Some(name.into());
        self
    }

    /// The user's email address. It is not validated.
    #[must_use]
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.email = Some(address.into());
        self
    }

    /// Continues after an earlier try that may have created the user.
    #[must_use]
    pub fn resume(mut self, pending: PendingUser) -> Self {
        self.pending = Some(pending);
        self.is_lost = true;
        self
    }

    /// The key of its [`PendingUser`] in [`tables::PENDING_USERS`].
    pub fn key(&self) -> String {
        PendingUser::key(&self.server, self.user_id.as_str())
    }

    fn look_up(&mut self) {
        self.phase = Phase::LookingUp;
        let request = GetUser {
            user_id: self.user_id.clone(),
        };
        let job = request.job(&self.server).with_auth(self.auth.clone());
        self.conversation.send(job);
    }

    fn create(&mut self, cx: &mut StepContext<'_>) {
        let pending = match (&self.given, self.pending.take()) {
            (Some(given), _) => PendingUser::given(given.clone()),
            (None, Some(pending)) => pending,
            (None, None) => PendingUser::generate(cx.entropy),
        };
        pending.write_to(self.key(), self.conversation.writes());
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
        self.conversation.send(job);
    }

    fn on_outcome(&mut self, cx: &mut StepContext<'_>, outcome: Outcome) {
        let server = self.server.clone();
        if let (Phase::Creating, Some(what)) = (&self.phase, outcome.in_doubt()) {
            return self.settle(what);
        }
        match (self.phase.clone(), outcome) {
            (Phase::LookingUp, Outcome::Responded(response)) => self.on_user(cx, &response),
            (Phase::LookingUpAddress(address), Outcome::Responded(response)) => {
                self.on_address(cx, address, &response);
            }
            (Phase::Creating, Outcome::Responded(response)) => self.on_created(&response),
            (Phase::LoggingIn(user), Outcome::Responded(response)) => {
                self.on_login(cx.now, *user, &response);
            }
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) if self.is_uncertain() => {
                self.in_doubt(error.to_string());
            }
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                self.end(Err(ServerError::Unreachable { server, error }.into()));
            }
            _ => self.conversation.fail(ServerError::Cancelled),
        }
    }

    fn on_user(&mut self, cx: &mut StepContext<'_>, response: &Response) {
        match GetUser::read(response) {
            Ok(user) => match (self.is_uncertain(), &self.pending) {
                (true, Some(pending)) => {
                    let request = password_login_request(self.user_id.as_str(), &pending.password);
                    self.phase = Phase::LoggingIn(Box::new(user));
                    self.conversation.send(request.job(&self.server));
                }
                _ => self.end(Ok(CreateUserResult::Exists(Box::new(user)))),
            },
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::NotFound && self.is_taken => {
                self.in_doubt("the name is taken, and the server does not know the user".into());
            }
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::NotFound => {
                // Earlier requests were not processed.
                match (self.refused.take(), self.email.clone()) {
                    (Some(refused), _) => self.end(Err(*refused)),
                    (None, Some(email)) => self.look_up_address(email),
                    (None, None) => self.create(cx),
                }
            }
            Err(error) => match self.refused.take() {
                // The server lets the session do neither.
                Some(refused) if is_about_the_session(&error) => self.end(Err(*refused)),
                Some(refused) => {
                    self.in_doubt(format!("{refused}; asked for the user, it says: {error}"));
                }
                None => self.fail(error),
            },
        }
    }

    /// Whether an earlier request may have created the user.
    fn is_uncertain(&self) -> bool {
        self.is_lost || self.refused.is_some()
    }

    fn look_up_address(&mut self, address: String) {
        let request = FindUserByAddress {
            medium: "email".to_owned(),
            address: address.to_lowercase(),
        };
        self.phase = Phase::LookingUpAddress(address);
        let job = request.job(&self.server).with_auth(self.auth.clone());
        self.conversation.send(job);
    }

    fn on_address(&mut self, cx: &mut StepContext<'_>, address: String, response: &Response) {
        match FindUserByAddress::read(response) {
            Ok(found) => {
                let error = ThreepidError::AddressRefused {
                    server: self.server.clone(),
                    address,
                    code: ErrorCode::ThreepidInUse,
                    message: format!("{} has it", found.user_id),
                };
                self.end(Err(error.into()));
            }
            // No user has it; or the server has no such request, and then it does not move addresses.
            Err(ApiError::Matrix(error))
                if [ErrorCode::NotFound, ErrorCode::Unrecognized].contains(&error.code) =>
            {
                self.create(cx);
            }
            Err(error) => self.fail(error),
        }
    }

    fn on_created(&mut self, response: &Response) {
        match PutUser::read(response) {
            // The server decides which user it created.
            Ok(user) => self.finish_without_session(user.name),
            // The status says success, but the body is malformed: the user was created.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                self.settle(message);
            }
            // The user was created since it was looked up: perhaps by an earlier request of this
            // program, which the server was still processing.
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::UserInUse => {
                self.is_taken = true;
                self.is_lost = true;
                self.look_up();
            }
            // Several things were asked for. The server may have created the user, then refused another.
            Err(error) if is_refusal(&error, response) => {
                let refused = self.refusal(error);
                self.refused = Some(Box::new(refused));
                self.look_up();
            }
            Err(error) => {
                let error = self.refusal(error);
                self.end(Err(error));
            }
        }
    }

    fn settle(&mut self, what: String) {
        if self.is_lost {
            return self.in_doubt(what);
        }
        self.conversation
            .settling(format!("{what}; looking for the user"));
        self.is_lost = true;
        self.look_up();
    }

    fn on_login(&mut self, now: Timestamp, user: User, response: &Response) {
        match read_login(response) {
            Ok(response) => {
                let (server, data) = (&self.server, self.data.clone());
                self.finish(Account::from_login(server, now, response, data));
            }
            // Another password: the user was created by someone else.
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::Forbidden => {
                self.end(Ok(CreateUserResult::Exists(Box::new(user))));
            }
            // No login can tell. The user was not there before the request that was refused.
            Err(error) if has_no_login(&error) && self.refused.is_some() && !self.is_lost => {
                self.finish_without_session(self.user_id.clone());
            }
            Err(error) => self.in_doubt(format!("the login to find out failed: {error}")),
        }
    }

    fn refusal(&self, error: ApiError) -> AdminError {
        let server = self.server.clone();
        match error {
            ApiError::Matrix(error) if !error.is_failure() => match error.code {
                // The look-up succeeded, which only administrators may do.
                ErrorCode::Forbidden if self.phase == Phase::Creating => {
                    let message = error.message;
                    AdminError::NoUserCreation { server, message }
                }
                ErrorCode::Forbidden => AdminError::NotAnAdministrator {
                    server,
                    user_id: self.administrator.clone(),
                    message: error.message,
                },
                ErrorCode::UnknownToken => {
                    let (by, what) = (server.to_string(), error.message);
                    SessionError::SignedOut { by, what }.into()
                }
                ErrorCode::Unrecognized => {
                    let message = error.message;
                    AdminError::NoAdministration { server, message }
                }
                ErrorCode::InvalidUsername => self.invalid(error),
                _ => ServerError::refused(server, error).into(),
            },
            error => ServerError::from_api(&self.server, error).into(),
        }
    }

    fn invalid(&self, error: MatrixError) -> AdminError {
        RegisterError::NameInvalid {
            server: self.server.clone(),
            username: self.user_id.localpart().to_owned(),
            message: error.message,
        }
        .into()
    }

    fn finish_without_session(&mut self, user_id: UserId) {
        let account = Account::without_session(user_id, self.server.clone(), self.data.clone());
        self.finish(account);
    }

    fn finish(&mut self, mut account: Account) {
        if let Some(pending) = &self.pending {
            account.password = pending.unknown_password(self.given.as_ref());
        }
        account.write_to(self.conversation.writes());
        let account = Box::new(account);
        let result = match self.refused.take() {
            Some(refused) => CreateUserResult::Incomplete(account, refused),
            None => CreateUserResult::Created(account),
        };
        self.end(Ok(result));
    }

    /// Fails; whether an earlier request was processed stays unknown.
    fn fail(&mut self, error: ApiError) {
        let error = self.refusal(error);
        if self.is_lost {
            self.conversation.fail(error);
        } else {
            self.end(Err(error));
        }
    }

    fn in_doubt(&mut self, what: String) {
        let server = self.server.clone();
        self.conversation
            .fail(RegisterError::InDoubt { server, what });
    }

    /// Ends with certainty about the user: nothing is pending any more.
    fn end(&mut self, result: Result<CreateUserResult, AdminError>) {
        let key = self.key();
        self.conversation
            .writes()
            .remove(tables::PENDING_USERS, key);
        self.conversation.finish(result);
    }
}

/// Whether the server refused the request itself.
fn is_refusal(error: &ApiError, response: &Response) -> bool {
    (400..500).contains(&response.status_code()) && !matches!(error, ApiError::RateLimited { .. })
}

/// Whether a refusal is about the administrator's session, or the API as a whole.
fn is_about_the_session(error: &ApiError) -> bool {
    let codes = [
        ErrorCode::Forbidden,
        ErrorCode::UnknownToken,
        ErrorCode::Unrecognized,
    ];
    matches!(error, ApiError::Matrix(error) if codes.contains(&error.code))
}

/// Whether the server has no login with a password.
fn has_no_login(error: &ApiError) -> bool {
    match error {
        ApiError::Matrix(error) => error.code == ErrorCode::Unrecognized,
        ApiError::UnexpectedStatus { status } => matches!(status, 404 | 405 | 501),
        _ => false,
    }
}

impl Machine for CreateUser {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<CreateUserResult, AdminError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<CreateUserResult, AdminError>> {
        match self.conversation.accept(input) {
            Some(Input::Start) if self.phase == Phase::New => self.look_up(),
            Some(Input::Outcome(_, outcome)) => self.on_outcome(cx, outcome),
            _ => {}
        }
        self.conversation.take_step()
    }
}

impl Conversation for CreateUser {
    type Output = CreateUserResult;
    type Error = AdminError;
}
