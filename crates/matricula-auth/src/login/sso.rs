//! Single sign-on: a page of the homeserver, its callback address, and the login token in that.

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::{
        definitions::SsoAction,
        login::{Login as LoginRequest, LoginResponse},
        sso_login_redirect::{RedirectToIdP, RedirectToSso},
    },
    uia::Stage,
};
use matricula_core::{
    Machine, Secret, ServerUrl, Step, StepContext, scheduler::Outcome, secret::exposed,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read_login;
use crate::{
    Account, Answer, BrowserError, Conversation, DeviceOptions, Effect, Event, IdentityProvider,
    Input, LoginError, Progress, Prompt, ServerError, ServerInfo,
    account::tables,
    conversation::{ConversationState, persist},
    random,
};

/// Signs in, or signs up, by single sign-on; ends in an [`Account`] with a session. Most servers have one
/// page for both.
///
/// Every step's state is stored in [`tables::SSO_LOGINS`], so it continues after a crash at any point: read
/// it back with [`SsoLogin::from_stored`] and step it with [`Input::Start`]. A login token of the page is
/// valid once. If the response to it is lost, it is sent once more; if it is used up, the page is opened
/// again.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SsoLogin {
    id: String,
    server: ServerUrl,
    redirect_uri: String,
    signs_up: bool,
    providers: Vec<IdentityProvider>,
    /// The chosen provider. `None`: the server's own page asks.
    provider: Option<String>,
    /// A secret of this client and its browser, part of the callback address.
    #[serde(with = "exposed", default)]
    state: Secret,
    device: DeviceOptions,
    phase: Phase,
    conversation: ConversationState<Account, LoginError>,
}

/// What it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    New,
    ChoosingProvider,
    /// The person is on the page.
    OnPage,
    LoggingIn {
        #[serde(with = "exposed")]
        token: Secret,
        /// Whether the same request was sent before and its response lost.
        is_replay: bool,
    },
}

impl SsoLogin {
    /// Signs in on a page in a browser, which leads back to `redirect_uri`, such as
    /// `http://127.0.0.1:PORT/` where this program listens. A `state` is added to that address.
    pub fn new(info: &ServerInfo, redirect_uri: impl Into<String>) -> Self {
        let flows = info.login_flows.iter();
        let mut sso = flows.filter(|flow| flow.kind == "m.login.sso");
        Self {
            id: String::new(),
            server: info.server.clone(),
            redirect_uri: redirect_uri.into(),
            signs_up: false,
            providers: sso
                .next()
                .map(|flow| flow.identity_providers.clone())
                .unwrap_or_default(),
            provider: None,
            state: Secret::default(),
            device: DeviceOptions::default(),
            phase: Phase::New,
            conversation: ConversationState::default(),
        }
    }

    /// Makes an account on the page, and signs in to it.
    pub fn sign_up(info: &ServerInfo, redirect_uri: impl Into<String>) -> Self {
        Self {
            signs_up: true,
            ..Self::new(info, redirect_uri)
        }
    }

    /// Signs in with this identity provider, without asking which.
    #[must_use]
    pub fn provider(mut self, id: impl Into<String>) -> Self {
        self.provider = Some(id.into());
        self
    }

    /// Sets the device and the caller's data.
    #[must_use]
    pub fn device(mut self, device: DeviceOptions) -> Self {
        self.device = device;
        self
    }

    /// Replaces the redirect URI, unless the browser has come back already. Another process may listen
    /// on another port.
    #[must_use]
    pub fn replace_redirect_uri(mut self, address: impl Into<String>) -> Self {
        self.redirect_uri = address.into();
        self
    }

    /// Reads back a stored login; continue it with [`Input::Start`].
    ///
    /// # Errors
    /// If the text was not written by [`SsoLogin`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Its key in [`tables::SSO_LOGINS`]; empty before the first step.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The homeserver.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Where the page leads back to.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Whether it makes an account, and does not only sign in.
    pub fn signs_up(&self) -> bool {
        self.signs_up
    }

