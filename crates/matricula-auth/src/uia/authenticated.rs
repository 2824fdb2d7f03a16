//! Any operation that a server does only once it knows who is there.

use std::collections::VecDeque;

use matricula_api::{
    ApiError, ErrorCode, MatrixError, UserId, fallback,
    uia::{AuthData, Interactive, Stage, ThreepidCreds, UiaInfo, UserIdentifier},
};
use matricula_core::{
    Auth, EffectId, Job, Machine, OperationAuth, Response, Secret, ServerUrl, Step, StepContext,
    Timestamp, scheduler::Outcome,
};

use super::{Backoff, KnownAnswers, UiaDecision, UiaSession};
use crate::{
    Account, Answer, AuthError, Conversation, Effect, Event, Input, Progress, Prompt,
    StagesNotSupported, address::is_web_page,
};

/// Requests that one operation may take before the server is said to ask without end. Looks for what
/// is done elsewhere have a bound of their own.
const MOST_REQUESTS: u32 = 40;
/// How often the person may try another password or token.
const MOST_TRIES: u32 = 5;

/// Sends a request to an operation that may ask who is there, and does what it asks for.
///
/// It takes the way that asks least of the person. A password that is known is tried before the
/// person is asked; what only a page of the server can do is left to a browser and waited for.
/// Each request repeats the whole body. No stage is done twice in one session.
///
/// A request whose answer is lost is not sent again here unless that is harmless: it ends with
/// [`AuthError::MayBeDone`].
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>.
#[derive(Clone, Debug)]
pub struct UiaRequest<E> {
    server: ServerUrl,
    auth: Auth,
    user_id: Option<UserId>,
    request: E,
    /// Those that are known, and were not refused yet.
    passwords: VecDeque<Secret>,
    token: Option<Secret>,
    accepts_terms: bool,
    proof: Option<(Stage, ThreepidCreds)>,
    progress: UiaSession,
    /// Whether the session is of an earlier run: the server may have forgotten it.
    resumed: bool,
    patience: Option<Backoff>,
    phase: Phase,
    requests: u32,
    tries: u32,
    last_effect: u64,
}

/// What it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Sent { stage: Option<Stage> },
    Asking(Ask),
    Waiting { stage: Stage },
    Over,
}

/// What the person was asked, and why again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ask {
    Password {
        user_id: UserId,
        why: Option<String>,
    },
    Token {
        why: Option<String>,
    },
    Terms,
    Page {
        stage: Stage,
        why: Option<String>,
    },
}

type Turn<E> = Step<Effect, Event<<E as matricula_api::Endpoint>::Response>>;

impl<E: Interactive + Clone> UiaRequest<E> {
    /// Sends the request in the session of this account. A password that is kept with the account is
    /// tried first.
    pub fn new(account: &Account, request: E) -> Self {
        let credential = account.credential();
        let auth = match E::OPERATION.auth {
            OperationAuth::Required => Auth::Required(credential),
            OperationAuth::Optional => Auth::Optional(credential),
            _ => Auth::None,
        };
        Self {
            auth,
            user_id: Some(account.user_id.clone()),
            passwords: account.password.iter().cloned().collect(),
            ..Self::without_session(account.server.clone(), request)
        }
    }

    /// Sends the request in nobody's session, where the operation allows that.
    pub fn without_session(server: ServerUrl, request: E) -> Self {
        Self {
            server,
            auth: Auth::None,
            user_id: None,
            request,
            passwords: VecDeque::new(),
            token: None,
            accepts_terms: false,
            proof: None,
            progress: UiaSession::default(),
            resumed: false,
            patience: None,
            phase: Phase::New,
            requests: 0,
            tries: 0,
            last_effect: 0,
        }
    }

    /// Tries this password of the account, too, before the person is asked for it.
    #[must_use]
    pub fn with_password(mut self, password: Secret) -> Self {
        if !self.passwords.contains(&password) {
            self.passwords.push_front(password);
        }
        self
    }

