//! Single sign-on: a page of the homeserver, the address it leads back to, and the token in that.

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::{
        definitions::SsoAction,
        login::Login as LoginRequest,
        sso_login_redirect::{RedirectToIdP, RedirectToSso},
    },
    uia::Stage,
};
use matricula_core::{
    EffectId, Job, Machine, Secret, ServerUrl, Step, StepContext, TransportError,
    scheduler::Outcome, secret::exposed,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Account, Answer, AuthError, Conversation, Effect, Event, IdentityProvider, Input, Progress,
    Prompt, ServerInfo, account::tables, oauth::draw,
};

/// How often a page is opened anew, or its answer looked at again: with that, all else is bounded.
const MOST_TRIES: u32 = 5;

/// Signs in, or up, by single sign-on; ends in an [`Account`] with a session. To most servers both
/// are the same page.
///
/// Every step's state is committed to [`tables::SSO_LOGINS`], so it goes on after a crash at any
/// point: read it back with [`SsoLogin::from_stored`] and step it with [`Input::Start`]. A token that
/// the page hands out is good once: where the answer to it is lost, it is sent once more, and if it
/// was used up, the page is opened again.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SsoLogin {
    id: String,
    server: ServerUrl,
    redirect_uri: String,
    signs_up: bool,
    providers: Vec<IdentityProvider>,
    /// The provider that was chosen; the server's own page asks where there is none.
    provider: Option<String>,
    /// What only this program and its browser know: it stands in the address that is led back to.
    #[serde(with = "exposed", default)]
    state: Secret,
    device_id: Option<String>,
    device_name: Option<String>,
    refresh_token: bool,
    data: Value,
    phase: Phase,
    tries: u32,
    last_effect: u64,
}

/// What it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    New,
    Choosing,
    /// The person is on the page.
    Page,
    SigningIn {
        #[serde(with = "exposed")]
        token: Secret,
        /// Whether the same request was sent before and its answer lost.
        again: bool,
    },
    Over,
}

type Turn = Step<Effect, Event<Account>>;

impl SsoLogin {
    /// Signs in on a page in a browser, which leads back to `redirect_uri`, such as
    /// `http://127.0.0.1:PORT/` where this program listens. What it leads back to has a `state`
    /// besides.
    pub fn new(facts: &ServerInfo, redirect_uri: impl Into<String>) -> Self {
        let flows = facts.login_flows.iter();
        let mut sso = flows.filter(|flow| flow.kind == "m.login.sso");
        Self {
            id: String::new(),
            server: facts.server.clone(),
            redirect_uri: redirect_uri.into(),
            signs_up: false,
            providers: sso
                .next()
                .map(|flow| flow.identity_providers.clone())
                .unwrap_or_default(),
            provider: None,
            state: Secret::default(),
            device_id: None,
            device_name: None,
            refresh_token: false,
            data: Value::Null,
            phase: Phase::New,
            tries: 0,
            last_effect: 0,
        }
    }

    /// Makes an account on the page, and signs in to it.
    pub fn sign_up(facts: &ServerInfo, redirect_uri: impl Into<String>) -> Self {
        Self {
            signs_up: true,
            ..Self::new(facts, redirect_uri)
        }
    }

    /// Signs in at this provider, without asking which.
    #[must_use]
    pub fn with_provider(mut self, id: impl Into<String>) -> Self {
        self.provider = Some(id.into());
        self
    }

