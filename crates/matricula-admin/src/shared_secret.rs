//! Registration with the server's shared secret.

use hmac::{Hmac, KeyInit, Mac};
use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError,
    synapse::{GetNonce, RegisterBySecret},
};
use matricula_auth::{
    Account, AuthError, Conversation, Effect, Event, Input, RegisterError, ServerError, ServerInfo,
    conversation::ConversationState, password_login_request, read_login, split_username,
};
use matricula_core::{
    Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp, scheduler::Outcome,
};
use serde_json::Value;
use sha1::Sha1;

use crate::{AdminError, PendingUser, tables};

/// The maximum number of nonces to request: the first may have expired before it is used.
const MAX_NONCES: u32 = 2;

/// Registers an account with the server's [shared secret], even if registration is closed. Ends in an
/// [`Account`] with a session.
///
/// The password is stored in [`tables::PENDING_USERS`] before it is sent, and stays there until it is
/// certain whether the account exists. If a response is lost, a login finds out; a later try
/// [resumes](Self::resume) from the stored password. The same after a refusal: the server may have made the
/// account before it [refused](Self::refused) the rest. The secret itself is never sent: it signs the
/// requests.
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
    /// The password that is or was to be set, once it is stored.
    pending: Option<PendingUser>,
    phase: Phase,
    /// Set if the response to a request that may have created the account is lost: what happened.
    lost: Option<String>,
    /// Why the server refused to register, unless the refusal is about the name, the password or the secret.
    refused: Option<Box<AdminError>>,
    /// Whether the name was taken after such a refusal.
    is_taken: bool,
    /// Whether the server refused to log in with this username and password.
    is_not_ours: bool,
    nonces: u32,
    conversation: ConversationState<Account, AdminError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    GettingNonce,
    Registering,
    LoggingIn,
}

