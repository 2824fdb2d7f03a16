//! Making an account.
//!
//! The way: check the name where one is wished, ask to register, do the stages that the server
//! wants in the flow that asks least of the person, read the answer. Every step's state is
//! committed, so it goes on after a crash at any point; a request whose answer was lost is settled
//! by replaying the server's session, else by signing in with the password.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#account-registration>.

mod answers;
mod elsewhere;
mod questions;
mod settle;
mod threepid;
mod wishes;

use matricula_api::{
    Endpoint,
    client::registration::{CheckUsernameAvailability, Register, RegisterKind},
    fallback,
    uia::{AuthData, Flow, Stage},
};
use matricula_core::{
    EffectId, Job, Machine, Secret, ServerUrl, Step, StepContext, TransportError,
    scheduler::Outcome, secret::exposed,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use elsewhere::is_elsewhere;
use questions::{Ask, Refusal};
pub use wishes::{AccountKind, Guest, Phone, PhoneError, RegistrationOptions};

use crate::{
    Account, AuthError, Conversation, Effect, Event, Input, PasswordPolicy, ServerInfo,
    account::{generate_password, make_device_id, tables},
    uia::{Backoff, KnownAnswers, UiaSession, Validation},
};

/// Requests that one registration may take before the server is said to ask without end.
const MOST_REQUESTS: u32 = 40;
/// How often the person may try another name, password or token.
const MOST_TRIES: u32 = 5;

/// Makes an account, or makes a user of a [guest](RegistrationOptions::upgrade); ends in an [`Account`], with a session unless the wishes say otherwise.
///
/// It never assumes that the user id has the name that was wished: the server decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    id: String,
    server: ServerUrl,
    oauth_issuer: Option<String>,
    oauth_only: bool,
    prefers_sso: bool,
    /// What the server told of its passwords.
    #[serde(default)]
    password_policy: Option<PasswordPolicy>,
    /// The only way that is to be taken.
    #[serde(default)]
    only_way: Option<Flow>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    no_name_check: bool,
    wishes: RegistrationOptions,
    /// Whether the password was made here and must be kept with the account.
    password_made: bool,
    /// What the caller wants kept with the account.
    data: Value,
    phase: Phase,
    #[serde(default)]
    progress: UiaSession,
    /// Whether it has just been read back: the server may have forgotten its session.
    resumed: bool,
    /// Whether the page of a stage was shown in an earlier run: look before showing it again.
    #[serde(default)]
    look_first: bool,
    /// What every secret that names a proof of an address begins with: made before the first is
    /// sent, so that no crash sends a second message.
    #[serde(with = "exposed", default)]
    client_secret: Secret,
    #[serde(default)]
    validations: Vec<Validation>,
    /// How many addresses were tried.
    #[serde(default)]
    addresses: u32,
    #[serde(default)]
    patience: Option<Backoff>,
    requests: u32,
    tries: u32,
    last_effect: u64,
}

/// What it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    New,
    /// It was kept for going on later.
    Paused {
        /// Whether the person was to do a stage in a browser meanwhile.
        elsewhere: bool,
    },
    CheckingName,
    Registering {
        /// The stage that the request on its way is to complete.
        stage: Option<Stage>,
        /// Whether the same request was sent before and its answer lost.
        replay: bool,
    },
    Asking(Ask),
    /// A message with a link or a code was asked for.
    RequestingMessage {
        /// The stage that it is for.
        stage: Stage,
    },
    /// The code is on its way.
    SubmittingCode {
        /// The stage that it is for.
        stage: Stage,
    },
    /// The person is doing this stage elsewhere.
    Waiting {
        /// Which.
        stage: Stage,
    },
    /// Finding out by signing in whether the account was made.
    SigningIn {
        /// The stage of the request whose answer was lost.
        stage: Option<Stage>,
        /// Whether the server says that somebody has the name.
        is_taken: bool,
    },
    Over,
}

type Turn = Step<Effect, Event<Account>>;

impl Registration {
    /// Registers on the server of these facts.
    pub fn new(facts: &ServerInfo, wishes: RegistrationOptions) -> Self {
        Self {
            id: String::new(),
            server: facts.server.clone(),
            oauth_issuer: facts.oauth_issuer.clone(),
            // A server that keeps Matrix's own sign-in beside OAuth 2.0 may register in both ways.
            oauth_only: facts.oauth_issuer.is_some() && facts.login_flows.is_empty(),
            prefers_sso: facts.prefers_sso(),
            password_policy: facts.password_policy.clone(),
            only_way: None,
            no_name_check: false,
            wishes,
            password_made: false,
            data: Value::Null,
            phase: Phase::New,
            progress: UiaSession::default(),
            resumed: false,
            look_first: false,
            client_secret: Secret::default(),
            validations: Vec::new(),
            addresses: 0,
            patience: None,
            requests: 0,
            tries: 0,
            last_effect: 0,
        }
    }

