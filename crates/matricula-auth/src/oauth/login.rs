//! The conversation: find the OAuth 2.0 server, be known to it, be let in, learn who one is.

use matricula_api::{
    Endpoint,
    client::oauth_server_metadata::GetAuthMetadata,
    oauth::{
        ClientMetadata, OAuthEndpoint, OAuthError, OAuthErrorCode, OAuthErrorResponse,
        RegisterClient,
    },
};
use matricula_core::{
    EffectId, Job, Machine, Response, Secret, ServerUrl, Step, StepContext, TransportError,
    scheduler::Outcome, secret::exposed,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    client::{self, OAuthClient},
    device::DeviceWait,
    provider::Provider,
    tokens::Tokens,
};
use crate::{
    Account, AuthError, Conversation, Effect, Event, Input, Progress, ServerInfo, account::tables,
};

/// How often a page is opened anew, or its answer looked at again: with that, all else is bounded.
const MOST_TRIES: u32 = 5;

/// Signs in, or up, at the OAuth 2.0 server of a homeserver; ends in an [`Account`] with a session.
///
/// Every step's state is committed to [`tables::OAUTH_LOGINS`], so it goes on after a crash at any
/// point: read it back with [`OAuthLogin::from_stored`] and step it with [`Input::Start`].
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OAuthLogin {
    id: String,
    server: ServerUrl,
    pub(super) way: GrantMethod,
    about: ClientMetadata,
    pub(super) device_id: Option<String>,
    data: Value,
    pub(super) provider: Option<Provider>,
    pub(super) client: Option<OAuthClient>,
    /// Whether the client was introduced in this sign-in: a server that refuses it stays at that.
    is_client_new: bool,
    pub(super) phase: Phase,
    tries: u32,
    last_effect: u64,
}

/// How the person lets the program in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum GrantMethod {
    /// On a page, which leads back.
    Browser { redirect_uri: String, sign_up: bool },
    /// On another device.
    Device,
}

/// What it waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    New,
    Metadata,
    Introducing,
    /// A page is to be opened, or a code asked for, once it goes on.
    Ready,
    /// The person is on the page.
    Page {
        #[serde(with = "exposed")]
        state: Secret,
        #[serde(with = "exposed")]
        verifier: Secret,
    },
    Redeeming {
        #[serde(with = "exposed")]
        code: Secret,
        #[serde(with = "exposed")]
        verifier: Secret,
        /// Whether the same request was sent before and its answer lost.
        again: bool,
    },
    AskingForCode,
    Waiting(DeviceWait),
    Polling(DeviceWait),
    WhoAmI(Tokens),
    Over,
}

pub(super) type Turn = Step<Effect, Event<Account>>;

impl OAuthLogin {
    /// Signs in on a page in a browser, which leads back to `redirect_uri`: `http://127.0.0.1:PORT/`
    /// where this program listens, or any page that the person can copy the address of.
    ///
    /// `about` is what the program says of itself; how it is let in need not be there.
    pub fn browser(
        facts: &ServerInfo,
        about: ClientMetadata,
        redirect_uri: impl Into<String>,
    ) -> Self {
        let way = GrantMethod::Browser {
            redirect_uri: redirect_uri.into(),
            sign_up: false,
        };
        Self::new(facts, about, way)
    }

    /// Makes an account on the page, and signs in to it.
    ///
    /// Specification: <https://spec.matrix.org/v1.19/client-server-api/#user-registration>.
    pub fn sign_up(
        facts: &ServerInfo,
        about: ClientMetadata,
        redirect_uri: impl Into<String>,
    ) -> Self {
        let way = GrantMethod::Browser {
            redirect_uri: redirect_uri.into(),
            sign_up: true,
        };
        Self::new(facts, about, way)
    }

    /// Signs in with a code that the person types in on another device.
    pub fn device(facts: &ServerInfo, about: ClientMetadata) -> Self {
        Self::new(facts, about, GrantMethod::Device)
    }

    fn new(facts: &ServerInfo, about: ClientMetadata, way: GrantMethod) -> Self {
        Self {
            id: String::new(),
            server: facts.server.clone(),
            way,
            about,
            device_id: None,
            data: Value::Null,
            provider: None,
            client: None,
            is_client_new: false,
            phase: Phase::New,
            tries: 0,
            last_effect: 0,
        }
    }