impl SharedSecretRegistration {
    /// Registers `username`. The password is generated and stored with the account, unless
    /// [given](Self::password).
    pub fn new(server: &ServerInfo, secret: Secret, username: impl Into<String>) -> Self {
        Self {
            server: server.server.clone(),
            secret,
            username: split_username(&username.into()).0.to_owned(),
            given: None,
            is_admin: false,
            display_name: None,
            data: Value::Null,
            pending: None,
            phase: Phase::New,
            lost: None,
            refused: None,
            is_taken: false,
            is_not_ours: false,
            nonces: 0,
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

    /// Data of the caller, stored with the account.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Continues after an earlier try that may have created the account.
    #[must_use]
    pub fn resume(mut self, pending: PendingUser) -> Self {
        self.pending = Some(pending);
        self
    }

    /// What the server refused, in a registration that ended in an account all the same.
    pub fn refused(&self) -> Option<&AdminError> {
        self.refused.as_deref()
    }

    /// The key of its [`PendingUser`] in [`tables::PENDING_USERS`].
    pub fn key(&self) -> String {
        PendingUser::key(&self.server, &self.username)
    }

    fn start(&mut self, cx: &mut StepContext<'_>) {
        if self.pending.is_some() {
            return self.settle("an earlier try was interrupted".to_owned());
        }
        let pending = match &self.given {
            Some(given) => PendingUser::given(given.clone()),
            None => PendingUser::generate(cx.entropy),
        };
        pending.write_to(self.key(), self.conversation.writes());
        self.pending = Some(pending);
        self.get_nonce();
    }

    fn get_nonce(&mut self) {
        self.phase = Phase::GettingNonce;
        self.nonces += 1;
        self.conversation.send(GetNonce.job(&self.server));
    }

    fn register(&mut self, nonce: &str) {
        self.phase = Phase::Registering;
        let password = self.pending_password();
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
        self.conversation.send(request.job(&self.server));
    }

    fn pending_password(&self) -> Secret {
        let pending = self.pending.as_ref();
        let pending = pending.expect("the password is stored before the first request");
        pending.password.clone()
    }

    /// Finds out by a login whether a request was processed.
    fn settle(&mut self, what: String) {
        self.conversation
            .settling(format!("{what}; trying to log in"));
        self.lost = Some(what);
        self.log_in();
    }

    fn log_in(&mut self) {
        self.phase = Phase::LoggingIn;
        let request = password_login_request(&self.username, &self.pending_password());
        self.conversation.send(request.job(&self.server));
    }

    fn on_outcome(&mut self, now: Timestamp, outcome: Outcome) {
        let server = self.server.clone();
        if let (Phase::Registering, Some(what)) = (self.phase, outcome.in_doubt()) {
            return match self.lost {
                None => self.settle(what),
                Some(_) => self.in_doubt(what),
            };
        }
        match (self.phase, outcome) {
            (Phase::GettingNonce, Outcome::Responded(response)) => self.on_nonce(&response),
            (Phase::Registering, Outcome::Responded(response)) => {
                self.on_registration(now, &response);
            }
            (Phase::LoggingIn, Outcome::Responded(response)) => self.on_login(now, &response),
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => match self.is_uncertain() {
                true => self.in_doubt(error.to_string()),
                false => self.end(Err(ServerError::Unreachable { server, error }.into())),
            },
            (_, _) if self.is_uncertain() || self.phase == Phase::Registering => {
                self.conversation.fail(ServerError::Cancelled);
            }
            _ => self.end(Err(ServerError::Cancelled.into())),
        }
    }

    fn on_nonce(&mut self, response: &Response) {
        let server = self.server.clone();
        match GetNonce::read(response) {
            Ok(response) => self.register(&response.nonce),
            Err(ApiError::Matrix(error)) if error.status < 500 => {
                let message = error.message;
                self.fail(AdminError::NoSharedSecret { server, message });
            }
            Err(error) => self.fail(ServerError::from_api(&server, error).into()),
        }
    }

    fn on_registration(&mut self, now: Timestamp, response: &Response) {
        let error = match RegisterBySecret::read(response) {
            Ok(response) => {
                self.refused = None;
                let (server, data) = (&self.server, self.data.clone());
                return self.finish(Account::from_registration(server, now, response, data));
            }
            // The status says success, but the body is malformed: the account was created.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                return match self.lost {
                    None => self.settle(message),
                    Some(_) => self.in_doubt(message),
                };
            }
            Err(ApiError::Matrix(error)) => error,
            Err(error) => return self.fail(ServerError::from_api(&self.server, error).into()),
        };
        match error.code {
            // A nonce expires after a minute; that has no error code of its own.
            ErrorCode::Unknown if error.status == 400 && self.nonces < MAX_NONCES => {
                self.refused = Some(Box::new(self.refusal(error)));
                self.get_nonce();
            }
            // Perhaps the effect of the request that was refused.
            ErrorCode::UserInUse if self.refused.is_some() && self.lost.is_none() => {
                self.is_taken = true;
                self.log_in();
            }
            ErrorCode::UserInUse if self.lost.is_some() && !self.is_not_ours => {
                self.in_doubt(error.to_string());
            }
            _ => match self.refusal(error) {
                // Several things were asked for. The server may have made the account, then refused another.
                refusal @ AdminError::Auth(AuthError::Server(ServerError::Refused { .. }))
                    if self.lost.is_none() =>
                {
                    self.refused = Some(Box::new(refusal));
                    self.log_in();
                }
                refusal => self.end(Err(refusal)),
            },
        }
    }

    fn refusal(&self, error: MatrixError) -> AdminError {
        let (server, username) = (self.server.clone(), self.username.clone());
        let message = error.message.clone();
        let refusal = match error.code {
            ErrorCode::UserInUse => RegisterError::NameTaken { server, username },
            ErrorCode::Exclusive => RegisterError::NameReserved { server, username },
            ErrorCode::InvalidUsername => RegisterError::NameInvalid {
                server,
                username,
                message,
            },
            code if code == ErrorCode::WeakPassword || code.as_str().starts_with("M_PASSWORD_") => {
                RegisterError::WeakPassword {
                    server,
                    code,
                    message,
                }
            }
            _ if error.status == 403 => return AdminError::SharedSecretWrong { server, message },
            _ => return ServerError::refused(server, error).into(),
        };
        refusal.into()
    }

