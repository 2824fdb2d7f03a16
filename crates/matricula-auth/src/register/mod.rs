//! Registration of an account. The whole of it, from top to bottom:
//!
//! 1. [`SignUp`] chooses the method that the server wants: Matrix's own registration, OAuth 2.0 or
//!    single sign-on (`sign_up.rs`).
//! 2. [`Registration`] asks whether the username is free, then sends the request. The server answers
//!    with the stages that it wants.
//! 3. Its [`UiaFlow`] chooses among them, asks the person, and says with what the request is sent again.
//!    Email addresses and phone numbers are validated on the way (`threepid.rs`).
//! 4. The response is an account, a request for more authentication, or a refusal (`response.rs`). A
//!    refused username or password is asked for again (`prompts.rs`).
//!
//! Every step stores its state, so a registration continues after a crash at any point. If the response
//! to a request is lost, the request is sent again in the same session, or a login with the stored
//! password shows whether the account was made.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#account-registration>.

mod appservice;
mod options;
mod prompts;
mod response;
mod sign_up;
mod threepid;

use matricula_api::{
    Endpoint,
    client::registration::{CheckUsernameAvailability, Register, RegisterKind},
    fallback,
    uia::{AuthData, Flow, Stage},
};
use matricula_core::{
    Job, Machine, Secret, ServerUrl, Step, StepContext, TransportError, scheduler::Outcome,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use appservice::AppserviceRegistration;
pub use options::{
    AccountKind, Guest, Phone, PhoneError, RegistrationOptions, normal_user, split_username,
};
use prompts::{Refusal, RegistrationQuestion};
pub use sign_up::{AuthMethod, PendingAuth, SignUp};
use threepid::{ThreepidNext, Threepids};

use crate::{
    Account, Conversation, Effect, Event, Input, PasswordPolicy, RegisterError, ServerError,
    ServerInfo, UiaError,
    account::tables,
    conversation::{ConversationState, MAX_REQUESTS, persist},
    random,
    uia::{KnownAnswers, Resumability, UiaFlow, UiaNext},
};

/// Makes an account, or turns a [guest](RegistrationOptions::upgrade) into a user; ends in an
/// [`Account`], with a session unless the options say otherwise.
///
/// It does not assume that the user id has the wished username: the server decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    id: String,
    server: ServerUrl,
    oauth_issuer: Option<String>,
    oauth_only: bool,
    prefers_sso: bool,
    password_policy: Option<PasswordPolicy>,
    only_flow: Option<Flow>,
    checks_name: bool,
    options: RegistrationOptions,
    /// The server that was written with the username, if this is certainly another.
    #[serde(default)]
    other_server: Option<String>,
    /// Whether the password was generated here, and belongs to the account.
    password_is_generated: bool,
    /// Whether a login has shown that there was no such account, after a response was lost.
    #[serde(default)]
    is_absent: bool,
    threepids: Threepids,
    flow: UiaFlow,
    phase: Phase,
    /// Whether it began in an earlier run.
    #[serde(skip)]
    was_resumed: bool,
    conversation: ConversationState<Account, RegisterError>,
}

/// What it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    New,
    /// It ended for now.
    Paused {
        /// Whether the person completes a stage in a browser meanwhile.
        polls_first: bool,
    },
    CheckingName,
    Registering {
        /// The stage that the request is to complete.
        stage: Option<Stage>,
        /// Whether the same request was sent before and its response lost.
        is_replay: bool,
    },
    Asking(RegistrationQuestion),
    /// The flow asks the person, or waits.
    Authenticating,
    /// A message with a link or a code was asked for.
    RequestingMessage(Stage),
    SubmittingCode(Stage),
    /// Finding out by a login whether the account was made.
    LoggingIn {
        /// The stage of the request whose response was lost.
        stage: Option<Stage>,
        /// Whether the server says that the username is taken.
        is_taken: bool,
    },
}