    /// Does not ask beforehand whether the name is free: the registration itself tells, and some servers
    /// answer the question to one at a time.
    #[must_use]
    pub fn without_name_check(mut self) -> Self {
        self.no_name_check = true;
        self
    }

    /// Takes this way through the server's stages and no other; where it is not offered, the
    /// registration ends with [`AuthError::Closed`].
    #[must_use]
    pub fn with_only_way(mut self, way: Flow) -> Self {
        self.only_way = Some(way);
        self
    }

    /// Keeps this with the account.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Reads a registration back that was stored half-done; step it with [`Input::Start`].
    ///
    /// # Errors
    /// Where the text was not written by [`Registration`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Its key in [`tables::REGISTRATIONS`]; empty before the first step.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it registers.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// The server's name for how far it has come, if it is in the middle of its stages.
    pub fn session(&self) -> Option<&str> {
        self.progress.session.as_deref()
    }

    /// The server's [page](https://spec.matrix.org/v1.19/client-server-api/#fallback) on which a
    /// person can do a stage in a browser.
    pub fn fallback_page(&self, stage: &Stage) -> String {
        fallback::auth_page(&self.server, stage, self.session())
    }

    /// What it was begun with.
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// The same registration with what the person has to add or change, for going on later. An address
    /// that is given again is written to again.
    #[must_use]
    pub fn with_answers(mut self, mut answers: RegistrationOptions) -> Self {
        if self.wishes.upgrade.is_some() {
            // The guest's name stays.
            answers.username = None;
        }
        if answers.username.is_some() || answers.password.is_some() {
            // The server's session is bound to the old ones.
            self.progress.forget();
            self.phase = Phase::Paused { elsewhere: false };
        }
        if answers.password.is_some() {
            self.password_made = false;
        }
        let written_to = [
            answers.email.clone(),
            answers.phone.as_ref().map(ToString::to_string),
        ];
        for one in &mut self.validations {
            if one.is_sent() && written_to.iter().flatten().any(|text| *text == one.address) {
                one.again();
            }
        }
        self.wishes.answer(answers);
        self
    }

    /// The same registration towards another address of the same server.
    #[must_use]
    pub fn with_server(mut self, server: ServerUrl) -> Self {
        self.server = server;
        self
    }

    fn start(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        self.patience = None;
        if self.client_secret.is_empty() {
            let made = cx.entropy.text(b"abcdefghijkmnpqrstuvwxyz23456789", 32);
            self.client_secret = made.into();
        }
        match self.phase.clone() {
            Phase::New => self.begin(cx, turn),
            // Where the person has found the answer meanwhile, it is not asked for again.
            Phase::Paused { elsewhere } => self.take_up(elsewhere, turn),
            Phase::Asking(Ask::Token { .. } | Ask::Terms) => self.take_up(false, turn),
            Phase::Asking(Ask::Page { .. }) | Phase::Waiting { .. } => self.take_up(true, turn),
            Phase::Asking(Ask::Address { .. } | Ask::Link { .. } | Ask::Code { .. })
            | Phase::RequestingMessage { .. }
            | Phase::SubmittingCode { .. } => self.take_up(false, turn),
            Phase::CheckingName => self.check_name(turn),
            Phase::Registering { stage, .. } => {
                let lost = "the program ended before the answer came".to_owned();
                self.settle(stage, false, lost, turn);
            }
            Phase::Asking(ask) => self.ask(ask, turn),
            Phase::SigningIn { stage, is_taken } => self.sign_in(stage, is_taken, turn),
            Phase::Over => {}
        }
    }

    fn begin(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        self.id = cx.entropy.text(b"abcdefghijkmnpqrstuvwxyz23456789", 10);
        if self.wishes.password.is_none() && self.wishes.kind == AccountKind::User {
            let policy = self.password_policy.as_ref();
            let least = policy.map_or(0, |policy| policy.minimum_length);
            self.wishes.password = Some(generate_password(cx.entropy, least));
            self.password_made = true;
        }
        if self.wishes.device_id.is_none() && !self.wishes.inhibit_login {
            self.wishes.device_id = Some(make_device_id(cx.entropy));
        }
        if let Some(guest) = &self.wishes.upgrade {
            self.wishes.username = Some(guest.user_id().localpart().to_owned());
        }
        let server = self.server.clone();
        if self.prefers_sso {
            // The page that servers offer to clients which cannot do single sign-on themselves.
            let url = format!("{server}/_matrix/static/client/login/");
            self.end(Err(AuthError::SsoNeeded { server, url }), turn);
        } else if let Some(issuer) = self.oauth_issuer.clone().filter(|_| self.oauth_only) {
            self.end(Err(AuthError::OAuthNeeded { server, issuer }), turn);
        } else {
            self.begin_with_name(turn);
        }
    }

