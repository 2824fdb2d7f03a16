//! The conversation: find the OAuth 2.0 server, register this client there, get tokens, ask whose they
//! are.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, UserId,
    client::{
        device_management::UpdateDevice, oauth_server_metadata::GetAuthMetadata, whoami::WhoAmI,
    },
    oauth::{
        ClientMetadata, EndpointUrlError, OAuthEndpoint, OAuthError, OAuthErrorCode,
        OAuthErrorResponse, RegisterClient, Scope, ScopeError, TokenResponse,
    },
};
use matricula_core::{
    Job, Machine, Response, Secret, ServerUrl, Step, StepContext, Timestamp, TransportError,
    scheduler::Outcome,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    client::{self, OAuthClient},
    phase::{GrantMethod, Phase, Tokens},
    provider::{Provider, metadata_error},
};
use crate::{
    Account, Conversation, DeviceOptions, Effect, Event, Input, OAuthLoginError, OAuthRefusal,
    Progress, ServerError, ServerInfo,
    account::tables,
    conversation::{ConversationState, persist},
    random,
};

/// Signs in, or signs up, at the OAuth 2.0 server of a homeserver; ends in an [`Account`] with a session.
///
/// Every step's state is stored in [`tables::OAUTH_LOGINS`], so it continues after a crash at any point:
/// read it back with [`OAuthLogin::from_stored`] and step it with [`Input::Start`].
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OAuthLogin {
    id: String,
    server: ServerUrl,
    pub(super) grant: GrantMethod,
    metadata: ClientMetadata,
    pub(super) device: DeviceOptions,
    #[serde(default)]
    pub(super) login_hint: Option<UserId>,
    /// Whether Synapse's admin API is wanted.
    #[serde(default)]
    is_admin: bool,
    pub(super) provider: Option<Provider>,
    pub(super) client: Option<OAuthClient>,
    /// Whether the server has registered the client since this process took the login up. Then a server
    /// that does not know it is not given another one.
    #[serde(skip)]
    has_registered: bool,
    pub(super) phase: Phase,
    pub(super) conversation: ConversationState<Account, OAuthLoginError>,
}

impl OAuthLogin {
    /// Signs in on a page in a browser, which leads back to `redirect_uri`: `http://127.0.0.1:PORT/`
    /// where this program listens, or any page of which the person can copy the address.
    ///
    /// `metadata` describes the program. Redirect URIs and grants need not be in it.
    pub fn browser(
        info: &ServerInfo,
        metadata: ClientMetadata,
        redirect_uri: impl Into<String>,
    ) -> Self {
        let grant = GrantMethod::browser(redirect_uri.into(), false);
        Self::new(info, metadata, grant)
    }

    /// Makes an account on the page, and signs in to it.
    ///
    /// Specification: <https://spec.matrix.org/v1.19/client-server-api/#user-registration>.
    pub fn sign_up(
        info: &ServerInfo,
        metadata: ClientMetadata,
        redirect_uri: impl Into<String>,
    ) -> Self {
        let grant = GrantMethod::browser(redirect_uri.into(), true);
        Self::new(info, metadata, grant)
    }

    /// Signs in with a code that the person enters on another device.
    pub fn device_code(info: &ServerInfo, metadata: ClientMetadata) -> Self {
        Self::new(info, metadata, GrantMethod::DeviceCode)
    }

    fn new(info: &ServerInfo, metadata: ClientMetadata, grant: GrantMethod) -> Self {
        Self {
            id: String::new(),
            server: info.server.clone(),
            grant,
            metadata,
            device: DeviceOptions::default(),
            login_hint: None,
            is_admin: false,
            provider: None,
            client: None,
            has_registered: false,
            phase: Phase::New,
            conversation: ConversationState::default(),
        }
    }