impl Registration {
    /// Registers on this server.
    pub fn new(info: &ServerInfo, mut options: RegistrationOptions) -> Self {
        let mut flow = UiaFlow::new(info.server.clone(), None);
        flow.owner_validates = vec![Stage::EmailIdentity, Stage::Msisdn];
        flow.token = options.token.take();
        flow.accepts_terms = options.accept_terms;
        let mut threepids = Threepids::default();
        threepids.take_from(&mut options);
        let named = options.take_server_name();
        Self {
            id: String::new(),
            server: info.server.clone(),
            oauth_issuer: info.oauth_issuer.clone(),
            // A server with Matrix's own login beside OAuth 2.0 may have both kinds of registration.
            oauth_only: info.oauth_issuer.is_some() && info.login_flows.is_empty(),
            prefers_sso: info.prefers_sso(),
            password_policy: info.password_policy.clone(),
            only_flow: None,
            checks_name: true,
            options,
            other_server: named.filter(|name| !info.may_be_named(name)),
            password_is_generated: false,
            is_absent: false,
            threepids,
            flow,
            phase: Phase::New,
            was_resumed: false,
            conversation: ConversationState::default(),
        }
    }

    /// Whether to ask first whether the username is free, which is the default. The registration itself
    /// says so too, and some servers handle one such question at a time.
    #[must_use]
    pub fn name_check(mut self, is_wanted: bool) -> Self {
        self.checks_name = is_wanted;
        self
    }

    /// Takes this authentication flow and no other. If the server does not offer it, the registration
    /// ends with [`RegisterError::Closed`].
    #[must_use]
    pub fn only_flow(mut self, flow: Flow) -> Self {
        self.only_flow = Some(flow);
        self
    }

    /// Reads back a stored registration; continue it with [`Input::Start`].
    ///
    /// # Errors
    /// If the text was not written by [`Registration`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Its key in [`tables::REGISTRATIONS`]; empty before the first step.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The homeserver.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// The wished username; empty if the server is to pick one.
    pub fn username(&self) -> &str {
        self.options.username.as_deref().unwrap_or_default()
    }

    /// The kind of account that it makes.
    pub fn kind(&self) -> AccountKind {
        self.options.kind
    }

    /// The server's id for the authentication, if it has begun.
    pub fn uia_session(&self) -> Option<&str> {
        self.flow.session.id.as_deref()
    }

    /// The server's [page](https://spec.matrix.org/v1.19/client-server-api/#fallback) on which a
    /// person can complete a stage in a browser.
    pub fn fallback_page(&self, stage: &Stage) -> String {
        fallback::auth_page(&self.server, stage, self.uia_session())
    }

    /// The caller's data.
    pub fn data(&self) -> &Value {
        &self.options.device.data
    }

    /// Adds or changes what the person has answered, before the registration continues. An address that
    /// is given again gets another message.
    #[must_use]
    pub fn answers(mut self, mut answers: RegistrationOptions) -> Self {
        if self.options.upgrade.is_some() {
            // The guest keeps its username.
            answers.username = None;
        }
        if answers.username.is_some() || answers.password.is_some() {
            // The server's session is bound to the old ones.
            self.flow.session.forget();
            self.phase = Phase::Paused { polls_first: false };
        }
        if answers.password.is_some() {
            self.password_is_generated = false;
        }
        self.threepids.take_from(&mut answers);
        answers.take_server_name();
        self.flow.token = answers.token.or(self.flow.token);
        self.flow.accepts_terms |= answers.accept_terms;
        self.options.username = answers.username.or(self.options.username);
        self.options.password = answers.password.or(self.options.password);
        self
    }

    /// Continues at another address of the same server.
    #[must_use]
    pub fn move_to(mut self, server: ServerUrl) -> Self {
        self.flow.set_server(server.clone());
        self.server = server;
        self
    }