    /// Goes on after the person was waited for; which way was chosen is told anew.
    fn take_up(&mut self, elsewhere: bool, turn: &mut Turn) {
        self.resumed = true;
        self.progress.flow = None;
        self.look_first = elsewhere;
        self.go_on(turn);
    }

    fn begin_with_name(&mut self, turn: &mut Turn) {
        // The name of a guest who becomes a user is taken: by the guest.
        let is_new = self.wishes.kind == AccountKind::User && self.wishes.upgrade.is_none();
        if self.wishes.username.is_some() && is_new && !self.no_name_check {
            self.check_name(turn);
        } else {
            self.register(None, turn);
        }
    }

    fn check_name(&mut self, turn: &mut Turn) {
        self.phase = Phase::CheckingName;
        // Servers lower-case names when they register them, and some refuse to do so when asked.
        let name = self.username().to_lowercase();
        let job = CheckUsernameAvailability::new(name).job(&self.server);
        self.send(job, turn);
    }

    fn username(&self) -> &str {
        self.wishes.username.as_deref().unwrap_or_default()
    }

    /// Asks to register, doing `stage` if one is to be done.
    fn register(&mut self, stage: Option<Stage>, turn: &mut Turn) {
        // The first request has the password in it: one that will be refused is not sent.
        if let Some(refused) = self.weakness().filter(|_| stage.is_none()) {
            return self.ask(Ask::Password { refused }, turn);
        }
        let auth = self.auth(stage.clone());
        self.phase = Phase::Registering {
            stage,
            replay: false,
        };
        self.send_registration(auth, turn);
    }

    /// How the password breaks the rules that the server told.
    fn weakness(&self) -> Option<Refusal> {
        let password = self.wishes.password.as_ref()?;
        let (code, message) = self.password_policy.as_ref()?.complaint(password)?;
        Some(Refusal { code, message })
    }

    fn auth(&self, stage: Option<Stage>) -> Option<AuthData> {
        let stage = stage?;
        if is_elsewhere(&stage) {
            return Some(AuthData::completed_elsewhere(
                self.progress.session.clone()?,
            ));
        }
        let token = self
            .wishes
            .token
            .clone()
            .filter(|_| stage == Stage::RegistrationToken);
        Some(AuthData {
            token,
            threepid_creds: self.creds(&stage),
            ..AuthData::stage(stage, self.progress.session.clone())
        })
    }

    fn send_registration(&mut self, auth: Option<AuthData>, turn: &mut Turn) {
        let wishes = &self.wishes;
        let mut request = Register {
            auth,
            initial_device_display_name: wishes.device_name.clone(),
            ..Register::default()
        };
        if wishes.kind == AccountKind::Guest {
            // A server ignores everything else of a guest's request.
            request.kind = Some(RegisterKind::Guest);
        } else {
            request.username = wishes.username.clone();
            request.password = wishes.password.clone();
            request.device_id = wishes.device_id.clone();
            request.inhibit_login = wishes.inhibit_login.then_some(true);
            request.refresh_token = wishes.refresh_token.then_some(true);
            request.guest_access_token = wishes.upgrade.as_ref().map(|guest| guest.token().clone());
        }
        let job = request.job(&self.server);
        self.send(job, turn);
    }

    fn send(&mut self, job: Job, turn: &mut Turn) {
        self.requests += 1;
        if self.requests > MOST_REQUESTS {
            self.end(
                Err(AuthError::Endless {
                    server: self.server.clone(),
                }),
                turn,
            );
            return;
        }
        self.last_effect += 1;
        turn.effects
            .push(Effect::Send(EffectId(self.last_effect), Box::new(job)));
    }