    /// The client that [`tables::OAUTH_CLIENTS`] has for this server's issuer. It is registered again, for
    /// which servers return the same client id, because the server may have forgotten it. If the server
    /// refuses that, this one is used, provided that it still fits.
    #[must_use]
    pub fn client(mut self, client: OAuthClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets the device and the caller's data. The device gets its name after the login. The server
    /// chooses the kind of tokens.
    #[must_use]
    pub fn device(mut self, device: DeviceOptions) -> Self {
        self.device = device;
        self
    }

    /// The user who is to sign in. The page may begin with that name; another user may sign in there.
    #[must_use]
    pub fn login_hint(mut self, user_id: UserId) -> Self {
        self.login_hint = Some(user_id);
        self
    }

    /// Asks for Synapse's admin API too. Only administrators get it.
    #[must_use]
    pub fn admin(mut self, is_wanted: bool) -> Self {
        self.is_admin = is_wanted;
        self
    }

    /// The scope to ask for.
    pub(super) fn scope(&self) -> Result<Scope, ScopeError> {
        let scope = Scope::client(self.device.device_id.as_deref().unwrap_or_default())?;
        Ok(match self.is_admin {
            true => scope.synapse_admin(),
            false => scope,
        })
    }

    /// Replaces the redirect URI, unless the browser has come back already. Another process may listen
    /// on another port.
    #[must_use]
    pub fn replace_redirect_uri(mut self, address: impl Into<String>) -> Self {
        // A code is valid only with the redirect URI that it was issued for.
        let is_bound = matches!(self.phase, Phase::Redeeming { .. });
        if let (GrantMethod::Browser { redirect_uri, .. }, false) = (&mut self.grant, is_bound) {
            let address = address.into();
            let is_registered = client::is_same_redirect(redirect_uri, &address);
            let has_page = matches!(
                self.phase,
                Phase::OnPage { .. } | Phase::RegisteringAgain { .. }
            );
            if !is_registered && has_page {
                self.phase = Phase::RegisteringClient;
            }
            *redirect_uri = address;
        }
        self
    }

    /// Reads back a stored login; continue it with [`Input::Start`].
    ///
    /// # Errors
    /// If the text was not written by [`OAuthLogin`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Its key in [`tables::OAUTH_LOGINS`]; empty before the first step.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The homeserver.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Where the page leads back to; `None` if a code is entered on another device.
    pub fn redirect_uri(&self) -> Option<&str> {
        match &self.grant {
            GrantMethod::Browser { redirect_uri, .. } => Some(redirect_uri),
            GrantMethod::DeviceCode => None,
        }
    }

    /// Whether it makes an account, and does not only sign in.
    pub fn signs_up(&self) -> bool {
        matches!(self.grant, GrantMethod::Browser { signs_up: true, .. })
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
                match self.scope() {
                    Ok(_) => self.get_metadata(),
                    Err(error) => self.conversation.fail(error),
                }
            }
            Phase::GettingMetadata | Phase::AskingIssuer => self.get_metadata(),
            // The server may have forgotten the client since.
            Phase::RegisteringClient | Phase::Authorizing => self.register_client(cx, None),
            Phase::OnPage { state, verifier } | Phase::RegisteringAgain { state, verifier } => {
                self.register_client(cx, Some((state, verifier)));
            }
            // It may have been sent before the program ended.
            Phase::Redeeming { code, verifier, .. } => self.redeem(code, verifier, true),
            Phase::GettingDeviceCode => self.get_device_code(),
            Phase::Waiting(wait) => {
                self.conversation.progress(wait.progress());
                self.wait(cx.now, wait);
            }
            Phase::Polling(mut wait) => {
                wait.is_lost = true;
                self.conversation.progress(wait.progress());
                self.poll(cx.now, wait);
            }
            Phase::AskingWho(tokens) => self.ask_who(tokens),
            Phase::NamingDevice(account) => self.name_device(account),
        }
    }

    fn get_metadata(&mut self) {
        self.phase = Phase::GettingMetadata;
        self.conversation
            .send(GetAuthMetadata::default().job(&self.server));
    }

    fn on_metadata(&mut self, cx: &mut StepContext<'_>, response: &Response) {
        let server = self.server.clone();
        let provider = match GetAuthMetadata::read(response) {
            Ok(metadata) => Provider::new(&server, metadata).map_err(OAuthLoginError::from),
            Err(error) => Err(metadata_error(&server, response.status_code(), error)),
        };
        let provider = match provider {
            Ok(provider) => provider,
            Err(error) => return self.conversation.fail(error),
        };
        let own_metadata = provider.own_metadata(&server);
        self.provider = Some(provider);
        match own_metadata.filter(|_| self.signs_up()) {
            Some(job) => {
                self.phase = Phase::AskingIssuer;
                self.conversation.send(job);
            }
            None => self.on_issuer(cx, None),
        }
    }

    /// The OAuth 2.0 server's own metadata; `None` if it was not asked, or did not answer.
    fn on_issuer(&mut self, cx: &mut StepContext<'_>, response: Option<&Response>) {
        let signs_up = self.signs_up();
        if let (Some(provider), Some(response)) = (&mut self.provider, response) {
            provider.read_own_metadata(response);
        }
        let provider = self.provider.as_ref();
        if signs_up && provider.is_some_and(|provider| provider.is_sign_up_closed) {
            let issuer = self.issuer();
            return self
                .conversation
                .fail(OAuthLoginError::SignUpClosed { issuer });
        }
        self.register_client(cx, None);
    }

    /// The client metadata that the grant needs.
    fn wanted_metadata(&self, provider: &Provider) -> Result<ClientMetadata, OAuthLoginError> {
        match &self.grant {
            GrantMethod::DeviceCode => Ok(client::device(&self.metadata)),
            GrantMethod::Browser { redirect_uri, .. } => {
                let has_codes = provider.device_authorization_endpoint.is_some();
                client::browser(&self.metadata, redirect_uri, has_codes)
            }
        }
    }

    /// Registers the client with the server, also if it was registered before: only its page would say
    /// that the server has forgotten it. `page`: the state and the verifier of the page that the person may
    /// have opened before.
    fn register_client(&mut self, cx: &mut StepContext<'_>, page: Option<(Secret, Secret)>) {
        let Some(provider) = self.provider.clone() else {
            return self.get_metadata();
        };
        let wanted = match self.wanted_metadata(&provider) {
            Ok(wanted) => wanted,
            Err(error) => return self.conversation.fail(error),
        };
        self.client
            .take_if(|client| !client.fits(cx.now, &provider.issuer, &wanted));
        self.phase = match page {
            Some((state, verifier)) => Phase::RegisteringAgain { state, verifier },
            None => Phase::RegisteringClient,
        };
        self.send_to_issuer(RegisterClient::new(wanted).job(&provider.registration_endpoint));
    }

    fn on_client_registered(
        &mut self,
        cx: &mut StepContext<'_>,
        page: Option<(Secret, Secret)>,
        response: &Response,
    ) {
        let Some(provider) = self.provider.clone() else {
            return self.get_metadata();
        };
        let before = self.client.as_ref().map(|client| client.client_id.clone());
        let registered = RegisterClient::read(response).map_err(|error| self.oauth_error(error));
        let client = registered.and_then(|registered| {
            let wanted = self.wanted_metadata(&provider)?;
            Ok(OAuthClient::new(&provider, wanted, registered))
        });
        match client {
            Ok(client) => {
                // Durable before it is used: another login finds it.
                client.write_to(self.conversation.writes());
                self.client = Some(client);
                self.has_registered = true;
            }
            // The server does not register a client twice, or not so often.
            Err(_) if before.is_some() && response.status_code() < 500 => {}
            // The person may have opened the page, and may come back from it.
            Err(error) if page.is_some() && response.status_code() >= 500 => {
                return self.conversation.pause(error);
            }
            Err(error) => return self.conversation.fail(error),
        }
        let is_same = self.client.as_ref().map(|client| &client.client_id) == before.as_ref();
        match page.filter(|_| is_same) {
            Some((state, verifier)) => self.open_page(state, verifier, None),
            None => self.authorize(cx),
        }
    }

    fn authorize(&mut self, cx: &mut StepContext<'_>) {
        match self.grant.clone() {
            GrantMethod::Browser { signs_up, .. } => {
                self.report_route(signs_up);
                self.new_page(cx);
            }
            GrantMethod::DeviceCode => self.get_device_code(),
        }
    }

    /// Registers the client again, once, if the server has forgotten it. Any other refusal is given back.
    pub(super) fn register_again(
        &mut self,
        cx: &mut StepContext<'_>,
        refusal: OAuthErrorResponse,
    ) -> Option<OAuthErrorResponse> {
        let is_unknown = matches!(
            refusal.code,
            OAuthErrorCode::InvalidClient | OAuthErrorCode::UnauthorizedClient
        );
        if !is_unknown {
            return Some(refusal);
        }
        let issuer = self.issuer();
        let writes = self.conversation.writes();
        writes.remove(tables::OAUTH_CLIENTS, issuer.clone());
        self.client = None;
        if self.has_registered {
            return Some(refusal);
        }
        let why = format!("{issuer} does not know this program any more: registering it again");
        self.conversation.progress(Progress::BeginningAgain(why));
        self.register_client(cx, None);
        None
    }

    /// Starts the authorization over: the code or the tokens are not valid any more.
    pub(super) fn start_over(&mut self, cx: &mut StepContext<'_>, why: &str) {
        if self.conversation.count_try(true) {
            let why = format!("{why}: beginning again");
            self.conversation.progress(Progress::BeginningAgain(why));
            return match self.has_registered {
                true => self.authorize(cx),
                false => self.register_client(cx, None),
            };
        }
        let server = self.server.clone();
        self.conversation.fail(OAuthLoginError::Endless { server });
    }

    /// Handles a token response: asks whose the tokens are.
    pub(super) fn on_tokens(&mut self, now: Timestamp, response: TokenResponse) {
        let granted = response.scope.as_ref();
        if self.is_admin && granted.is_some_and(|scope| !scope.allows_synapse_admin()) {
            let issuer = self.issuer();
            self.conversation
                .progress(Progress::AdminNotGranted { issuer });
        }
        let other = |kind: &&String| !kind.is_empty() && !kind.eq_ignore_ascii_case("bearer");
        let Some(kind) = response.token_type.as_ref().filter(other) else {
            return self.ask_who(Tokens::new(now, response));
        };
        let what = format!("its OAuth 2.0 server gives tokens of the type {kind:?}");
        self.conversation
            .fail(ServerError::not_matrix(&self.server, what));
    }

    fn ask_who(&mut self, tokens: Tokens) {
        let job = WhoAmI::default().job(&self.server);
        self.conversation
            .send(job.with_token(tokens.access_token.clone()));
        self.phase = Phase::AskingWho(tokens);
    }

    fn on_owner(&mut self, cx: &mut StepContext<'_>, tokens: Tokens, response: &Response) {
        match WhoAmI::read(response) {
            Ok(owner) => {
                let data = self.data().clone();
                let mut account =
                    Account::without_session(owner.user_id, self.server.clone(), data);
                let device_id = owner.device_id.filter(|id| !id.is_empty());
                account.device_id = device_id.or_else(|| self.device.device_id.clone());
                account.is_guest = owner.is_guest.unwrap_or_default();
                let provider = self.provider.as_ref().zip(self.client.as_ref());
                account.oauth = provider.map(|(provider, client)| provider.session(client));
                tokens.give_to(&mut account);
                self.name_device(Box::new(account));
            }
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::UnknownToken => {
                self.start_over(cx, "the tokens are not good any more");
            }
            // The tokens stay stored: otherwise they could never be revoked.
            Err(error) => self
                .conversation
                .pause(ServerError::from_api(&self.server, error)),
        }
    }

    /// Gives the device its name. The API of the login has none.
    fn name_device(&mut self, account: Box<Account>) {
        let (Some(name), Some(device_id), Some(token)) = (
            self.device.device_name.clone(),
            account.device_id.clone(),
            account.access_token.clone(),
        ) else {
            return self.conversation.finish_account(Ok(*account));
        };
        let job = UpdateDevice::new(device_id)
            .display_name(name)
            .job(&self.server);
        self.conversation.send(job.with_token(token));
        self.phase = Phase::NamingDevice(account);
    }

    /// The session is there, whether or not its device has the name.
    fn on_device_named(&mut self, account: Box<Account>, outcome: Outcome) {
        let response = ServerError::response(&self.server, outcome);
        let result = response.and_then(|response| {
            UpdateDevice::read(&response)
                .map_err(|error| ServerError::from_api(&self.server, error))
        });
        if let Err(error) = result {
            let name = self.device.device_name.clone().unwrap_or_default();
            let why = error.to_string();
            self.conversation
                .progress(Progress::DeviceNotNamed { name, why });
        }
        self.conversation.finish_account(Ok(*account));
    }

    pub(super) fn issuer(&self) -> String {
        let provider = self.provider.as_ref();
        provider.map_or_else(|| self.server.to_string(), |known| known.issuer.clone())
    }

    pub(super) fn oauth_error(&self, error: OAuthError) -> OAuthLoginError {
        crate::error::oauth_error(&self.server, self.issuer(), error)
    }

    pub(super) fn unreachable(&self, error: TransportError) -> ServerError {
        ServerError::oauth_unreachable(&self.server, &self.issuer(), error)
    }

    pub(super) fn refused(&self, refusal: OAuthErrorResponse) -> OAuthRefusal {
        OAuthRefusal::new(self.issuer(), refusal)
    }

    /// Sends to a URL of the metadata.
    pub(super) fn send_to_issuer(&mut self, job: Result<Job, EndpointUrlError>) {
        match job {
            Ok(job) => {
                self.conversation.send(job);
            }
            Err(error) => {
                self.conversation
                    .fail(ServerError::not_matrix(&self.server, error));
            }
        }
    }

    fn on_outcome(&mut self, cx: &mut StepContext<'_>, outcome: Outcome) {
        match (self.phase.clone(), outcome) {
            (Phase::GettingMetadata, Outcome::Responded(response)) => {
                self.on_metadata(cx, &response);
            }
            (Phase::AskingIssuer, Outcome::Responded(response)) => {
                self.on_issuer(cx, Some(&response));
            }
            (Phase::AskingIssuer, Outcome::Failed(_) | Outcome::InDoubt(_)) => {
                self.on_issuer(cx, None);
            }
            (Phase::RegisteringClient, Outcome::Responded(response)) => {
                self.on_client_registered(cx, None, &response);
            }
            (Phase::RegisteringAgain { state, verifier }, Outcome::Responded(response)) => {
                self.on_client_registered(cx, Some((state, verifier)), &response);
            }
            (Phase::GettingDeviceCode, Outcome::Responded(response)) => {
                self.on_device_code(cx, &response);
            }
            (
                Phase::Redeeming {
                    code,
                    verifier,
                    is_replay,
                },
                outcome,
            ) => self.on_redeemed(cx, code, verifier, is_replay, outcome),
            (Phase::Polling(wait), outcome) => self.on_polled(cx, wait, outcome),
            (Phase::AskingWho(tokens), Outcome::Responded(response)) => {
                self.on_owner(cx, tokens, &response);
            }
            (Phase::AskingWho(_), Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                self.conversation
                    .pause(ServerError::unreachable(&self.server, error));
            }
            (Phase::AskingWho(_), _) => self.conversation.pause(ServerError::Cancelled),
            (Phase::NamingDevice(account), outcome) => self.on_device_named(account, outcome),
            (Phase::GettingMetadata, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                self.conversation
                    .fail(ServerError::unreachable(&self.server, error));
            }
            (Phase::RegisteringAgain { .. }, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                self.conversation.pause(self.unreachable(error));
            }
            (Phase::RegisteringAgain { .. }, _) => self.conversation.pause(ServerError::Cancelled),
            // Nothing is lost: the person has not done anything yet.
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                self.conversation.fail(self.unreachable(error));
            }
            _ => self.conversation.fail(ServerError::Cancelled),
        }
    }
}

impl Machine for OAuthLogin {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, OAuthLoginError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, OAuthLoginError>> {
        match (self.conversation.accept(input), self.phase.clone()) {
            (Some(Input::Start), _) => self.start(cx),
            (Some(Input::Answer(_, answer)), Phase::OnPage { state, verifier }) => {
                self.on_page(cx, state, verifier, answer);
            }
            (Some(Input::Waited(_)), Phase::Waiting(wait)) => self.poll(cx.now, wait),
            (Some(Input::Outcome(_, outcome)), phase) if phase.awaits_response() => {
                self.on_outcome(cx, outcome);
            }
            _ => return Step::default(),
        }
        let (step, is_over) = (self.conversation.take_step(), self.conversation.is_over());
        persist(step, is_over, (tables::OAUTH_LOGINS, &self.id), self)
    }
}

impl Conversation for OAuthLogin {
    type Output = Account;
    type Error = OAuthLoginError;
}