    /// Uses the client of [`tables::OAUTH_CLIENTS`] for this server's issuer, where it still fits.
    #[must_use]
    pub fn with_client(mut self, client: OAuthClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Signs in as this device.
    #[must_use]
    pub fn with_device_id(mut self, device_id: impl Into<String>) -> Self {
        self.device_id = Some(device_id.into());
        self
    }

    /// Keeps this with the account.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Leads the browser back here instead, where it has not come back yet: another process listens
    /// at another port.
    #[must_use]
    pub fn with_redirect_uri(mut self, address: impl Into<String>) -> Self {
        // A code is good only with the address that it was handed out for.
        let is_bound = matches!(self.phase, Phase::Redeeming { .. });
        if let (GrantMethod::Browser { redirect_uri, .. }, false) = (&mut self.way, is_bound) {
            let address = address.into();
            let is_known = client::is_same_redirect(redirect_uri, &address);
            if !is_known && matches!(self.phase, Phase::Ready | Phase::Page { .. }) {
                self.phase = Phase::Introducing;
            }
            *redirect_uri = address;
        }
        self
    }

    /// Reads a sign-in back that was stored half-done; step it with [`Input::Start`].
    ///
    /// # Errors
    /// Where the text was not written by [`OAuthLogin`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Its key in [`tables::OAUTH_LOGINS`]; empty before the first step.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it signs in.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Where the browser is to lead back to; none where the code is typed in on another device.
    pub fn redirect_uri(&self) -> Option<&str> {
        match &self.way {
            GrantMethod::Browser { redirect_uri, .. } => Some(redirect_uri),
            GrantMethod::Device => None,
        }
    }

    /// Whether it makes an account, and does not only sign in to one.
    pub fn signs_up(&self) -> bool {
        matches!(self.way, GrantMethod::Browser { sign_up: true, .. })
    }

    /// What it was begun with.
    pub fn data(&self) -> &Value {
        &self.data
    }

    fn start(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        match self.phase.clone() {
            Phase::New => {
                self.id = cx.entropy.text(b"abcdefghijkmnpqrstuvwxyz23456789", 10);
                if self.device_id.is_none() {
                    self.device_id = Some(cx.entropy.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10));
                }
                self.ask_metadata(turn);
            }
            Phase::Metadata => self.ask_metadata(turn),
            Phase::Introducing => self.introduce(cx, turn),
            Phase::Ready => self.go_in(cx, turn),
            Phase::Page { state, verifier } => self.open_page(state, verifier, None, turn),
            // It may have been sent before the program ended.
            Phase::Redeeming { code, verifier, .. } => self.redeem(code, verifier, true, turn),
            Phase::AskingForCode => self.ask_for_code(turn),
            Phase::Waiting(wait) => {
                turn.events.push(Event::Progress(wait.notice()));
                self.wait(cx.now, wait, turn);
            }
            Phase::Polling(mut wait) => {
                wait.is_lost = true;
                turn.events.push(Event::Progress(wait.notice()));
                self.poll(cx.now, wait, turn);
            }
            Phase::WhoAmI(tokens) => self.ask_who(tokens, turn),
            Phase::Over => {}
        }
    }

    fn ask_metadata(&mut self, turn: &mut Turn) {
        self.phase = Phase::Metadata;
        let job = GetAuthMetadata::default().job(&self.server);
        self.send(job, turn);
    }

    fn on_metadata(&mut self, cx: &mut StepContext<'_>, response: &Response, turn: &mut Turn) {
        let server = self.server.clone();
        let metadata = match GetAuthMetadata::read(response) {
            Ok(metadata) => metadata,
            Err(_) if response.status_code() == 404 => {
                return self.end(Err(AuthError::NoOAuth { server }), turn);
            }
            Err(error) => return self.end(Err(AuthError::from_api(&server, error)), turn),
        };
        match Provider::of(&server, metadata) {
            Ok(provider) => self.provider = Some(provider),
            Err(error) => return self.end(Err(error), turn),
        }
        self.introduce(cx, turn);
    }

    /// What is said of the client, as the way in needs it.
    fn wanted(&self, provider: &Provider) -> Result<ClientMetadata, AuthError> {
        match &self.way {
            GrantMethod::Device => Ok(client::device(&self.about)),
            GrantMethod::Browser { redirect_uri, .. } => {
                let has_codes = provider.device_authorization_endpoint.is_some();
                client::browser(&self.about, redirect_uri, has_codes)
            }
        }
    }