    /// Signs in as this device.
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
        self.redirect_uri = address.into();
        self
    }

    /// Reads a sign-in back that was stored half-done; step it with [`Input::Start`].
    ///
    /// # Errors
    /// Where the text was not written by [`SsoLogin`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Its key in [`tables::SSO_LOGINS`]; empty before the first step.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it signs in.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Where the browser is to lead back to.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Whether it makes an account, and does not only sign in to one.
    pub fn signs_up(&self) -> bool {
        self.signs_up
    }

    /// What it was begun with.
    pub fn data(&self) -> &Value {
        &self.data
    }

    fn start(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        match self.phase.clone() {
            Phase::New => {
                const SMALL: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
                self.id = cx.entropy.text(SMALL, 10);
                if self.device_id.is_none() {
                    // Made here, so that a sign-in whose answer is lost leaves no second device.
                    self.device_id = Some(cx.entropy.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10));
                }
                self.choose(cx, turn);
            }
            Phase::Choosing => self.choose(cx, turn),
            Phase::Page => self.open_page(None, turn),
            // It may have been sent before the program ended.
            Phase::SigningIn { token, .. } => self.sign_in(token, true, turn),
            Phase::Over => {}
        }
    }

    /// Asks at which provider, where there are several.
    fn choose(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        if self.provider.is_some() || self.providers.len() < 2 {
            return self.new_page(cx, turn);
        }
        self.phase = Phase::Choosing;
        let providers = self.providers.clone();
        let id = self.next_effect();
        turn.effects
            .push(Effect::Ask(id, Prompt::IdentityProvider { providers }));
    }

    fn on_choice(&mut self, cx: &mut StepContext<'_>, reply: Answer, turn: &mut Turn) {
        match reply {
            Answer::No => return self.end(Err(AuthError::Cancelled), turn),
            Answer::Text(id) => {
                let is_known = |provider: &&IdentityProvider| provider.id == id.expose();
                let known = self.providers.iter().find(is_known);
                self.provider = known.map(|provider| provider.id.clone());
            }
            // The server's own page asks too.
            _ => {}
        }
        self.new_page(cx, turn);
    }

    fn new_page(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        let why = match self.signs_up {
            true => {
                "the server makes accounts by single sign-on: registering and signing in are the same page"
            }
            false => "the server lets people in by single sign-on",
        };
        turn.events.push(Event::Progress(Progress::Route {
            stages: vec![Stage::Sso],
            why: why.to_owned(),
        }));
        self.state = draw(cx.entropy);
        self.open_page(None, turn);
    }

    fn open_page(&mut self, why: Option<String>, turn: &mut Turn) {
        self.phase = Phase::Page;
        let question = Prompt::OpenPage {
            url: self.page(),
            redirect_uri: self.redirect_uri.clone(),
            state: self.state.clone(),
            why,
        };
        let id = self.next_effect();
        turn.effects.push(Effect::Ask(id, question));
    }

    fn page(&self) -> Secret {
        let joint = if self.redirect_uri.contains('?') {
            '&'
        } else {
            '?'
        };
        let back = format!("{}{joint}state={}", self.redirect_uri, self.state.expose());
        let action = match self.signs_up {
            true => SsoAction::Register,
            false => SsoAction::Login,
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

    fn on_page(&mut self, reply: Answer, turn: &mut Turn) {
        let address = match reply {
            Answer::Text(address) => address,
            Answer::No => return self.end(Err(AuthError::Cancelled), turn),
            Answer::Yes => Secret::default(),
            Answer::Unavailable => {
                let (issuer, url) = (self.server.to_string(), self.page());
                let error = AuthError::BrowserNeeded { issuer, url };
                return self.pause(Phase::Page, error, turn);
            }
        };
        match read_callback(address.expose().trim(), &self.state) {
            Ok(token) => self.sign_in(token, false, turn),
            // Anyone can make a browser open the address: that must not end it, nor go on for ever.
            Err(what) => {
                if self.one_more_try() {
                    return self.open_page(Some(what.to_owned()), turn);
                }
                let (issuer, what) = (self.server.to_string(), what.to_owned());
                self.end(Err(AuthError::WrongCallback { issuer, what }), turn);
            }
        }
    }

    fn sign_in(&mut self, token: Secret, again: bool, turn: &mut Turn) {
        let mut request = LoginRequest::new("m.login.token");
        request.token = Some(token.clone());
        request.device_id = self.device_id.clone();
        request.initial_device_display_name = self.device_name.clone();
        request.refresh_token = self.refresh_token.then_some(true);
        self.phase = Phase::SigningIn { token, again };
        let job: Job = request.job(&self.server);
        let id = self.next_effect();
        turn.effects.push(Effect::Send(id, Box::new(job)));
    }

    fn on_outcome(
        &mut self,
        cx: &mut StepContext<'_>,
        (token, again): (Secret, bool),
        outcome: Outcome,
        turn: &mut Turn,
    ) {
        let phase = self.phase.clone();
        match outcome {
            Outcome::Responded(response) if response.status_code() >= 500 => {
                let what = format!("it answered with status {}", response.status_code());
                let error = AuthError::NotMatrix {
                    server: self.server.clone(),
                    what: format!("asked to sign in, {what}"),
                };
                self.sign_in_again((token, again), what, error, turn);
            }
            Outcome::Responded(response) => {
                self.on_answer(cx, again, LoginRequest::read(&response), turn);
            }
            Outcome::InDoubt(error) => {
                let what = error.to_string();
                let error = self.unreachable(error);
                self.sign_in_again((token, again), what, error, turn);
            }
            Outcome::Failed(error) => {
                let error = self.unreachable(error);
                self.pause(phase, error, turn);
            }
            _ => self.pause(phase, AuthError::Cancelled, turn),
        }
    }

    /// Sends the same once more: if the first was not processed, it is taken; if it was, the server
    /// knows the token no more, and the page hands out another. Both are the same device.
    fn sign_in_again(
        &mut self,
        (token, again): (Secret, bool),
        what: String,
        error: AuthError,
        turn: &mut Turn,
    ) {
        if again {
            let phase = self.phase.clone();
            return self.pause(phase, error, turn);
        }
        settling(format!("signing in again ({what})"), turn);
        self.sign_in(token, true, turn);
    }

    fn on_answer(
        &mut self,
        cx: &mut StepContext<'_>,
        again: bool,
        answer: Result<matricula_api::client::login::LoginResponse, ApiError>,
        turn: &mut Turn,
    ) {
        match answer {
            Ok(answer) => {
                let account = Account::from_login(&self.server, cx.now, answer, self.data.clone());
                self.end(Ok(account), turn);
            }
            Err(ApiError::RateLimited { retry_after, .. }) => {
                let server = self.server.clone();
                let error = AuthError::RateLimited {
                    server,
                    retry_after,
                };
                let phase = self.phase.clone();
                self.pause(phase, error, turn);
            }
            // Used up by the request whose answer was lost, or too old by now.
            Err(ApiError::Matrix(error))
                if again && error.code == ErrorCode::Forbidden && self.one_more_try() =>
            {
                settling(
                    "the server does not take the page's token any more".to_owned(),
                    turn,
                );
                self.new_page(cx, turn);
            }
            Err(error) => self.end(Err(AuthError::from_api(&self.server, error)), turn),
        }
    }

    fn unreachable(&self, error: TransportError) -> AuthError {
        AuthError::Unreachable {
            server: self.server.clone(),
            error,
        }
    }

    /// Counts a try: whether it is not one too many.
    fn one_more_try(&mut self) -> bool {
        self.tries += 1;
        self.tries <= MOST_TRIES
    }

    fn next_effect(&mut self) -> EffectId {
        self.last_effect += 1;
        EffectId(self.last_effect)
    }

    /// It is over: there is a session, or certainly none.
    fn end(&mut self, result: Result<Account, AuthError>, turn: &mut Turn) {
        if let Ok(account) = &result {
            account.write_to(&mut turn.writes);
        }
        self.phase = Phase::Over;
        turn.effects.clear();
        turn.events.push(Event::Finished(result));
    }

    /// It ends for now, and is kept: [`Input::Start`] goes on from `phase`.
    fn pause(&mut self, phase: Phase, error: AuthError, turn: &mut Turn) {
        self.phase = phase;
        turn.effects.clear();
        turn.events.push(Event::Finished(Err(error)));
    }
}

fn settling(what: String, turn: &mut Turn) {
    turn.events.push(Event::Progress(Progress::Settling(what)));
}

/// The token in the address that the browser was led back to, if that answers this page.
fn read_callback(address: &str, state: &Secret) -> Result<Secret, &'static str> {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let found = fields.find(|(found, _)| found == name);
        found.map(|(_, value)| Secret::from(value.into_owned()))
    };
    // Before anything else: what somebody else made up says nothing.
    if field("state").as_ref() != Some(state) {
        return Err("the browser came back with the answer to another request");
    }
    field("loginToken").ok_or("the browser came back without a token")
}

impl Machine for SsoLogin {
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
            (Input::Answer(_, reply), Phase::Choosing) => self.on_choice(cx, reply, &mut turn),
            (Input::Answer(_, reply), Phase::Page) => self.on_page(reply, &mut turn),
            (Input::Outcome(_, outcome), Phase::SigningIn { token, again }) => {
                self.on_outcome(cx, (token, again), outcome, &mut turn);
            }
            _ => return turn,
        }
        if self.phase != Phase::Over {
            // Texts, numbers and flags: this always has a JSON form.
            let json = serde_json::to_vec(self).unwrap_or_default();
            turn.writes.put(tables::SSO_LOGINS, self.id.clone(), json);
        } else if !was_over {
            turn.writes.remove(tables::SSO_LOGINS, self.id.clone());
        }
        turn
    }
}

impl Conversation for SsoLogin {
    type Output = Account;
}