    fn begin_or_register(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Paused { .. }) {
            self.begin_with_name(turn)
        } else {
            self.register(None, turn)
        }
    }

    /// Does the next stage of the flow, or asks to register if none was offered yet.
    fn go_on(&mut self, turn: &mut Turn) {
        if self.progress.offered.is_none() {
            return self.begin_or_register(turn);
        }
        let known = self.known();
        let tell = |notice| turn.events.push(Event::Progress(notice));
        if !self.progress.choose(known, tell) {
            let server = self.server.clone();
            let message = "it offers no way to register".to_owned();
            return self.end(Err(AuthError::Closed { server, message }), turn);
        }
        match self.progress.next() {
            Some(Stage::RegistrationToken) if self.wishes.token.is_none() => {
                self.ask(Ask::Token { refused: None }, turn);
            }
            Some(Stage::Terms) if !self.progress.can_read_terms() => {
                let what = "the terms that it asks to accept are not well-formed".to_owned();
                let server = self.server.clone();
                self.end(Err(AuthError::NotMatrix { server, what }), turn);
            }
            Some(Stage::Terms) if !self.wishes.accept_terms => self.ask(Ask::Terms, turn),
            Some(stage @ (Stage::EmailIdentity | Stage::Msisdn)) => self.prove(stage, turn),
            Some(stage) if is_elsewhere(&stage) => self.open_page(stage, turn),
            Some(stage) => self.register(Some(stage), turn),
            None => self.end(
                Err(AuthError::Endless {
                    server: self.server.clone(),
                }),
                turn,
            ),
        }
    }

    fn known(&self) -> KnownAnswers {
        KnownAnswers {
            token: self.wishes.token.is_some(),
            terms: self.wishes.accept_terms,
            email: self.wishes.email.is_some(),
            phone: self.wishes.phone.is_some(),
            password: false,
        }
    }

    fn finish(&mut self, mut account: Account, turn: &mut Turn) {
        account.password = self.wishes.password.clone().filter(|_| self.password_made);
        account.is_guest = self.wishes.kind == AccountKind::Guest;
        self.end(Ok(account), turn);
    }

    /// It is over: there is an account, or certainly none.
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

    fn on_outcome(&mut self, cx: &StepContext<'_>, outcome: Outcome, turn: &mut Turn) {
        let phase = self.phase.clone();
        match (phase.clone(), outcome) {
            (Phase::CheckingName, Outcome::Responded(response)) => {
                self.on_availability(&response, turn)
            }
            (Phase::CheckingName, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                let error = self.unreachable(error);
                self.end(Err(error), turn);
            }
            (Phase::Registering { stage, replay }, Outcome::Responded(response)) => {
                self.on_registration(cx.now, (stage, replay), &response, turn);
            }
            (Phase::Registering { stage, .. }, Outcome::InDoubt(error)) => {
                let replay = matches!(phase, Phase::Registering { replay: true, .. });
                self.settle(stage, replay, error.to_string(), turn);
            }
            (Phase::Registering { replay: false, .. }, Outcome::Failed(error)) => {
                let error = self.unreachable(error);
                self.pause(Phase::Paused { elsewhere: false }, error, turn);
            }
            (Phase::RequestingMessage { stage }, Outcome::Responded(response)) => {
                self.on_message(stage, &response, turn);
            }
            (Phase::SubmittingCode { stage }, Outcome::Responded(response)) => {
                self.on_submitted(stage, &response, turn);
            }
            (Phase::RequestingMessage { .. } | Phase::SubmittingCode { .. }, outcome) => {
                self.on_lost_message(outcome, turn);
            }
            (Phase::SigningIn { .. }, Outcome::Responded(response)) => {
                self.on_sign_in(cx.now, &response, turn);
            }
            // What an earlier request did is still not known.
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                let error = self.in_doubt(error.to_string());
                self.pause(phase, error, turn);
            }
            (Phase::CheckingName, _) => self.end(Err(AuthError::Cancelled), turn),
            _ => self.pause(phase, AuthError::Cancelled, turn),
        }
    }

    fn in_doubt(&self, what: String) -> AuthError {
        AuthError::InDoubt {
            server: self.server.clone(),
            what,
        }
    }

    fn unreachable(&self, error: TransportError) -> AuthError {
        AuthError::Unreachable {
            server: self.server.clone(),
            error,
        }
    }
}

impl Machine for Registration {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        let before = self.phase.clone();
        match input {
            Input::Start => self.start(cx, &mut turn),
            // An answer that nobody waits for any more.
            Input::Outcome(id, _) | Input::Answer(id, _) | Input::Waited(id)
                if id.0 != self.last_effect =>
            {
                return turn;
            }
            Input::Outcome(_, outcome) => self.on_outcome(cx, outcome, &mut turn),
            Input::Answer(_, reply) => self.on_reply(reply, &mut turn),
            Input::Waited(_) => self.on_waited(&mut turn),
        }
        if self.phase != Phase::Over {
            // Texts, numbers and flags: this always has a JSON form.
            let json = serde_json::to_vec(self).unwrap_or_default();
            turn.writes
                .put(tables::REGISTRATIONS, self.id.clone(), json);
        } else if before != Phase::Over {
            turn.writes.remove(tables::REGISTRATIONS, self.id.clone());
        }
        turn
    }
}

impl Conversation for Registration {
    type Output = Account;
}
