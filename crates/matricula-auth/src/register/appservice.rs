//! Registration of a user of an application service.

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::{registration::Register, whoami::WhoAmI},
};
use matricula_core::{
    Job, Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp, scheduler::Outcome,
};

use super::split_username;
use crate::{
    Account, AppserviceError, Conversation, DeviceOptions, Effect, Event, Input, Progress,
    ServerError, ServerInfo,
    conversation::ConversationState,
    login::{APPSERVICE_LOGIN, appservice_login, appservice_refusal, read_appservice_login},
};

/// Makes a user of an application service; ends in an [`Account`], with a session if the server gives
/// application services one.
///
/// It asks nothing, and stores nothing until there is an account. The username is fixed, so a repeated
/// request makes no second user, here after a lost response or in another process. A service without a
/// session acts as the user with its own token and
/// [`masquerade_as`](matricula_api::masquerade_as).
///
/// Specification: <https://spec.matrix.org/v1.19/application-service-api/#server-admin-style-permissions>.
#[derive(Clone, Debug)]
pub struct AppserviceRegistration {
    server: ServerUrl,
    token: Secret,
    username: String,
    device: DeviceOptions,
    inhibit_login: bool,
    phase: Phase,
    /// Why the response to an earlier request was lost, if it was.
    lost: Option<String>,
    /// Whether the server said that it gives the user no session. Synapse has made the user by then.
    was_refused_session: bool,
    conversation: ConversationState<Account, AppserviceError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Registering,
    /// The user exists.
    LoggingIn,
    /// The user exists, and the service's own user id contains the name of the server.
    AskingWho,
}

impl AppserviceRegistration {
    /// Makes the user `username`, with the service's `as_token`.
    pub fn new(info: &ServerInfo, token: Secret, username: impl Into<String>) -> Self {
        Self {
            server: info.server.clone(),
            token,
            username: split_username(&username.into()).0.to_owned(),
            device: DeviceOptions::default(),
            // A server with an OAuth 2.0 server has no tokens for application services.
            inhibit_login: info.oauth_issuer.is_some() && !info.offers(APPSERVICE_LOGIN),
            phase: Phase::New,
            lost: None,
            was_refused_session: false,
            conversation: ConversationState::default(),
        }
    }

    /// Sets the device and the caller's data.
    #[must_use]
    pub fn device(mut self, device: DeviceOptions) -> Self {
        self.device = device;
        self
    }

    /// Whether to make the user without signing in as it. The default depends on the server.
    #[must_use]
    pub fn inhibit_login(mut self, is_wanted: bool) -> Self {
        self.inhibit_login = is_wanted;
        self
    }

    fn register(&mut self) {
        self.phase = Phase::Registering;
        let mut request = Register::default()
            .login_type(APPSERVICE_LOGIN)
            .username(self.username.clone());
        if self.inhibit_login {
            request.inhibit_login = Some(true);
        } else {
            request.device_id = self.device.device_id.clone();
            request.initial_device_display_name = self.device.device_name.clone();
            request.refresh_token = self.device.refresh_token.then_some(true);
        }
        self.send(request.job(&self.server));
    }

    fn send(&mut self, job: Job) {
        self.conversation.send(job.with_token(self.token.clone()));
    }

    fn on_outcome(&mut self, now: Timestamp, outcome: Outcome) {
        let server = self.server.clone();
        if let (Phase::Registering, Some(what)) = (self.phase, outcome.in_doubt()) {
            return self.on_lost(what);
        }
        match (self.phase, outcome) {
            (Phase::Registering, Outcome::Responded(response)) => {
                self.on_registered(now, &response)
            }
            (Phase::LoggingIn, Outcome::Responded(response)) => {
                let data = self.device.data.clone();
                let result = read_appservice_login(&server, &self.username, now, &response, data);
                self.conversation.finish_account(result);
            }
            (Phase::AskingWho, Outcome::Responded(response)) => self.on_owner(&response),
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                self.conversation.fail(match self.lost.take() {
                    Some(what) => AppserviceError::MayBeDone { server, what },
                    None => ServerError::Unreachable { server, error }.into(),
                });
            }
            _ => self.conversation.fail(ServerError::Cancelled),
        }
    }

    fn on_lost(&mut self, what: String) {
        if self.lost.is_some() {
            let server = self.server.clone();
            return self
                .conversation
                .fail(AppserviceError::MayBeDone { server, what });
        }
        self.conversation
            .settling(format!("{what}; asking again for the same name"));
        self.lost = Some(what);
        self.register();
    }

    fn on_registered(&mut self, now: Timestamp, response: &Response) {
        let (server, username) = (self.server.clone(), self.username.clone());
        let error = match Register::read(response) {
            Ok(response) => {
                let data = self.device.data.clone();
                let account = Account::from_registration(&server, now, response, data);
                return self.conversation.finish_account(Ok(account));
            }
            // A success that cannot be read: the user was made.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                return self.on_lost(message);
            }
            Err(ApiError::Matrix(error)) => error,
            Err(ApiError::Uia(_)) => {
                let message = "it asks for authentication, as it does of the public".to_owned();
                return self
                    .conversation
                    .fail(AppserviceError::ServiceUnknown { server, message });
            }
            Err(error) => {
                return self
                    .conversation
                    .fail(ServerError::from_api(&server, error));
            }
        };
        match error.code {
            ErrorCode::AppserviceLoginUnsupported if !self.inhibit_login => {
                self.conversation.progress(Progress::NoSession);
                self.inhibit_login = true;
                self.was_refused_session = true;
                self.register();
            }
            ErrorCode::UserInUse if self.lost.is_some() || self.was_refused_session => {
                self.on_exists();
            }
            ErrorCode::UserInUse => self
                .conversation
                .fail(AppserviceError::NameTaken { server, username }),
            ErrorCode::InvalidUsername => self.conversation.fail(AppserviceError::NameInvalid {
                server,
                username,
                message: error.message,
            }),
            _ => self
                .conversation
                .fail(appservice_refusal(&server, &username, error)),
        }
    }

    /// Only this service makes users in its namespace, so an earlier request made this one.
    fn on_exists(&mut self) {
        if self.inhibit_login {
            self.phase = Phase::AskingWho;
            return self.send(WhoAmI::default().job(&self.server));
        }
        self.phase = Phase::LoggingIn;
        self.send(appservice_login(&self.username, &self.device).job(&self.server));
    }

    fn on_owner(&mut self, response: &Response) {
        let server = self.server.clone();
        let owner = WhoAmI::read(response);
        let result = owner.map_err(|error| ServerError::from_api(&server, error));
        let account: Result<Account, ServerError> = result.and_then(|owner| {
            let name = owner.user_id.server_name();
            match format!("@{}:{name}", self.username).parse() {
                Ok(user_id) => {
                    let data = self.device.data.clone();
                    Ok(Account::without_session(user_id, server, data))
                }
                Err(error) => Err(ServerError::not_matrix(&server, error)),
            }
        });
        self.conversation
            .finish_account(account.map_err(AppserviceError::from));
    }
}

impl Machine for AppserviceRegistration {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, AppserviceError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, AppserviceError>> {
        match self.conversation.accept(input) {
            Some(Input::Start) if self.phase == Phase::New => {
                self.device.generate_id(cx.entropy);
                self.register();
            }
            Some(Input::Outcome(_, outcome)) => self.on_outcome(cx.now, outcome),
            _ => {}
        }
        self.conversation.take_step()
    }
}

impl Conversation for AppserviceRegistration {
    type Output = Account;
    type Error = AppserviceError;
}
