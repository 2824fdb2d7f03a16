//! Login as a user of an application service.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError, client::login::Login as LoginRequest,
};
use matricula_core::{
    Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp, scheduler::Outcome,
};
use serde_json::{Value, json};

use super::read_login;
use crate::{
    Account, AppserviceError, Conversation, DeviceOptions, Effect, Event, Input, ServerError,
    ServerInfo, conversation::ConversationState,
};

/// The type with which an application service registers and logs in.
pub(crate) const APPSERVICE_LOGIN: &str = "m.login.application_service";

/// Signs in as a user of an application service; ends in an [`Account`] with a session.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#appservice-login>.
#[derive(Clone, Debug)]
pub struct AppserviceLogin {
    server: ServerUrl,
    token: Secret,
    user: String,
    /// Whether the server lists this kind of login.
    is_offered: bool,
    device: DeviceOptions,
    conversation: ConversationState<Account, AppserviceError>,
}

impl AppserviceLogin {
    /// Signs in as `user`, a localpart or a whole user id, with the service's `as_token`.
    pub fn new(info: &ServerInfo, token: Secret, user: impl Into<String>) -> Self {
        Self {
            server: info.server.clone(),
            token,
            user: user.into(),
            is_offered: info.offers(APPSERVICE_LOGIN),
            device: DeviceOptions::default(),
            conversation: ConversationState::default(),
        }
    }

    /// Sets the device and the caller's data.
    #[must_use]
    pub fn device(mut self, device: DeviceOptions) -> Self {
        self.device = device;
        self
    }

    fn on_outcome(&self, now: Timestamp, outcome: Outcome) -> Result<Account, AppserviceError> {
        let server = self.server.clone();
        // After a lost response, logging in again is harmless: it makes a second token. The caller decides.
        let response = ServerError::response(&server, outcome)?;
        if !self.is_offered && is_unsupported(&response) {
            return Err(AppserviceError::NoServiceLogin { server });
        }
        let data = self.device.data.clone();
        read_appservice_login(&server, &self.user, now, &response, data)
    }
}

impl Machine for AppserviceLogin {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, AppserviceError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, AppserviceError>> {
        match self.conversation.accept(input) {
            Some(Input::Start) => {
                let job = appservice_login(&self.user, &self.device).job(&self.server);
                self.conversation.send(job.with_token(self.token.clone()));
            }
            Some(Input::Outcome(_, outcome)) => {
                let result = self.on_outcome(cx.now, outcome);
                self.conversation.finish_account(result);
            }
            _ => {}
        }
        self.conversation.take_step()
    }
}

impl Conversation for AppserviceLogin {
    type Output = Account;
    type Error = AppserviceError;
}

/// The request of a login as a user of an application service.
pub(crate) fn appservice_login(user: &str, device: &DeviceOptions) -> LoginRequest {
    let mut login = LoginRequest::new(APPSERVICE_LOGIN);
    login.identifier = serde_json::from_value(json!({"type": "m.id.user", "user": user})).ok();
    device.apply(login)
}

/// Reads its response.
pub(crate) fn read_appservice_login(
    server: &ServerUrl,
    user: &str,
    now: Timestamp,
    response: &Response,
    data: Value,
) -> Result<Account, AppserviceError> {
    match read_login(response) {
        Ok(response) => Ok(Account::from_login(server, now, response, data)),
        // There is no such login, as on servers that delegate accounts.
        Err(ApiError::Matrix(error)) if error.code == ErrorCode::Unrecognized => {
            let server = server.clone();
            Err(AppserviceError::NoServiceLogin { server })
        }
        Err(ApiError::Matrix(error)) => Err(appservice_refusal(server, user, error)),
        Err(error) => Err(ServerError::from_api(server, error).into()),
    }
}

/// Whether a refusal is about the kind of the login, and not about the service or the user.
fn is_unsupported(response: &Response) -> bool {
    match LoginRequest::read(response) {
        Err(ApiError::Matrix(error)) => {
            error.status == 400
                && matches!(
                    error.code,
                    ErrorCode::Unknown | ErrorCode::InvalidParam | ErrorCode::BadJson
                )
        }
        Err(ApiError::UnexpectedStatus { status }) => matches!(status, 404 | 405 | 501),
        _ => false,
    }
}

/// What a refusal means to an application service.
pub(crate) fn appservice_refusal(
    server: &ServerUrl,
    username: &str,
    error: MatrixError,
) -> AppserviceError {
    let (server, username) = (server.clone(), username.to_owned());
    match error.code {
        ErrorCode::Exclusive => AppserviceError::OutsideNamespace { server, username },
        ErrorCode::UnknownToken | ErrorCode::MissingToken => AppserviceError::ServiceUnknown {
            server,
            message: error.message,
        },
        ErrorCode::AppserviceLoginUnsupported => AppserviceError::NoServiceLogin { server },
        _ => ServerError::refused(server, error).into(),
    }
}