    fn start(&mut self, cx: &mut StepContext<'_>) {
        self.flow.stop_polling();
        self.threepids.generate_secret(cx.entropy);
        self.was_resumed = self.phase != Phase::New;
        match self.phase.clone() {
            Phase::New => self.begin(cx),
            Phase::CheckingName => self.check_name(),
            Phase::Registering { stage, .. } => {
                let lost = "the program ended before the response came".to_owned();
                self.recover(stage, false, lost);
            }
            Phase::LoggingIn { stage, is_taken } => self.log_in(stage, is_taken),
            Phase::Asking(question) if !question.can_resume() => self.ask(question),
            // The person may have completed a stage meanwhile. Otherwise they are asked again.
            Phase::Paused { polls_first } => self.resume(polls_first),
            Phase::Authenticating => {
                let polls_first = self.flow.resumability() == Resumability::Poll;
                self.resume(polls_first);
            }
            Phase::Asking(_) | Phase::RequestingMessage(_) | Phase::SubmittingCode(_) => {
                self.resume(false);
            }
        }
    }

    fn begin(&mut self, cx: &mut StepContext<'_>) {
        self.id = random::conversation_id(cx.entropy);
        if self.options.password.is_none() && self.options.kind == AccountKind::User {
            let policy = self.password_policy.as_ref();
            let min_length = policy.map_or(0, |policy| policy.minimum_length);
            self.options.password = Some(random::generate_password(cx.entropy, min_length));
            self.password_is_generated = true;
        }
        if !self.options.inhibit_login {
            self.options.device.generate_id(cx.entropy);
        }
        if let Some(guest) = &self.options.upgrade {
            self.options.username = Some(guest.user_id().localpart().to_owned());
        }
        let server = self.server.clone();
        if let Some(other) = self.other_server.clone() {
            self.conversation.fail(RegisterError::NameInvalid {
                server,
                username: self.username().to_owned(),
                message: format!("it is to be one on {other}"),
            });
        } else if self.prefers_sso {
            // The page that servers have for clients without single sign-on.
            let url = format!("{server}/_matrix/static/client/login/");
            self.conversation
                .fail(RegisterError::SsoNeeded { server, url });
        } else if let Some(issuer) = self.oauth_issuer.clone().filter(|_| self.oauth_only) {
            self.conversation
                .fail(RegisterError::OAuthNeeded { server, issuer });
        } else {
            self.begin_with_name();
        }
    }

    fn begin_with_name(&mut self) {
        // The username of a guest who becomes a user is taken: by the guest.
        let is_new = self.options.kind == AccountKind::User && self.options.upgrade.is_none();
        if self.options.username.is_some() && is_new && self.checks_name {
            self.check_name();
        } else {
            self.register(None);
        }
    }

    fn check_name(&mut self) {
        self.phase = Phase::CheckingName;
        // Servers lower-case usernames when they register them, and some refuse to do so in this check.
        let name = self.username().to_lowercase();
        self.send(CheckUsernameAvailability::new(name).job(&self.server));
    }

    /// Sends the registration, to complete `stage` if there is one.
    fn register(&mut self, stage: Option<Stage>) {
        // The first request has the password: one that breaks the server's policy is not sent.
        if let Some(refused) = self.broken_policy().filter(|_| stage.is_none()) {
            return self.ask(RegistrationQuestion::Password { refused });
        }
        self.send_registration(stage, false);
    }

    fn broken_policy(&self) -> Option<Refusal> {
        let password = self.options.password.as_ref()?;
        let (code, message) = self.password_policy.as_ref()?.complaint(password)?;
        Some(Refusal { code, message })
    }

    fn send_registration(&mut self, stage: Option<Stage>, is_replay: bool) {
        let options = &self.options;
        let mut request = Register {
            auth: match &stage {
                Some(stage) => Some(self.auth(stage)),
                None => self.flow.session_alone(),
            },
            initial_device_display_name: options.device.device_name.clone(),
            ..Register::default()
        };
        if options.kind == AccountKind::Guest {
            // A server ignores everything else in a guest's request.
            request.kind = Some(RegisterKind::Guest);
        } else {
            let guest = options.upgrade.as_ref();
            request.username = options.username.clone();
            request.password = options.password.clone();
            request.device_id = options.device.device_id.clone();
            request.inhibit_login = options.inhibit_login.then_some(true);
            request.refresh_token = options.device.refresh_token.then_some(true);
            request.guest_access_token = guest.map(|guest| guest.token().clone());
        }
        let job = request.job(&self.server);
        self.phase = Phase::Registering { stage, is_replay };
        self.send(job);
    }

