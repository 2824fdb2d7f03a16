//! Login with a password.

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::login::{Login as LoginRequest, LoginResponse},
};
use matricula_core::{
    Body, Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp, scheduler::Outcome,
};
use serde_json::{Value, json};

use crate::{
    Account, Conversation, DeviceOptions, Effect, Event, Input, LoginError, ServerError,
    ServerInfo, conversation::ConversationState, normal_user,
};

/// Signs in with a password; ends in an [`Account`] with a session.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login>.
#[derive(Clone, Debug)]
pub struct Login {
    server: ServerUrl,
    /// What the server offers instead, if it has no login with a password.
    alternatives: Option<Vec<String>>,
    /// Why the server could not say whether it delegates accounts.
    oauth_trouble: Option<String>,
    user: String,
    password: Secret,
    device: DeviceOptions,
    generated_password: Option<Secret>,
    conversation: ConversationState<Account, LoginError>,
}

impl Login {
    /// Signs in as `user`, a localpart or a whole user id.
    pub fn new(info: &ServerInfo, user: impl Into<String>, password: Secret) -> Self {
        Self {
            server: info.server.clone(),
            alternatives: info.offers_instead_of_password(),
            oauth_trouble: info.oauth_trouble.clone(),
            user: normal_user(&user.into()),
            password,
            device: DeviceOptions::default(),
            generated_password: None,
            conversation: ConversationState::default(),
        }
    }

    /// Replaces the password, also to try another one after a failure.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        self.password = password;
        self.conversation = ConversationState::default();
        self
    }

    /// Sets the device and the caller's data.
    #[must_use]
    pub fn device(mut self, device: DeviceOptions) -> Self {
        self.device = device;
        self
    }

    /// Stores this password with the account: it was generated, and the person does not know it.
    #[must_use]
    pub fn generated_password(mut self, password: Secret) -> Self {
        self.generated_password = Some(password);
        self
    }

    fn start(&mut self) {
        if let Some(offers) = self.alternatives.clone() {
            let server = self.server.clone();
            return self
                .conversation
                .fail(LoginError::NoPasswordLogin { server, offers });
        }
        let request = password_login_request(&self.user, &self.password);
        let job = self.device.apply(request).job(&self.server);
        self.conversation.send(job);
    }

    fn on_outcome(&self, now: Timestamp, outcome: Outcome) -> Result<Account, LoginError> {
        let server = self.server.clone();
        // After a lost response, logging in again is harmless: it makes a second token. The person decides.
        let response = ServerError::response(&server, outcome)?;
        match read_login(&response) {
            Ok(response) => {
                let data = self.device.data.clone();
                let mut account = Account::from_login(&server, now, response, data);
                account.password = self.generated_password.clone();
                Ok(account)
            }
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::Forbidden => {
                let message = error.message;
                Err(LoginError::WrongPassword { server, message })
            }
            // The same without a code.
            Err(ApiError::UnexpectedStatus { status: 401 | 403 })
                if !response.error_message().is_empty() =>
            {
                let message = response.error_message();
                Err(LoginError::WrongPassword { server, message })
            }
            // There is no such API, as on servers that delegate accounts.
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::Unrecognized => {
                let error = match &self.oauth_trouble {
                    Some(what) => ServerError::unknown_oauth_unavailable(&server, what),
                    None => ServerError::refused(server, error),
                };
                Err(error.into())
            }
            Err(error) => Err(ServerError::from_api(&server, error).into()),
        }
    }
}

impl Machine for Login {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, LoginError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, LoginError>> {
        match self.conversation.accept(input) {
            Some(Input::Start) => self.start(),
            Some(Input::Outcome(_, outcome)) => {
                let result = self.on_outcome(cx.now, outcome);
                self.conversation.finish_account(result);
            }
            _ => {}
        }
        self.conversation.take_step()
    }
}

impl Conversation for Login {
    type Output = Account;
    type Error = LoginError;
}

/// The request of a login with a password, by a localpart or a whole user id.
pub fn password_login_request(user: &str, password: &Secret) -> LoginRequest {
    let mut login = LoginRequest::new("m.login.password");
    login.identifier = serde_json::from_value(json!({"type": "m.id.user", "user": user})).ok();
    login.password = Some(password.clone());
    login
}

/// Reads the response to a login. Some servers leave the device out, against the specification: then its
/// id is empty, as it is where it cannot be read. The session exists, and works without it.
///
/// # Errors
/// The failure that the response reports.
pub fn read_login(response: &Response) -> Result<LoginResponse, ApiError> {
    let read = LoginRequest::read(response);
    let Err(ApiError::Malformed { .. }) = read else {
        return read;
    };
    let without_device = response
        .json_body()
        .filter(|body| !body["device_id"].is_string());
    let Some(Value::Object(mut body)) = without_device else {
        return read;
    };
    body.insert("device_id".to_owned(), Value::from(""));
    let body = Body::Json(Value::Object(body).to_string());
    LoginRequest::read(&Response::new(response.status_code(), Vec::new(), body))
}
