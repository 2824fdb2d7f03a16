//! Application services: making and signing in the users of their own namespaces.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError, UserId,
    client::{
        login::Login as LoginRequest,
        registration::{Register, RegisterResponse},
        whoami::WhoAmI,
    },
};
use matricula_core::{
    EffectId, Job, Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp,
    scheduler::Outcome,
};
use serde_json::{Value, json};

use crate::{
    Account, AuthError, Conversation, Effect, Event, Input, Progress, ServerInfo, account,
};

/// What an application service registers and signs in with.
const TYPE: &str = "m.login.application_service";

/// Makes a user of an application service; ends in an [`Account`], with a session where the server
/// gives application services one.
///
/// Nothing is asked and nothing is stored until there is an account: the name is one, so that asking
/// again, here where an answer is lost or in another process, makes no second user. A service that
/// gets no session acts as the user with its own token and
/// [`masquerade_as`](matricula_api::masquerade_as).
///
/// Specification: <https://spec.matrix.org/v1.19/application-service-api/#server-admin-style-permissions>.
#[derive(Clone, Debug)]
pub struct AppserviceRegistration {
    server: ServerUrl,
    token: Secret,
    username: String,
    device_id: Option<String>,
    device_name: Option<String>,
    inhibit_login: bool,
    data: Value,
    phase: Phase,
    /// Whether a request was sent whose answer was lost, and why it was.
    lost: Option<String>,
    /// Whether the server said that it has no session for the user. Synapse has made the user by then.
    got_no_session: bool,
    last_effect: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Registering,
    /// The user is there.
    SigningIn,
    /// The user is there, and the service's own user id tells the name of the server.
    AskingWho,
    Over,
}

type Turn = Step<Effect, Event<Account>>;

impl AppserviceRegistration {
    /// Makes the user `username`, with the token that the service has for the server.
    pub fn new(facts: &ServerInfo, token: Secret, username: impl Into<String>) -> Self {
        let offers_login = facts.login_flows.iter().any(|flow| flow.kind == TYPE);
        Self {
            server: facts.server.clone(),
            token,
            username: username.into(),
            device_id: None,
            device_name: None,
            // A server whose tokens come from an OAuth 2.0 server has none for application services.
            inhibit_login: facts.oauth_issuer.is_some() && !offers_login,
            data: Value::Null,
            phase: Phase::New,
            lost: None,
            got_no_session: false,
            last_effect: 0,
        }
    }

    /// Signs in as this device; without it, one is made.
    #[must_use]
    pub fn with_device_id(mut self, device_id: impl Into<String>) -> Self {
        self.device_id = Some(device_id.into());
        self
    }

    /// Names the device for people.
    #[must_use]
    pub fn with_device_name(mut self, name: impl Into<String>) -> Self {
        self.device_name = Some(name.into());
        self
    }

    /// Makes the user without signing in as it.
    #[must_use]
    pub fn without_session(mut self) -> Self {
        self.inhibit_login = true;
        self
    }