    /// Becomes known to the server, unless it is already.
    fn introduce(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        let Some(provider) = self.provider.clone() else {
            return self.ask_metadata(turn);
        };
        let wanted = match self.wanted(&provider) {
            Ok(wanted) => wanted,
            Err(error) => return self.end(Err(error), turn),
        };
        let fits = |client: &OAuthClient| client.fits(cx.now, &provider.issuer, &wanted);
        if self.client.as_ref().is_some_and(fits) {
            return self.go_in(cx, turn);
        }
        self.client = None;
        self.phase = Phase::Introducing;
        let job = RegisterClient::new(wanted).job(&provider.registration_endpoint);
        self.send_to_issuer(job, turn);
    }

    fn on_introduced(&mut self, cx: &mut StepContext<'_>, response: &Response, turn: &mut Turn) {
        let Some(provider) = self.provider.clone() else {
            return self.ask_metadata(turn);
        };
        let named = RegisterClient::read(response).map_err(|error| self.refused(error));
        let client = named.and_then(|answer| {
            let wanted = self.wanted(&provider)?;
            Ok(OAuthClient::named(&provider, wanted, answer))
        });
        match client {
            Ok(client) => {
                // Durable before it is used: another sign-in finds it.
                client.put_into(&mut turn.writes);
                self.client = Some(client);
                self.is_client_new = true;
                self.go_in(cx, turn);
            }
            Err(error) => self.end(Err(error), turn),
        }
    }

    fn go_in(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        match self.way.clone() {
            GrantMethod::Browser { sign_up, .. } => {
                self.tell_route(sign_up, turn);
                self.new_page(cx, turn);
            }
            GrantMethod::Device => self.ask_for_code(turn),
        }
    }

    /// The server has forgotten the client: it is introduced anew, once.
    ///
    /// Gives the refusal back where it is another one.
    pub(super) fn introduce_anew(
        &mut self,
        cx: &mut StepContext<'_>,
        refusal: OAuthErrorResponse,
        turn: &mut Turn,
    ) -> Option<OAuthErrorResponse> {
        let is_unknown = matches!(
            refusal.code,
            OAuthErrorCode::InvalidClient | OAuthErrorCode::UnauthorizedClient
        );
        if !is_unknown || self.is_client_new {
            return Some(refusal);
        }
        self.client = None;
        let issuer = self.issuer();
        settling(
            format!("{issuer} does not know this program any more"),
            turn,
        );
        turn.writes.remove(tables::OAUTH_CLIENTS, issuer);
        self.introduce(cx, turn);
        None
    }

    /// What was handed out is void: the person is asked to let the program in again.
    pub(super) fn begin_again(&mut self, cx: &mut StepContext<'_>, why: String, turn: &mut Turn) {
        if self.one_more_try() {
            settling(why, turn);
            return self.go_in(cx, turn);
        }
        let server = self.server.clone();
        self.end(Err(AuthError::Endless { server }), turn);
    }

    /// Counts a try: whether it is not one too many.
    pub(super) fn one_more_try(&mut self) -> bool {
        self.tries += 1;
        self.tries <= MOST_TRIES
    }

    pub(super) fn issuer(&self) -> String {
        let provider = self.provider.as_ref();
        provider.map_or_else(|| self.server.to_string(), |known| known.issuer.clone())
    }

    pub(super) fn refused(&self, error: OAuthError) -> AuthError {
        AuthError::from_oauth(&self.server, self.issuer(), error)
    }

    pub(super) fn turned_down(&self, refusal: OAuthErrorResponse) -> AuthError {
        AuthError::OAuthRefused {
            issuer: self.issuer(),
            refusal: Box::new(refusal),
        }
    }

    pub(super) fn unreachable(&self, error: TransportError) -> AuthError {
        AuthError::Unreachable {
            server: self.server.clone(),
            error,
        }
    }

    /// Sends to an address that the metadata named.
    pub(super) fn send_to_issuer(
        &mut self,
        job: Result<Job, matricula_api::oauth::EndpointUrlError>,
        turn: &mut Turn,
    ) {
        match job {
            Ok(job) => self.send(job, turn),
            Err(error) => {
                let (server, what) = (self.server.clone(), error.to_string());
                self.end(Err(AuthError::NotMatrix { server, what }), turn);
            }
        }
    }