    /// Proves an address with this, where the server asks for that stage.
    #[must_use]
    pub fn with_proof(mut self, stage: Stage, creds: ThreepidCreds) -> Self {
        self.proof = Some((stage, creds));
        self
    }

    /// Goes on in a session that the server named to an earlier conversation with the same request:
    /// the person has done a stage on a page meanwhile. Where the server knows it no more, a new one
    /// is begun.
    #[must_use]
    pub fn with_session(mut self, session: impl Into<String>) -> Self {
        self.progress.session = Some(session.into());
        self.resumed = true;
        self
    }

    /// Numbers its effects from the one after this: the conversation that it is a part of has had
    /// those before.
    pub(crate) fn after_effect(mut self, last_effect: u64) -> Self {
        self.last_effect = last_effect;
        self
    }

    pub(crate) fn last_effect(&self) -> u64 {
        self.last_effect
    }

    /// The same once more, after it is over: in the same session, where the server still knows it.
    pub(crate) fn begin_again(&mut self, last_effect: u64) {
        self.progress.flow = None;
        self.progress.done.clear();
        self.resumed = self.progress.session.is_some();
        self.requests = 0;
        self.last_effect = last_effect;
        self.phase = Phase::New;
    }

    /// The password that was given last, or would be next.
    pub(crate) fn password(&self) -> Option<&Secret> {
        self.passwords.front()
    }

    fn start(&mut self, turn: &mut Turn<E>) {
        match self.progress.session.clone() {
            Some(session) => {
                let auth = AuthData::completed_elsewhere(session);
                self.send(None, Some(auth), turn);
            }
            None => self.send(None, None, turn),
        }
    }

    fn send(&mut self, stage: Option<Stage>, auth: Option<AuthData>, turn: &mut Turn<E>) {
        self.requests += 1;
        if self.requests > MOST_REQUESTS {
            let server = self.server.clone();
            return self.end(Err(AuthError::Endless { server }), turn);
        }
        let request = self.request.clone();
        let request = match auth {
            Some(auth) => request.with_auth(auth),
            None => request,
        };
        let job: Job = request.job(&self.server).with_auth(self.auth.clone());
        self.phase = Phase::Sent { stage };
        let id = self.next_effect();
        turn.effects.push(Effect::Send(id, Box::new(job)));
    }

    fn next_effect(&mut self) -> EffectId {
        self.last_effect += 1;
        EffectId(self.last_effect)
    }

    fn ask(&mut self, ask: Ask, turn: &mut Turn<E>) {
        let question = match ask.clone() {
            Ask::Password { user_id, why } => Prompt::CurrentPassword { user_id, why },
            Ask::Token { why } => Prompt::RegistrationToken { why },
            Ask::Terms => Prompt::AcceptTerms {
                policies: self.progress.policies(),
            },
            Ask::Page { stage, why } => Prompt::StagePage {
                url: self.page(&stage),
                stage,
                why,
            },
        };
        self.phase = Phase::Asking(ask);
        let id = self.next_effect();
        turn.effects.push(Effect::Ask(id, question));
    }

    /// Where a browser does the stage: the page that the server names for it, else its fallback.
    fn page(&self, stage: &Stage) -> String {
        let offered = self.progress.offered.as_ref();
        let named = offered.and_then(UiaInfo::oauth_url);
        match named {
            Some(url) if *stage == Stage::OAuth && is_web_page(&url) => url,
            _ => fallback::auth_page(&self.server, stage, self.progress.session.as_deref()),
        }
    }

    fn known(&self) -> KnownAnswers {
        KnownAnswers {
            token: self.token.is_some(),
            terms: self.accepts_terms,
            email: matches!(self.proof, Some((Stage::EmailIdentity, _))),
            phone: matches!(self.proof, Some((Stage::Msisdn, _))),
            password: !self.passwords.is_empty(),
        }
    }