    /// The caller's data.
    pub fn data(&self) -> &Value {
        &self.device.data
    }

    fn start(&mut self, cx: &mut StepContext<'_>) {
        match self.phase.clone() {
            Phase::New => {
                self.id = random::conversation_id(cx.entropy);
                self.device.generate_id(cx.entropy);
                self.choose_provider(cx);
            }
            Phase::ChoosingProvider => self.choose_provider(cx),
            Phase::OnPage => self.open_page(None),
            // It may have been sent before the program ended.
            Phase::LoggingIn { token, .. } => self.log_in(token, true),
        }
    }

    /// Asks which provider, if there are several.
    fn choose_provider(&mut self, cx: &mut StepContext<'_>) {
        if self.provider.is_some() || self.providers.len() < 2 {
            return self.new_page(cx);
        }
        self.phase = Phase::ChoosingProvider;
        let providers = self.providers.clone();
        self.conversation
            .ask(Prompt::IdentityProvider { providers });
    }

    fn on_provider(&mut self, cx: &mut StepContext<'_>, answer: Answer) {
        match answer {
            Answer::No => return self.conversation.fail(ServerError::Cancelled),
            Answer::Text(id) => {
                let is_known = |provider: &&IdentityProvider| provider.id == id.expose();
                let known = self.providers.iter().find(is_known);
                self.provider = known.map(|provider| provider.id.clone());
            }
            // The server's own page asks too.
            _ => {}
        }
        self.new_page(cx);
    }

    fn new_page(&mut self, cx: &mut StepContext<'_>) {
        let why = if self.signs_up {
            "the server makes accounts by single sign-on: registering and signing in are the same page"
        } else {
            "the server offers login by single sign-on"
        };
        self.conversation.progress(Progress::Route {
            stages: vec![Stage::Sso],
            why: why.to_owned(),
        });
        self.state = random::url_safe_secret(cx.entropy);
        self.open_page(None);
    }

    fn open_page(&mut self, why: Option<String>) {
        self.phase = Phase::OnPage;
        self.conversation.ask(Prompt::OpenPage {
            url: self.page(),
            redirect_uri: self.redirect_uri.clone(),
            state: self.state.clone(),
            why,
        });
    }

    fn page(&self) -> Secret {
        let joint = if self.redirect_uri.contains('?') {
            '&'
        } else {
            '?'
        };
        let back = format!("{}{joint}state={}", self.redirect_uri, self.state.expose());
        let action = if self.signs_up {
            SsoAction::Register
        } else {
            SsoAction::Login
        };
        let job = match &self.provider {
            Some(id) => RedirectToIdP::new(id, back)
                .action(action)
                .job(&self.server),
            None => RedirectToSso::new(back).action(action).job(&self.server),
        };
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(job.request_query())
            .finish();
        Secret::from(format!("{}?{query}", job.url()))
    }

    fn on_page(&mut self, answer: Answer) {
        let address = match answer {
            Answer::Text(address) => address,
            Answer::No => return self.conversation.fail(ServerError::Cancelled),
            Answer::Yes => Secret::default(),
            Answer::Unavailable => {
                let (issuer, url) = (self.server.to_string(), self.page());
                let error = BrowserError::BrowserNeeded { issuer, url };
                return self.conversation.pause(error);
            }
        };
        match read_callback(address.expose().trim(), &self.state) {
            Ok(token) => self.log_in(token, false),
            // Any site can make a browser open the address: that must not end the login, and must not go
            // on without a limit.
            Err(what) if self.conversation.count_try(true) => self.open_page(Some(what.to_owned())),
            Err(what) => {
                let (issuer, what) = (self.server.to_string(), what.to_owned());
                self.conversation
                    .fail(BrowserError::WrongCallback { issuer, what });
            }
        }
    }

