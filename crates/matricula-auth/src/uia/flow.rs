//! The state of one user-interactive authentication, and its next action.

use std::collections::VecDeque;

use matricula_api::{
    UserId, fallback,
    uia::{AuthData, Flow, Stage, ThreepidCreds, UiaInfo},
};
use matricula_core::{Secret, ServerUrl, Timestamp, secret::exposed};
use serde::{Deserialize, Serialize};

use super::{
    Backoff, KnownAnswers, UiaSession,
    question::{Resumability, StageQuestion},
    session::StageResult,
};
use crate::{
    Answer, Progress, ServerError, StagesNotSupported, UiaError, conversation::ConversationState,
    server_address::is_web_page,
};

/// One user-interactive authentication: which stages are completed, what is known, what is awaited.
///
/// Its owner sends the requests. After each response it calls [`on_auth_required`](UiaFlow::on_auth_required), and
/// does what [`UiaNext`] says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UiaFlow {
    server: ServerUrl,
    /// The account that the password stage is about; without it a page has to do that stage.
    pub(super) user_id: Option<UserId>,
    /// The stages for which the owner validates an address; otherwise a page has to.
    pub(crate) owner_validates: Vec<Stage>,
    pub(super) state: State,
    pub(crate) session: UiaSession,
    /// Passwords to try, the next one first.
    #[serde(skip)]
    pub(crate) passwords: VecDeque<Secret>,
    #[serde(with = "exposed", default)]
    pub(crate) token: Option<Secret>,
    pub(crate) accepts_terms: bool,
    /// Whether the session is of an earlier run: the server may have forgotten it.
    is_resumed: bool,
    /// Whether a page was shown in an earlier run: poll once before it is shown again.
    polls_first: bool,
    backoff: Option<Backoff>,
}

/// What the flow waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// The owner.
    Idle,
    /// The person's answer.
    Asking(StageQuestion),
    /// The time to poll for this stage.
    Polling(Stage),
}

/// What the owner of a flow does next.
#[derive(Debug)]
pub(crate) enum UiaNext {
    /// Nothing: the flow asks the person, or waits.
    Wait,
    /// Send the request with the [data](UiaFlow::auth) that completes this stage.
    Request(Stage),
    /// No stage is left: send the request with the [session alone](UiaFlow::session_alone).
    Finish,
    /// Validate the address of this stage, then send the request. With a reason if the server does not
    /// know yet that it is validated.
    Validate(Stage, Option<String>),
    /// The server offers no flow; with its words, if it has some.
    NoFlow(Option<String>),
    /// End with this error.
    Fail(UiaError, Resumability),
}

impl UiaFlow {
    /// A new authentication. `user_id` is the account that a password is asked for, if there is one.
    pub(crate) fn new(server: ServerUrl, user_id: Option<UserId>) -> Self {
        Self {
            server,
            user_id,
            owner_validates: Vec::new(),
            state: State::Idle,
            session: UiaSession::default(),
            passwords: VecDeque::new(),
            token: None,
            accepts_terms: false,
            is_resumed: false,
            polls_first: false,
            backoff: None,
        }
    }

    /// Directs the fallback pages to another address of the same server.
    pub(crate) fn set_server(&mut self, server: ServerUrl) {
        self.server = server;
    }

    /// Continues in the session of an earlier run. The flow is chosen, and reported, again.
    pub(crate) fn resume(&mut self, polls_first: bool) {
        self.is_resumed = true;
        self.polls_first = polls_first;
        self.session.flow = None;
        self.session.finishes = false;
        self.stop_polling();
        self.state = State::Idle;
    }

    /// Sends the request of a finished authentication again, in the same session.
    pub(crate) fn restart(&mut self) {
        self.resume(false);
        self.is_resumed = self.session.id.is_some();
        self.session.done.clear();
    }

    /// Asks the person again the next time that a stage is not completed elsewhere.
    pub(crate) fn stop_polling(&mut self) {
        self.backoff = None;
    }