    /// Whether only a page of the server can do the stage.
    fn is_elsewhere(&self, stage: &Stage) -> bool {
        let is_proved = matches!(&self.proof, Some((proved, _)) if proved == stage);
        let is_here = match stage {
            Stage::Password => self.user_id.is_some(),
            Stage::Dummy | Stage::RegistrationToken | Stage::Terms => true,
            _ => is_proved,
        };
        !is_here
    }

    /// Does the next stage of the way.
    fn go_on(&mut self, turn: &mut Turn<E>) {
        let known = self.known();
        let tell = |notice| turn.events.push(Event::Progress(notice));
        if !self.progress.choose(known, tell) {
            let what = "it asks who is there, and offers no way to say it".to_owned();
            let server = self.server.clone();
            return self.end(Err(AuthError::NotMatrix { server, what }), turn);
        }
        match self.progress.next() {
            Some(Stage::Password) if self.passwords.is_empty() => self.ask_password(None, turn),
            Some(Stage::RegistrationToken) if self.token.is_none() => {
                self.ask(Ask::Token { why: None }, turn);
            }
            Some(Stage::Terms) if !self.progress.can_read_terms() => {
                let what = "the terms that it asks to accept are not well-formed".to_owned();
                let server = self.server.clone();
                self.end(Err(AuthError::NotMatrix { server, what }), turn);
            }
            Some(Stage::Terms) if !self.accepts_terms => self.ask(Ask::Terms, turn),
            Some(stage) if self.is_elsewhere(&stage) => {
                self.ask(Ask::Page { stage, why: None }, turn);
            }
            Some(stage) => self.try_stage(stage, turn),
            None => {
                let server = self.server.clone();
                self.end(Err(AuthError::Endless { server }), turn);
            }
        }
    }

    fn try_stage(&mut self, stage: Stage, turn: &mut Turn<E>) {
        let session = self.progress.session.clone();
        let auth = match session.clone() {
            Some(session) if self.is_elsewhere(&stage) => AuthData::completed_elsewhere(session),
            _ => AuthData {
                identifier: self
                    .user_id
                    .as_ref()
                    .filter(|_| stage == Stage::Password)
                    .map(|user_id| UserIdentifier::user(user_id.as_str())),
                password: self
                    .passwords
                    .front()
                    .filter(|_| stage == Stage::Password)
                    .cloned(),
                token: self
                    .token
                    .clone()
                    .filter(|_| stage == Stage::RegistrationToken),
                threepid_creds: self
                    .proof
                    .as_ref()
                    .filter(|(proved, _)| *proved == stage)
                    .map(|(_, creds)| creds.clone()),
                ..AuthData::stage(stage.clone(), session)
            },
        };
        self.send(Some(stage), Some(auth), turn);
    }

    fn on_outcome(&mut self, now: Timestamp, outcome: Outcome, turn: &mut Turn<E>) {
        let Phase::Sent { stage } = self.phase.clone() else {
            return;
        };
        let server = self.server.clone();
        match outcome {
            Outcome::Responded(response) => self.on_answer(now, stage, &response, turn),
            Outcome::Failed(error) => {
                self.end(Err(AuthError::Unreachable { server, error }), turn);
            }
            Outcome::InDoubt(error) => {
                let what = error.to_string();
                self.end(Err(AuthError::MayBeDone { server, what }), turn);
            }
            _ => self.end(Err(AuthError::Cancelled), turn),
        }
    }