    fn auth(&self, stage: &Stage) -> AuthData {
        self.flow.auth(stage, self.threepids.creds(stage))
    }

    fn send(&mut self, job: Job) {
        if self.conversation.requests() >= MAX_REQUESTS {
            let server = self.server.clone();
            return self.conversation.fail(UiaError::Endless { server });
        }
        self.conversation.send(job);
    }

    /// Continues an authentication of an earlier run. The flow is chosen, and reported, again.
    fn resume(&mut self, polls_first: bool) {
        self.flow.resume(polls_first);
        self.advance();
    }

    /// Starts the next stage, or registers if the server has not offered a flow yet.
    fn advance(&mut self) {
        if self.flow.session.offered.is_some() {
            let known = self.known();
            let next = self.flow.advance(&mut self.conversation, known);
            self.apply(next);
        } else if matches!(self.phase, Phase::Paused { .. }) {
            self.begin_with_name();
        } else {
            self.register(None);
        }
    }

    fn known(&self) -> KnownAnswers {
        KnownAnswers {
            email: self.threepids.email.is_some(),
            phone: self.threepids.phone.is_some(),
            ..KnownAnswers::default()
        }
    }

    /// Does what the flow says.
    fn apply(&mut self, next: UiaNext) {
        match next {
            UiaNext::Wait => self.phase = Phase::Authenticating,
            UiaNext::Request(stage) => self.register(Some(stage)),
            UiaNext::Finish => self.register(None),
            UiaNext::Validate(stage, None) => self.validate(stage),
            UiaNext::Validate(stage, why) => self.ask_for_validation(stage, why),
            UiaNext::NoFlow(words) => {
                let server = self.server.clone();
                let message = words.unwrap_or_else(|| "it offers no flow to register".to_owned());
                self.conversation
                    .fail(RegisterError::Closed { server, message });
            }
            // What was done before a mistyped token is not lost.
            UiaNext::Fail(error @ UiaError::TokenWrong { .. }, _)
                if self.was_resumed || !self.flow.session.done.is_empty() =>
            {
                self.pause(Phase::Paused { polls_first: false }, error);
            }
            UiaNext::Fail(error, Resumability::No) => self.conversation.fail(error),
            UiaNext::Fail(error, resume) => {
                let polls_first = resume == Resumability::Poll;
                self.pause(Phase::Paused { polls_first }, error);
            }
        }
    }

    /// Validates the address of a stage: asks for it, for a message, or completes the stage.
    fn validate(&mut self, stage: Stage) {
        match self.threepids.next(&stage) {
            ThreepidNext::Address => self.ask(RegistrationQuestion::Address {
                stage,
                refused: None,
            }),
            ThreepidNext::Message => {
                if let Some(job) = self.threepids.message_request(&stage, &self.server) {
                    self.phase = Phase::RequestingMessage(stage);
                    self.send(job);
                }
            }
            ThreepidNext::Submit(code) => self.submit(stage, &code),
            ThreepidNext::Complete => self.register(Some(stage)),
        }
    }

    /// Asks for the code of a message, or to open its link.
    fn ask_for_validation(&mut self, stage: Stage, why: Option<String>) {
        match self.threepids.validation(&stage) {
            None => self.validate(stage),
            Some(one) if one.has_code() => self.ask(RegistrationQuestion::Code { stage, why }),
            Some(_) => self.ask(RegistrationQuestion::Link { stage, why }),
        }
    }

    fn submit(&mut self, stage: Stage, code: &Secret) {
        let server = self.server.clone();
        let Some(one) = self.threepids.validation(&stage) else {
            return self.validate(stage);
        };
        match one.submission(&server, code) {
            Ok(job) => {
                self.phase = Phase::SubmittingCode(stage);
                self.send(job);
            }
            Err(error) => self.conversation.fail(error),
        }
    }

