//! Signing in to an account with its password.

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::login::{Login as LoginRequest, LoginResponse},
};
use matricula_core::{
    Body, EffectId, Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp,
    scheduler::Outcome,
};
use serde_json::{Value, json};

use crate::{Account, AuthError, Conversation, Effect, Event, Input, ServerInfo};

/// Signs in with a password; ends in an [`Account`] with a session.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login>.
#[derive(Clone, Debug)]
pub struct Login {
    server: ServerUrl,
    /// What the server offers instead, where it has no sign-in by password.
    no_password: Option<Vec<String>>,
    user: String,
    password: Secret,
    device_id: Option<String>,
    device_name: Option<String>,
    refresh_token: bool,
    made_password: Option<Secret>,
    data: Value,
}

impl Login {
    /// Signs in as `user`, a localpart or a whole user id.
    pub fn new(facts: &ServerInfo, user: impl Into<String>, password: Secret) -> Self {
        Self {
            server: facts.server.clone(),
            no_password: facts.offers_instead_of_password(),
            user: user.into(),
            password,
            device_id: None,
            device_name: None,
            refresh_token: false,
            made_password: None,
            data: Value::Null,
        }
    }

    /// The same with another password.
    #[must_use]
    pub fn with_password(mut self, password: Secret) -> Self {
        self.password = password;
        self
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

    /// Asks for a token that expires, with another that renews it.
    #[must_use]
    pub fn with_refresh_token(mut self) -> Self {
        self.refresh_token = true;
        self
    }

    /// Goes on keeping this password with the account, for nobody else knows it.
    #[must_use]
    pub fn with_generated_password(mut self, password: Secret) -> Self {
        self.made_password = Some(password);
        self
    }

    /// Keeps this with the account.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    fn request(&self) -> LoginRequest {
        let mut request = password_login_request(&self.user, &self.password);
        request.device_id = self.device_id.clone();
        request.initial_device_display_name = self.device_name.clone();
        request.refresh_token = self.refresh_token.then_some(true);
        request
    }

    fn finish(&self, now: Timestamp, outcome: Outcome) -> Result<Account, AuthError> {
        let server = self.server.clone();
        let response = match outcome {
            Outcome::Responded(response) => response,
            // A second sign-in makes a second token, which hurts nobody: the person decides.
            Outcome::Failed(error) | Outcome::InDoubt(error) => {
                return Err(AuthError::Unreachable { server, error });
            }
            _ => return Err(AuthError::Cancelled),
        };
        match read(&response) {
            Ok(answer) => {
                let mut account = Account::from_login(&self.server, now, answer, self.data.clone());
                account.password = self.made_password.clone();
                Ok(account)
            }
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::Forbidden => {
                Err(AuthError::WrongPassword {
                    server,
                    message: error.message,
                })
            }
            // The same in words alone.
            Err(ApiError::UnexpectedStatus { status: 401 | 403 })
                if !response.error_message().is_empty() =>
            {
                let message = response.error_message();
                Err(AuthError::WrongPassword { server, message })
            }
            Err(error) => Err(AuthError::from_api(&server, error)),
        }
    }
}

/// Reads the answer to a sign-in. A server may leave the device out, which the specification does not
/// foresee: then it has no name.
pub(crate) fn read(response: &Response) -> Result<LoginResponse, ApiError> {
    let answer = LoginRequest::read(response);
    let Err(ApiError::Malformed { .. }) = answer else {
        return answer;
    };
    let nameless = response
        .json_body()
        .filter(|body| body["device_id"].is_null());
    let Some(Value::Object(mut body)) = nameless else {
        return answer;
    };
    body.insert("device_id".to_owned(), Value::from(""));
    let body = Body::Json(Value::Object(body).to_string());
    LoginRequest::read(&Response::new(response.status_code(), Vec::new(), body))
}

/// The request of a sign-in with a password, by a localpart or a whole user id.
pub fn password_login_request(user: &str, password: &Secret) -> LoginRequest {
    let mut login = LoginRequest::new("m.login.password");
    login.identifier = serde_json::from_value(json!({"type": "m.id.user", "user": user})).ok();
    login.password = Some(password.clone());
    login
}

impl Machine for Login {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Step<Effect, Event<Account>> {
        let mut step = Step::default();
        let result = match input {
            Input::Start => match self.no_password.clone() {
                Some(offers) => Err(AuthError::NoPasswordLogin {
                    server: self.server.clone(),
                    offers,
                }),
                None => {
                    let job = Box::new(self.request().job(&self.server));
                    step.effects.push(Effect::Send(EffectId(1), job));
                    return step;
                }
            },
            Input::Outcome(EffectId(1), outcome) => self.finish(cx.now, outcome),
            _ => return step,
        };
        if let Ok(account) = &result {
            account.write_to(&mut step.writes);
        }
        step.events.push(Event::Finished(result));
        step
    }
}

impl Conversation for Login {
    type Output = Account;
}