    fn on_answer(
        &mut self,
        now: Timestamp,
        stage: Option<Stage>,
        response: &Response,
        turn: &mut Turn<E>,
    ) {
        let resumed = std::mem::take(&mut self.resumed);
        let was_authenticated = stage.is_some() || self.progress.session.is_some();
        let server = self.server.clone();
        match E::read(response) {
            Ok(answer) => self.end(Ok(answer), turn),
            Err(ApiError::Uia(info)) => self.on_uia(now, stage, *info, turn),
            // Not every server says with its flows that a password is wrong.
            Err(ApiError::Matrix(error))
                if stage == Some(Stage::Password)
                    && error.status == 401
                    && error.code == ErrorCode::Forbidden =>
            {
                self.on_wrong_password(error.message, turn);
            }
            Err(ApiError::Matrix(error)) if resumed && is_about_the_session(&error) => {
                self.progress.forget();
                self.send(None, None, turn);
            }
            // Half done, perhaps.
            Err(error) if was_authenticated && response.status_code() >= 500 => {
                let what = error.to_string();
                self.end(Err(AuthError::MayBeDone { server, what }), turn);
            }
            // A success that cannot be read.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                let what = message;
                self.end(Err(AuthError::MayBeDone { server, what }), turn);
            }
            Err(error) => self.end(Err(AuthError::from_api(&server, error)), turn),
        }
    }

    fn on_uia(&mut self, now: Timestamp, stage: Option<Stage>, info: UiaInfo, turn: &mut Turn<E>) {
        let elsewhere = stage.clone().filter(|stage| self.is_elsewhere(stage));
        let needs_word = |stage: &Stage| Some(stage) == elsewhere.as_ref();
        match self.progress.take(stage, info, needs_word) {
            UiaDecision::Nothing => {}
            UiaDecision::Done(stage) => {
                self.patience = None;
                turn.events
                    .push(Event::Progress(Progress::StageDone(stage)));
            }
            UiaDecision::NotDone(stage, message) => {
                return self.on_not_done(now, stage, message, turn);
            }
        }
        self.go_on(turn);
    }

    fn on_not_done(&mut self, now: Timestamp, stage: Stage, message: String, turn: &mut Turn<E>) {
        match stage {
            Stage::Password if self.user_id.is_some() => self.on_wrong_password(message, turn),
            Stage::RegistrationToken => {
                self.token = None;
                self.ask(Ask::Token { why: Some(message) }, turn);
            }
            stage if self.is_elsewhere(&stage) || self.proof.is_some() => {
                self.on_not_yet(now, stage, message, turn);
            }
            stage => {
                let server = self.server.clone();
                let error = AuthError::StageFailed {
                    server,
                    stage,
                    message,
                };
                self.end(Err(error), turn);
            }
        }
    }

    /// Tries the next one that is known, else asks.
    fn on_wrong_password(&mut self, message: String, turn: &mut Turn<E>) {
        self.passwords.pop_front();
        match self.passwords.is_empty() {
            false => self.try_stage(Stage::Password, turn),
            true => self.ask_password(Some(message), turn),
        }
    }

    /// Where nobody has a session, there is no account whose password it could be.
    fn ask_password(&mut self, why: Option<String>, turn: &mut Turn<E>) {
        let ask = match self.user_id.clone() {
            Some(user_id) => Ask::Password { user_id, why },
            None => Ask::Page {
                stage: Stage::Password,
                why,
            },
        };
        self.ask(ask, turn);
    }

    /// The server says that a stage is not done elsewhere: waits, while there is patience.
    fn on_not_yet(&mut self, now: Timestamp, stage: Stage, message: String, turn: &mut Turn<E>) {
        let patience = self.patience.as_mut();
        if let Some(moment) = patience.and_then(|patience| patience.next_look(now)) {
            self.phase = Phase::Waiting { stage };
            let id = self.next_effect();
            turn.effects.push(Effect::Wait(id, moment));
            return;
        }
        self.patience = None;
        let why = match message.is_empty() {
            true => "the server says that this is not done yet".to_owned(),
            false => message,
        };
        let why = Some(why);
        self.ask(Ask::Page { stage, why }, turn);
    }

    fn on_waited(&mut self, turn: &mut Turn<E>) {
        if let Phase::Waiting { stage } = self.phase.clone() {
            // Looks have a bound of their own.
            self.requests = self.requests.saturating_sub(1);
            self.try_stage(stage, turn);
        }
    }

    fn on_reply(&mut self, reply: Answer, turn: &mut Turn<E>) {
        let Phase::Asking(ask) = self.phase.clone() else {
            return;
        };
        // Each stage may ask once; what is asked again counts.
        self.tries += u32::from(ask.is_again());
        if self.tries > MOST_TRIES || matches!(reply, Answer::Unavailable | Answer::No) {
            let error = self.unanswered(ask);
            return self.end(Err(error), turn);
        }
        match (ask, reply) {
            (Ask::Password { .. }, Answer::Text(password)) => {
                self.passwords.push_front(password);
                self.try_stage(Stage::Password, turn);
            }
            (Ask::Token { .. }, Answer::Text(token)) => {
                self.token = Some(token);
                self.try_stage(Stage::RegistrationToken, turn);
            }
            (Ask::Terms, Answer::Yes) => {
                self.accepts_terms = true;
                self.try_stage(Stage::Terms, turn);
            }
            (Ask::Page { stage, .. }, Answer::Yes) => {
                self.patience = Some(Backoff::new());
                self.try_stage(stage, turn);
            }
            // An answer to another question than the one asked: ask again.
            (ask, _) => {
                self.tries += 1;
                self.ask(ask, turn);
            }
        }
    }

    /// Why it ends where the person has no answer.
    fn unanswered(&self, ask: Ask) -> AuthError {
        let server = self.server.clone();
        match ask {
            Ask::Password {
                why: Some(message), ..
            } => AuthError::WrongPassword { server, message },
            Ask::Password { user_id, why: None } => AuthError::PasswordNeeded { server, user_id },
            Ask::Token { why: Some(message) } => AuthError::TokenWrong { server, message },
            Ask::Token { why: None } => AuthError::TokenNeeded { server },
            Ask::Terms => AuthError::terms_not_accepted(server, &self.progress.policies()),
            Ask::Page { stage, .. } => self.left_to_a_browser(&stage),
        }
    }

    fn left_to_a_browser(&self, stage: &Stage) -> AuthError {
        let flow = self.progress.flow.iter();
        let stages = flow
            .flat_map(|flow| &flow.stages)
            .filter(|stage| self.is_elsewhere(stage) && !self.progress.done.contains(stage));
        AuthError::StagesNotSupported(Box::new(StagesNotSupported {
            server: self.server.clone(),
            stages: stages.cloned().collect(),
            flows: self
                .progress
                .offered
                .as_ref()
                .map(|info| info.flows.clone())
                .unwrap_or_default(),
            session: self.progress.session.clone(),
            url: self.page(stage),
        }))
    }

    fn end(&mut self, result: Result<E::Response, AuthError>, turn: &mut Turn<E>) {
        self.phase = Phase::Over;
        turn.effects.clear();
        turn.events.push(Event::Finished(result));
    }
}