    fn finish(&mut self, mut account: Account) {
        let password = self.options.password.clone();
        account.password = password.filter(|_| self.password_is_generated);
        account.is_guest = self.options.kind == AccountKind::Guest;
        self.conversation.finish_account(Ok(account));
    }

    /// Ends for now: [`Input::Start`] continues from `phase`.
    fn pause(&mut self, phase: Phase, error: impl Into<RegisterError>) {
        self.phase = phase;
        self.conversation.pause(error);
    }

    fn on_outcome(&mut self, cx: &StepContext<'_>, outcome: Outcome) {
        let phase = self.phase.clone();
        if let (Phase::Registering { stage, is_replay }, Some(what)) = (&phase, outcome.in_doubt())
        {
            return self.recover(stage.clone(), *is_replay, what);
        }
        match (phase.clone(), outcome) {
            (Phase::CheckingName, Outcome::Responded(response)) => self.on_name_checked(&response),
            (Phase::CheckingName, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                self.conversation.fail(self.unreachable(error));
            }
            (Phase::Registering { stage, is_replay }, Outcome::Responded(response)) => {
                self.on_registered(cx.now, stage, is_replay, &response);
            }
            (
                Phase::Registering {
                    is_replay: false, ..
                },
                Outcome::Failed(error),
            ) => {
                let error = self.unreachable(error);
                self.pause(Phase::Paused { polls_first: false }, error);
            }
            (Phase::RequestingMessage(stage), Outcome::Responded(response)) => {
                self.on_message_requested(stage, &response);
            }
            (Phase::SubmittingCode(stage), Outcome::Responded(response)) => {
                self.on_submitted(stage, &response);
            }
            // Neither request makes an account. The next run sends it again, with the same secret and
            // attempt number.
            (Phase::RequestingMessage(_) | Phase::SubmittingCode(_), outcome) => {
                let error = match outcome {
                    Outcome::Failed(error) | Outcome::InDoubt(error) => self.unreachable(error),
                    _ => ServerError::Cancelled,
                };
                self.pause(Phase::Paused { polls_first: false }, error);
            }
            (Phase::LoggingIn { stage, is_taken }, Outcome::Responded(response)) => {
                self.on_logged_in(cx.now, stage, is_taken, &response);
            }
            // It is still unknown what an earlier request did.
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                let error = self.in_doubt(error.to_string());
                self.pause(phase, error);
            }
            (Phase::CheckingName, _) => self.conversation.fail(ServerError::Cancelled),
            _ => self.pause(phase, ServerError::Cancelled),
        }
    }

    fn in_doubt(&self, what: String) -> RegisterError {
        let server = self.server.clone();
        RegisterError::InDoubt { server, what }
    }

    fn unreachable(&self, error: TransportError) -> ServerError {
        ServerError::unreachable(&self.server, error)
    }
}

impl Machine for Registration {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, RegisterError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, RegisterError>> {
        let Some(input) = self.conversation.accept(input) else {
            return Step::default();
        };
        match (input, self.phase.clone()) {
            (Input::Start, _) => self.start(cx),
            (Input::Outcome(_, outcome), _) => self.on_outcome(cx, outcome),
            (Input::Answer(_, answer), Phase::Asking(question)) => self.on_answer(question, answer),
            (Input::Answer(_, answer), Phase::Authenticating) => {
                let next = self.flow.on_answer(&mut self.conversation, answer);
                self.apply(next);
            }
            (Input::Waited(_), Phase::Authenticating) => {
                let next = self.flow.on_waited(&mut self.conversation);
                self.apply(next);
            }
            _ => {}
        }
        let (step, is_over) = (self.conversation.take_step(), self.conversation.is_over());
        persist(step, is_over, (tables::REGISTRATIONS, &self.id), self)
    }
}

impl Conversation for Registration {
    type Output = Account;
    type Error = RegisterError;
}