    /// How an authentication that waited for the person when it was stored is resumed.
    pub(crate) fn resumability(&self) -> Resumability {
        match &self.state {
            State::Polling(_) => Resumability::Poll,
            State::Asking(question) => question.resumability(),
            State::Idle => Resumability::Continue,
        }
    }

    /// Whether the session is of an earlier run and this is its first response.
    pub(crate) fn take_resumed(&mut self) -> bool {
        std::mem::take(&mut self.is_resumed)
    }

    /// Handles a response that requires authentication, after a request that was to complete `stage`.
    pub(crate) fn on_auth_required<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        now: Timestamp,
        stage: Option<Stage>,
        info: UiaInfo,
        known: KnownAnswers,
    ) -> UiaNext {
        match self.session.update(stage, info) {
            StageResult::Unknown => {}
            StageResult::Done(stage) => {
                self.backoff = None;
                conversation.progress(Progress::StageDone(stage));
            }
            StageResult::NotDone(stage, message) => {
                return self.on_not_done(conversation, now, stage, message);
            }
        }
        self.advance(conversation, known)
    }

    /// Starts the next stage. Of `known` only the addresses count; the rest is known here.
    pub(crate) fn advance<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        known: KnownAnswers,
    ) -> UiaNext {
        let known = KnownAnswers {
            token: self.token.is_some(),
            terms: self.accepts_terms,
            password: !self.passwords.is_empty(),
            ..known
        };
        if !self
            .session
            .choose(known, |progress| conversation.progress(progress))
        {
            return UiaNext::NoFlow(self.session.words());
        }
        let server = self.server.clone();
        let Some(stage) = self.session.next() else {
            return match std::mem::replace(&mut self.session.finishes, true) {
                true => UiaNext::Fail(UiaError::Endless { server }, Resumability::No),
                false => UiaNext::Finish,
            };
        };
        self.session.finishes = false;
        if self.needs_page(&stage) {
            self.open_page(conversation, stage)
        } else if stage == Stage::Terms && !self.session.can_read_terms() {
            let what = "the terms that it asks to accept are not well-formed";
            UiaNext::Fail(
                ServerError::not_matrix(&server, what).into(),
                Resumability::No,
            )
        } else if let Some(question) = self.question_for(&stage) {
            self.ask(conversation, question)
        } else if self.owner_validates.contains(&stage) {
            UiaNext::Validate(stage, None)
        } else {
            UiaNext::Request(stage)
        }
    }

    /// Tries the next known password, or asks for one.
    pub(crate) fn on_wrong_password<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        message: String,
    ) -> UiaNext {
        self.passwords.pop_front();
        if self.passwords.is_empty() {
            self.ask_password(conversation, Some(message))
        } else {
            UiaNext::Request(Stage::Password)
        }
    }

    /// The stage is not completed elsewhere yet: polls again later, then asks again.
    pub(super) fn on_not_yet<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        now: Timestamp,
        stage: Stage,
        message: String,
    ) -> UiaNext {
        let backoff = self.backoff.as_mut();
        let is_first = backoff.as_ref().is_some_and(|backoff| backoff.is_new());
        if let Some(time) = backoff.and_then(|backoff| backoff.next_poll(now)) {
            if is_first {
                let stage = stage.clone();
                conversation.progress(Progress::StageNotDone { stage, message });
            }
            self.state = State::Polling(stage);
            conversation.wait(time);
            return UiaNext::Wait;
        }
        self.backoff = None;
        let why = if message.is_empty() {
            "the server says that this is not done yet".to_owned()
        } else {
            message
        };
        if self.needs_page(&stage) {
            self.ask_page(conversation, stage, Some(why))
        } else {
            UiaNext::Validate(stage, Some(why))
        }
    }

    /// Polls for a stage that the person completes elsewhere, now and then with growing waits.
    pub(crate) fn poll(&mut self, stage: Stage) -> UiaNext {
        self.backoff = Some(Backoff::new());
        self.state = State::Idle;
        UiaNext::Request(stage)
    }

    /// Handles the end of a wait.
    pub(crate) fn on_waited<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
    ) -> UiaNext {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Polling(stage) => {
                conversation.uncount_request();
                UiaNext::Request(stage)
            }
            state => {
                self.state = state;
                UiaNext::Wait
            }
        }
    }

    /// Handles the person's answer.
    pub(crate) fn on_answer<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        answer: Answer,
    ) -> UiaNext {
        let State::Asking(question) = self.state.clone() else {
            return UiaNext::Wait;
        };
        // Each stage may ask once; what is asked again counts.
        let has_tries_left = conversation.count_try(question.is_repeated());
        if !has_tries_left || matches!(answer, Answer::Unavailable | Answer::No) {
            return UiaNext::Fail(
                self.error_without_answer(&question),
                question.resumability(),
            );
        }
        match self.accept(&question, answer) {
            Some(next) => {
                self.state = State::Idle;
                next
            }
            // The answer is of the wrong kind: ask again.
            None => {
                conversation.count_try(true);
                self.ask(conversation, question)
            }
        }
    }

    /// The authentication data of a request that is to complete `stage`.
    pub(crate) fn auth(&self, stage: &Stage, creds: Option<ThreepidCreds>) -> AuthData {
        let session = self.session.id.clone();
        if self.needs_page(stage)
            && let Some(session) = session
        {
            return AuthData::completed_out_of_band(session);
        }
        let mut auth = AuthData::stage(stage.clone(), session);
        auth.threepid_creds = creds;
        self.add_answer(stage, &mut auth);
        auth
    }

    /// The authentication data of a request for which no stage is left, if this is one.
    pub(crate) fn session_alone(&self) -> Option<AuthData> {
        let session = self.session.id.clone();
        self.session.finishes.then(|| AuthData {
            session,
            ..AuthData::default()
        })
    }

    fn ask_password<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        why: Option<String>,
    ) -> UiaNext {
        match self.user_id.clone() {
            Some(user_id) => self.ask(conversation, StageQuestion::Password { user_id, why }),
            None => self.ask_page(conversation, Stage::Password, why),
        }
    }

    fn open_page<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        stage: Stage,
    ) -> UiaNext {
        if self.session.id.is_none() {
            // Without a session the page cannot tell whom it is about.
            UiaNext::Fail(self.needs_browser(&stage), Resumability::Poll)
        } else if std::mem::take(&mut self.polls_first) {
            UiaNext::Request(stage)
        } else {
            self.ask_page(conversation, stage, None)
        }
    }

    /// The page that completes a stage: the one that the server names for it, or its fallback page.
    pub(crate) fn page(&self, stage: &Stage) -> String {
        let offered = self.session.offered.as_ref();
        match offered.and_then(UiaInfo::oauth_url) {
            Some(url) if *stage == Stage::OAuth && is_web_page(&url) => url,
            _ => fallback::auth_page(&self.server, stage, self.session.id.as_deref()),
        }
    }

    /// The error when no person is there to open the page.
    pub(super) fn needs_browser(&self, stage: &Stage) -> UiaError {
        let is_left = |stage: &&Stage| self.needs_page(stage) && !self.session.done.contains(stage);
        let left = |flow: &Flow| flow.stages.iter().filter(is_left).cloned().collect();
        let offered = self.session.offered.as_ref();
        UiaError::StagesNotSupported(Box::new(StagesNotSupported {
            server: self.server.clone(),
            stages: self.session.flow.as_ref().map(left).unwrap_or_default(),
            flows: offered.map(|info| info.flows.to_vec()).unwrap_or_default(),
            session: self.session.id.clone(),
            url: self.page(stage),
        }))
    }

    pub(super) fn server(&self) -> ServerUrl {
        self.server.clone()
    }
}