impl Ask {
    /// Whether an earlier answer was not good enough.
    fn is_again(&self) -> bool {
        match self {
            Self::Password { why, .. } | Self::Token { why } | Self::Page { why, .. } => {
                why.is_some()
            }
            Self::Terms => false,
        }
    }
}

/// Whether a refusal says that the server does not know the session. Synapse says no more than that
/// it is something.
fn is_about_the_session(error: &MatrixError) -> bool {
    matches!(error.code, ErrorCode::Unknown | ErrorCode::NotFound) || error.code.as_str().is_empty()
}

impl<E: Interactive + Clone> Machine for UiaRequest<E> {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<E::Response>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn<E> {
        let mut turn = Step::default();
        match input {
            Input::Start if self.phase == Phase::New => self.start(&mut turn),
            Input::Start => {}
            // An answer that nobody waits for any more.
            Input::Outcome(id, _) | Input::Answer(id, _) | Input::Waited(id)
                if id.0 != self.last_effect => {}
            Input::Outcome(_, outcome) => self.on_outcome(cx.now, outcome, &mut turn),
            Input::Answer(_, reply) => self.on_reply(reply, &mut turn),
            Input::Waited(_) => self.on_waited(&mut turn),
        }
        turn
    }
}

impl<E: Interactive + Clone> Conversation for UiaRequest<E> {
    type Output = E::Response;
}