    pub(super) fn send(&mut self, job: Job, turn: &mut Turn) {
        let id = self.next_effect();
        turn.effects.push(Effect::Send(id, Box::new(job)));
    }

    pub(super) fn next_effect(&mut self) -> EffectId {
        self.last_effect += 1;
        EffectId(self.last_effect)
    }

    pub(super) fn account_data(&self) -> (ServerUrl, Value) {
        (self.server.clone(), self.data.clone())
    }

    /// It is over: there is a session, or certainly none.
    pub(super) fn end(&mut self, result: Result<Account, AuthError>, turn: &mut Turn) {
        if let Ok(account) = &result {
            account.write_to(&mut turn.writes);
        }
        self.phase = Phase::Over;
        turn.effects.clear();
        turn.events.push(Event::Finished(result));
    }

    /// It ends for now, and is kept: [`Input::Start`] goes on from `phase`.
    pub(super) fn pause(&mut self, phase: Phase, error: AuthError, turn: &mut Turn) {
        self.phase = phase;
        turn.effects.clear();
        turn.events.push(Event::Finished(Err(error)));
    }

    fn on_outcome(&mut self, cx: &mut StepContext<'_>, outcome: Outcome, turn: &mut Turn) {
        match (self.phase.clone(), outcome) {
            (Phase::Metadata, Outcome::Responded(response)) => {
                self.on_metadata(cx, &response, turn)
            }
            (Phase::Introducing, Outcome::Responded(response)) => {
                self.on_introduced(cx, &response, turn);
            }
            (Phase::AskingForCode, Outcome::Responded(response)) => {
                self.on_code(cx, &response, turn)
            }
            (
                Phase::Redeeming {
                    code,
                    verifier,
                    again,
                },
                outcome,
            ) => {
                self.on_redeemed(cx, (code, verifier, again), outcome, turn);
            }
            (Phase::Polling(wait), outcome) => self.on_polled(cx, wait, outcome, turn),
            (Phase::WhoAmI(tokens), outcome) => self.on_who(cx, tokens, outcome, turn),
            // Nothing is lost: the person has not done anything yet.
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                let error = self.unreachable(error);
                self.end(Err(error), turn);
            }
            _ => self.end(Err(AuthError::Cancelled), turn),
        }
    }
}

/// Tells how something is settled that went wrong on the way.
pub(super) fn settling(what: String, turn: &mut Turn) {
    turn.events.push(Event::Progress(Progress::Settling(what)));
}

impl Machine for OAuthLogin {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        let was_over = self.phase == Phase::Over;
        match (input, self.phase.clone()) {
            (Input::Start, _) => self.start(cx, &mut turn),
            // An answer that nobody waits for any more.
            (Input::Outcome(id, _) | Input::Answer(id, _) | Input::Waited(id), _)
                if id.0 != self.last_effect =>
            {
                return turn;
            }
            (Input::Answer(_, reply), Phase::Page { state, verifier }) => {
                self.on_page(cx, (state, verifier), reply, &mut turn);
            }
            (Input::Waited(_), Phase::Waiting(wait)) => self.poll(cx.now, wait, &mut turn),
            (Input::Outcome(_, outcome), phase) if phase.has_sent() => {
                self.on_outcome(cx, outcome, &mut turn);
            }
            _ => return turn,
        }
        if self.phase != Phase::Over {
            // Texts, numbers and flags: this always has a JSON form.
            let json = serde_json::to_vec(self).unwrap_or_default();
            turn.writes.put(tables::OAUTH_LOGINS, self.id.clone(), json);
        } else if !was_over {
            turn.writes.remove(tables::OAUTH_LOGINS, self.id.clone());
        }
        turn
    }
}

impl Phase {
    /// Whether a request is on its way.
    fn has_sent(&self) -> bool {
        matches!(
            self,
            Self::Metadata
                | Self::Introducing
                | Self::Redeeming { .. }
                | Self::AskingForCode
                | Self::Polling(_)
                | Self::WhoAmI(_)
        )
    }
}

impl Conversation for OAuthLogin {
    type Output = Account;
}