    /// Keeps this with the account.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    fn register(&mut self, turn: &mut Turn) {
        self.phase = Phase::Registering;
        let mut request = Register::default()
            .login_type(TYPE)
            .username(self.username.clone());
        if self.inhibit_login {
            request.inhibit_login = Some(true);
        } else {
            request.device_id = self.device_id.clone();
            request.initial_device_display_name = self.device_name.clone();
        }
        self.send(request.job(&self.server), turn);
    }

    fn send(&mut self, job: Job, turn: &mut Turn) {
        self.last_effect += 1;
        let job = Box::new(job.with_token(self.token.clone()));
        turn.effects
            .push(Effect::Send(EffectId(self.last_effect), job));
    }

    fn on_outcome(&mut self, now: Timestamp, outcome: Outcome, turn: &mut Turn) {
        let server = self.server.clone();
        match (self.phase, outcome) {
            (Phase::Registering, Outcome::Responded(response)) => {
                self.on_registration(now, &response, turn);
            }
            (Phase::SigningIn, Outcome::Responded(response)) => {
                let data = self.data.clone();
                self.end(
                    read_login(&server, &self.username, now, &response, data),
                    turn,
                );
            }
            (Phase::AskingWho, Outcome::Responded(response)) => self.on_owner(&response, turn),
            (Phase::Registering, Outcome::InDoubt(error)) => {
                self.on_lost(error.to_string(), turn);
            }
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                let error = match self.lost.take() {
                    Some(what) => AuthError::MayBeDone { server, what },
                    None => AuthError::Unreachable { server, error },
                };
                self.end(Err(error), turn);
            }
            _ => self.end(Err(AuthError::Cancelled), turn),
        }
    }

    fn on_lost(&mut self, what: String, turn: &mut Turn) {
        if self.lost.is_some() {
            let server = self.server.clone();
            return self.end(Err(AuthError::MayBeDone { server, what }), turn);
        }
        let how = format!("{what}; asking again for the same name");
        turn.events.push(Event::Progress(Progress::Settling(how)));
        self.lost = Some(what);
        self.register(turn);
    }

    fn on_registration(&mut self, now: Timestamp, response: &Response, turn: &mut Turn) {
        let (server, username) = (self.server.clone(), self.username.clone());
        let error = match Register::read(response) {
            Ok(answer) => return self.end(Ok(self.account(now, answer)), turn),
            // A success that cannot be read: the user was made.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                return self.on_lost(message, turn);
            }
            Err(ApiError::Matrix(error)) => error,
            Err(ApiError::Uia(_)) => {
                let message = "it asks for what it asks strangers for".to_owned();
                return self.end(Err(AuthError::ServiceUnknown { server, message }), turn);
            }
            Err(error) => return self.end(Err(AuthError::from_api(&server, error)), turn),
        };
        let message = error.message.clone();
        match error.code {
            ErrorCode::AppserviceLoginUnsupported if !self.inhibit_login => {
                turn.events.push(Event::Progress(Progress::NoSession));
                self.inhibit_login = true;
                self.got_no_session = true;
                self.register(turn);
            }
            ErrorCode::UserInUse if self.lost.is_some() || self.got_no_session => {
                self.on_there(turn)
            }
            ErrorCode::UserInUse => self.end(Err(AuthError::NameTaken { server, username }), turn),
            ErrorCode::InvalidUsername => {
                let error = AuthError::NameInvalid {
                    server,
                    username,
                    message,
                };
                self.end(Err(error), turn);
            }
            _ => self.end(Err(refusal(&server, &username, error)), turn),
        }
    }

    /// Nobody but this service makes users in its namespace: an earlier request made it.
    fn on_there(&mut self, turn: &mut Turn) {
        if self.inhibit_login {
            self.phase = Phase::AskingWho;
            let job = WhoAmI::default().job(&self.server);
            return self.send(job, turn);
        }
        self.phase = Phase::SigningIn;
        let mut request = login_request(&self.username);
        request.device_id = self.device_id.clone();
        request.initial_device_display_name = self.device_name.clone();
        self.send(request.job(&self.server), turn);
    }

    fn on_owner(&mut self, response: &Response, turn: &mut Turn) {
        let server = self.server.clone();
        let result = match WhoAmI::read(response) {
            Ok(owner) => {
                let name = owner.user_id.server_name();
                match format!("@{}:{name}", self.username).parse() {
                    Ok(user_id) => Ok(self.without_tokens(user_id)),
                    Err(error) => Err(AuthError::NotMatrix {
                        server,
                        what: format!("{error}"),
                    }),
                }
            }
            Err(error) => Err(AuthError::from_api(&server, error)),
        };
        self.end(result, turn);
    }

    fn account(&self, now: Timestamp, answer: RegisterResponse) -> Account {
        Account {
            device_id: answer.device_id,
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            expires_at: account::expiry(now, answer.expires_in_ms),
            renew_at: account::renewal(now, answer.expires_in_ms),
            ..self.without_tokens(answer.user_id)
        }
    }

    fn without_tokens(&self, user_id: UserId) -> Account {
        Account::without_session(user_id, self.server.clone(), self.data.clone())
    }

    fn end(&mut self, result: Result<Account, AuthError>, turn: &mut Turn) {
        if let Ok(account) = &result {
            account.write_to(&mut turn.writes);
        }
        self.phase = Phase::Over;
        turn.events.push(Event::Finished(result));
    }
}