    fn on_login(&mut self, now: Timestamp, response: &Response) {
        match read_login(response) {
            Ok(response) => {
                let (server, data) = (&self.server, self.data.clone());
                self.finish(Account::from_login(server, now, response, data));
            }
            Err(ApiError::RateLimited { .. }) => {
                self.in_doubt("the login to find out was rate limited".to_owned());
            }
            Err(error) if response.processed().is_some() => {
                self.in_doubt(format!("the login to find out failed: {error}"));
            }
            // The account does not exist or is someone else's; or the server has no password login.
            Err(error) => {
                self.is_not_ours = matches!(
                    &error,
                    ApiError::Matrix(refusal) if refusal.code == ErrorCode::Forbidden
                );
                if let Some(refused) = self.refused.take().filter(|_| self.lost.is_none()) {
                    return self.end_refused(*refused, error);
                }
                if let Some(given) = self.given.clone() {
                    let pending = PendingUser::given(given);
                    pending.write_to(self.key(), self.conversation.writes());
                    self.pending = Some(pending);
                }
                self.get_nonce();
            }
        }
    }

    /// Ends with the refusal, unless it stays unknown whether the account was made: `error` is the answer to
    /// the login.
    fn end_refused(&mut self, refused: AdminError, error: ApiError) {
        let (server, username) = (self.server.clone(), self.username.clone());
        match (self.is_taken, self.is_not_ours) {
            (true, true) => self.end(Err(RegisterError::NameTaken { server, username }.into())),
            (true, false) => self.in_doubt(format!("the login to find out failed: {error}")),
            (false, _) => self.end(Err(refused)),
        }
    }

    /// Whether an earlier request may have made the account.
    fn is_uncertain(&self) -> bool {
        self.lost.is_some() || self.refused.is_some()
    }

    fn finish(&mut self, mut account: Account) {
        if let Some(pending) = &self.pending {
            account.password = pending.unknown_password(self.given.as_ref());
        }
        self.end(Ok(account));
    }

    /// Fails; whether an earlier request was processed stays unknown.
    fn fail(&mut self, error: AdminError) {
        if self.is_uncertain() && !self.is_not_ours {
            self.in_doubt(error.to_string());
        } else {
            self.end(Err(error));
        }
    }

    fn in_doubt(&mut self, what: String) {
        let server = self.server.clone();
        self.conversation
            .fail(RegisterError::InDoubt { server, what });
    }

    /// Ends with certainty about the account: nothing is pending any more.
    fn end(&mut self, result: Result<Account, AdminError>) {
        if let Ok(account) = &result {
            account.write_to(self.conversation.writes());
        }
        let key = self.key();
        self.conversation
            .writes()
            .remove(tables::PENDING_USERS, key);
        self.conversation.finish(result);
    }
}

impl Machine for SharedSecretRegistration {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, AdminError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, AdminError>> {
        match self.conversation.accept(input) {
            Some(Input::Start) if self.phase == Phase::New => self.start(cx),
            Some(Input::Outcome(_, outcome)) => self.on_outcome(cx.now, outcome),
            _ => {}
        }
        self.conversation.take_step()
    }
}

impl Conversation for SharedSecretRegistration {
    type Output = Account;
    type Error = AdminError;
}

/// The HMAC-SHA1 that signs the request, in hexadecimal digits.
fn mac(secret: &Secret, nonce: &str, user: &str, password: &Secret, is_admin: bool) -> Secret {
    let rights = if is_admin { "admin" } else { "notadmin" };
    let parts = [nonce, user, password.expose(), rights];
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC accepts keys of any length");
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