    fn log_in(&mut self, token: Secret, is_replay: bool) {
        let mut request = self.device.apply(LoginRequest::new("m.login.token"));
        request.token = Some(token.clone());
        self.phase = Phase::LoggingIn { token, is_replay };
        self.conversation.send(request.job(&self.server));
    }

    fn on_outcome(
        &mut self,
        cx: &mut StepContext<'_>,
        token: Secret,
        is_replay: bool,
        outcome: Outcome,
    ) {
        // Pauses of the login leave the phase as it is: the next run sends the token again.
        let (what, error) = match outcome {
            Outcome::Responded(response) if response.status_code() >= 500 => {
                let what = format!("it answered with status {}", response.status_code());
                let error = ServerError::unavailable(&self.server, &what);
                (what, error)
            }
            Outcome::Responded(response) => {
                return self.on_response(cx, is_replay, read_login(&response));
            }
            Outcome::InDoubt(error) => (
                error.to_string(),
                ServerError::unreachable(&self.server, error),
            ),
            Outcome::Failed(error) => {
                return self
                    .conversation
                    .pause(ServerError::unreachable(&self.server, error));
            }
            _ => return self.conversation.pause(ServerError::Cancelled),
        };
        // The same again: if the first was not processed, it succeeds; if it was, the server refuses the
        // token, and the page gives another. Both are the same device.
        if is_replay {
            self.conversation.pause(error);
        } else {
            self.conversation
                .settling(format!("signing in again ({what})"));
            self.log_in(token, true);
        }
    }

    fn on_response(
        &mut self,
        cx: &mut StepContext<'_>,
        is_replay: bool,
        response: Result<LoginResponse, ApiError>,
    ) {
        match response {
            Ok(response) => {
                let data = self.device.data.clone();
                let account = Account::from_login(&self.server, cx.now, response, data);
                self.conversation.finish_account(Ok(account));
            }
            Err(ApiError::RateLimited { retry_after, .. }) => {
                let server = self.server.clone();
                self.conversation.pause(ServerError::RateLimited {
                    server,
                    retry_after,
                });
            }
            // Used up by the request whose response was lost, or expired.
            Err(ApiError::Matrix(error))
                if is_replay
                    && error.code == ErrorCode::Forbidden
                    && self.conversation.count_try(true) =>
            {
                self.conversation
                    .settling("the server does not take the page's token any more");
                self.new_page(cx);
            }
            Err(error) => self
                .conversation
                .fail(ServerError::from_api(&self.server, error)),
        }
    }
}

/// The login token in a callback address, if the address answers this page.
fn read_callback(address: &str, state: &Secret) -> Result<Secret, &'static str> {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let found = fields.find(|(found, _)| found == name);
        found.map(|(_, value)| Secret::from(value.into_owned()))
    };
    // First of all: another site's callback means nothing.
    if field("state").as_ref() != Some(state) {
        return Err("the browser came back with the answer to another request");
    }
    field("loginToken").ok_or("the browser came back without a token")
}

impl Machine for SsoLogin {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, LoginError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, LoginError>> {
        match (self.conversation.accept(input), self.phase.clone()) {
            (Some(Input::Start), _) => self.start(cx),
            (Some(Input::Answer(_, answer)), Phase::ChoosingProvider) => {
                self.on_provider(cx, answer);
            }
            (Some(Input::Answer(_, answer)), Phase::OnPage) => self.on_page(answer),
            (Some(Input::Outcome(_, outcome)), Phase::LoggingIn { token, is_replay }) => {
                self.on_outcome(cx, token, is_replay, outcome);
            }
            _ => return Step::default(),
        }
        let (step, is_over) = (self.conversation.take_step(), self.conversation.is_over());
        persist(step, is_over, (tables::SSO_LOGINS, &self.id), self)
    }
}

impl Conversation for SsoLogin {
    type Output = Account;
    type Error = LoginError;
}