impl Machine for AppserviceRegistration {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        match input {
            Input::Start if self.phase == Phase::New => {
                if self.device_id.is_none() {
                    self.device_id = Some(account::make_device_id(cx.entropy));
                }
                self.register(&mut turn);
            }
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

impl Conversation for AppserviceRegistration {
    type Output = Account;
}

/// Signs in as a user of an application service; ends in an [`Account`] with a session.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#appservice-login>.
#[derive(Clone, Debug)]
pub struct AppserviceLogin {
    server: ServerUrl,
    token: Secret,
    user: String,
    device_id: Option<String>,
    device_name: Option<String>,
    data: Value,
}

impl AppserviceLogin {
    /// Signs in as `user`, a localpart or a whole user id, with the token that the service has for the
    /// server.
    pub fn new(facts: &ServerInfo, token: Secret, user: impl Into<String>) -> Self {
        Self {
            server: facts.server.clone(),
            token,
            user: user.into(),
            device_id: None,
            device_name: None,
            data: Value::Null,
        }
    }

    /// Signs in as this device, taking its place.
    #[must_use]
    pub fn with_device_id(mut self, device_id: impl Into<String>) -> Self {
        self.device_id = Some(device_id.into());
        self
    }

    /// Names the device for people.
    #[must_use]
    pub fn with_device_name(mut self, name: impl Into<String>) -> Self {
        self.device_name = Some(name.into());
        self
    }

    /// Keeps this with the account.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    fn finish(&self, now: Timestamp, outcome: Outcome) -> Result<Account, AuthError> {
        match outcome {
            Outcome::Responded(response) => {
                read_login(&self.server, &self.user, now, &response, self.data.clone())
            }
            // A second sign-in makes a second token, which hurts nobody: the caller decides.
            Outcome::Failed(error) | Outcome::InDoubt(error) => Err(AuthError::Unreachable {
                server: self.server.clone(),
                error,
            }),
            _ => Err(AuthError::Cancelled),
        }
    }
}

impl Machine for AppserviceLogin {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        match input {
            Input::Start => {
                let mut request = login_request(&self.user);
                request.device_id = self.device_id.clone();
                request.initial_device_display_name = self.device_name.clone();
                let job = request.job(&self.server).with_token(self.token.clone());
                turn.effects.push(Effect::Send(EffectId(1), Box::new(job)));
            }
            Input::Outcome(EffectId(1), outcome) => {
                let result = self.finish(cx.now, outcome);
                if let Ok(account) = &result {
                    account.write_to(&mut turn.writes);
                }
                turn.events.push(Event::Finished(result));
            }
            _ => {}
        }
        turn
    }
}

impl Conversation for AppserviceLogin {
    type Output = Account;
}

fn login_request(user: &str) -> LoginRequest {
    let mut login = LoginRequest::new(TYPE);
    login.identifier = serde_json::from_value(json!({"type": "m.id.user", "user": user})).ok();
    login
}

fn read_login(
    server: &ServerUrl,
    user: &str,
    now: Timestamp,
    response: &Response,
    data: Value,
) -> Result<Account, AuthError> {
    match LoginRequest::read(response) {
        Ok(answer) => Ok(Account::from_login(server, now, answer, data)),
        Err(ApiError::Matrix(error)) => Err(refusal(server, user, error)),
        Err(error) => Err(AuthError::from_api(server, error)),
    }
}

/// What a refusal means to an application service.
fn refusal(server: &ServerUrl, username: &str, error: MatrixError) -> AuthError {
    let (server, username) = (server.clone(), username.to_owned());
    match error.code {
        ErrorCode::Exclusive => AuthError::OutsideNamespace { server, username },
        ErrorCode::UnknownToken | ErrorCode::MissingToken => AuthError::ServiceUnknown {
            server,
            message: error.message,
        },
        ErrorCode::AppserviceLoginUnsupported => AuthError::NoServiceLogin { server },
        _ => AuthError::Refused { server, error },
    }
}
