//! Any operation that needs user-interactive authentication.

use matricula_api::{
    ApiError, ErrorCode, MatrixError,
    uia::{AuthData, Stage, ThreepidCreds, UiaEndpoint},
};
use matricula_core::{
    Auth, Machine, OperationAuth, Response, Secret, ServerUrl, Step, StepContext, Timestamp,
    scheduler::Outcome,
};

use super::{KnownAnswers, UiaFlow, UiaNext, stage_refusal};
use crate::{
    Account, Conversation, Effect, Event, Input, ServerError, UiaError,
    conversation::{ConversationState, MAX_REQUESTS},
};

/// Sends a request to an operation that may need authentication, and does what the server asks for.
///
/// Of the flows that the server offers it takes the one that asks least of the person. A known password
/// is tried before the person is asked. A stage that only a page of the server can complete is left to
/// a browser, and the server is polled until it is complete. No stage is completed twice in one session.
///
/// A request whose response is lost is not sent again, unless that is harmless: it ends with
/// [`UiaError::MayBeDone`].
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>.
#[derive(Clone, Debug)]
pub struct UiaRequest<E: UiaEndpoint> {
    server: ServerUrl,
    auth: Auth,
    request: E,
    validated: Option<(Stage, ThreepidCreds)>,
    flow: UiaFlow,
    phase: Phase,
    conversation: ConversationState<E::Response, UiaError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    New,
    /// A request was sent, to complete this stage.
    Sent(Option<Stage>),
    /// The flow asks the person, or waits.
    Authenticating,
}

impl<E: UiaEndpoint + Clone> UiaRequest<E> {
    /// Sends the request in the session of this account. The password that is stored with the account
    /// is tried first.
    pub fn new(account: &Account, request: E) -> Self {
        let credential = account.credential();
        let server = account.server.clone();
        let mut flow = UiaFlow::new(server.clone(), Some(account.user_id.clone()));
        flow.passwords = account.password.iter().cloned().collect();
        Self {
            auth: match E::OPERATION.auth {
                OperationAuth::Required => Auth::Required(credential),
                OperationAuth::Optional => Auth::Optional(credential),
                _ => Auth::None,
            },
            flow,
            ..Self::without_session(server, request)
        }
    }

    /// Sends the request without a session, if the operation allows that.
    pub fn without_session(server: ServerUrl, request: E) -> Self {
        Self {
            flow: UiaFlow::new(server.clone(), None),
            server,
            auth: Auth::None,
            request,
            validated: None,
            phase: Phase::New,
            conversation: ConversationState::default(),
        }
    }

    /// Tries this password before the person is asked for it. May be called several times: the last one
    /// is tried first.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        if !self.flow.passwords.contains(&password) {
            self.flow.passwords.push_front(password);
        }
        self
    }

    /// Completes this stage with a validated address.
    #[must_use]
    pub fn validated_threepid(mut self, stage: Stage, creds: ThreepidCreds) -> Self {
        self.flow.owner_validates = vec![stage.clone()];
        self.validated = Some((stage, creds));
        self
    }

    /// Continues in a session that the server named to an earlier conversation with the same request, in
    /// which the person has completed a stage on a page. If the server no longer knows the session, a new
    /// one begins.
    #[must_use]
    pub fn uia_session(mut self, session: impl Into<String>) -> Self {
        self.flow.session.id = Some(session.into());
        self.flow.resume(false);
        self
    }

    /// Sends the request again, after it has ended: in the same session, if the server still knows it.
    pub(crate) fn restart(&mut self) {
        self.flow.restart();
        self.conversation.restart();
        self.phase = Phase::New;
    }

    /// The password that was accepted last, or the next one to try.
    pub(crate) fn last_password(&self) -> Option<&Secret> {
        self.flow.passwords.front()
    }

    /// Steps this request as a part of another conversation. Returns its result if it has ended.
    pub(crate) fn step_within<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Option<Result<E::Response, UiaError>> {
        self.conversation.continue_after(conversation);
        let step = self.step(cx, input);
        conversation.continue_after(&self.conversation);
        conversation.take_over(step)
    }

    fn start(&mut self) {
        let session = self.flow.session.id.clone();
        self.send(None, session.map(AuthData::completed_out_of_band));
    }

    fn send(&mut self, stage: Option<Stage>, auth: Option<AuthData>) {
        if self.conversation.requests() >= MAX_REQUESTS {
            let server = self.server.clone();
            return self.conversation.fail(UiaError::Endless { server });
        }
        let request = self.request.clone();
        let request = match auth {
            Some(auth) => request.with_auth(auth),
            None => request,
        };
        self.phase = Phase::Sent(stage);
        self.conversation
            .send(request.job(&self.server).with_auth(self.auth.clone()));
    }

    fn creds(&self, stage: &Stage) -> Option<ThreepidCreds> {
        let validated = self
            .validated
            .as_ref()
            .filter(|(validated, _)| validated == stage);
        validated.map(|(_, creds)| creds.clone())
    }

    fn known(&self) -> KnownAnswers {
        KnownAnswers {
            email: self.creds(&Stage::EmailIdentity).is_some(),
            phone: self.creds(&Stage::Msisdn).is_some(),
            ..KnownAnswers::default()
        }
    }

    fn apply(&mut self, next: UiaNext) {
        match next {
            UiaNext::Wait => self.phase = Phase::Authenticating,
            UiaNext::Request(stage) | UiaNext::Validate(stage, None) => {
                let auth = self.flow.auth(&stage, self.creds(&stage));
                self.send(Some(stage), Some(auth));
            }
            UiaNext::Finish => self.send(None, self.flow.session_alone()),
            UiaNext::Validate(stage, why) => {
                let next = self.flow.ask_page(&mut self.conversation, stage, why);
                self.apply(next);
            }
            UiaNext::NoFlow(words) => {
                let mut what = "it asks for authentication, and offers no flow".to_owned();
                if let Some(words) = words {
                    what += &format!(": {words:?}");
                }
                self.conversation
                    .fail(ServerError::not_matrix(&self.server, what));
            }
            UiaNext::Fail(error, _) => self.conversation.fail(error),
        }
    }

    fn on_outcome(&mut self, now: Timestamp, stage: Option<Stage>, outcome: Outcome) {
        let server = self.server.clone();
        if let Some(what) = outcome.in_doubt() {
            return self.conversation.fail(UiaError::MayBeDone { server, what });
        }
        match ServerError::response(&server, outcome) {
            Ok(response) => self.on_response(now, stage, &response),
            Err(error) => self.conversation.fail(error),
        }
    }

    fn on_response(&mut self, now: Timestamp, stage: Option<Stage>, response: &Response) {
        let is_resumed = self.flow.take_resumed();
        let server = self.server.clone();
        match E::read(response) {
            Ok(result) => self.conversation.finish(Ok(result)),
            Err(ApiError::Uia(info)) => {
                let known = self.known();
                let conversation = &mut self.conversation;
                let next = self
                    .flow
                    .on_auth_required(conversation, now, stage, *info, known);
                self.apply(next);
            }
            // Not every server repeats its flows when it refuses a stage.
            Err(ApiError::Matrix(error)) if is_resumed && is_about_the_session(&error) => {
                self.flow.session.forget();
                self.send(None, None);
            }
            // A success that cannot be read.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                let what = message;
                self.conversation.fail(UiaError::MayBeDone { server, what });
            }
            Err(error) => {
                let refusal = |stage: &Stage| stage_refusal(stage, &error, response);
                match stage.as_ref().and_then(refusal).zip(stage) {
                    // Not every server repeats its flows when it refuses a stage.
                    Some((words, stage)) => {
                        let conversation = &mut self.conversation;
                        let next = self.flow.on_not_done(conversation, now, stage, words);
                        self.apply(next);
                    }
                    None => self.conversation.fail(UiaError::from_api(&server, error)),
                }
            }
        }
    }
}

/// Whether a refusal says that the server does not know the session. Synapse's code for that is
/// `M_UNKNOWN`.
fn is_about_the_session(error: &MatrixError) -> bool {
    matches!(error.code, ErrorCode::Unknown | ErrorCode::NotFound) || error.code.as_str().is_empty()
}

impl<E: UiaEndpoint + Clone> Machine for UiaRequest<E> {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<E::Response, UiaError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<E::Response, UiaError>> {
        match (self.conversation.accept(input), self.phase.clone()) {
            (Some(Input::Start), Phase::New) => self.start(),
            (Some(Input::Outcome(_, outcome)), Phase::Sent(stage)) => {
                self.on_outcome(cx.now, stage, outcome);
            }
            (Some(Input::Answer(_, answer)), Phase::Authenticating) => {
                let next = self.flow.on_answer(&mut self.conversation, answer);
                self.apply(next);
            }
            (Some(Input::Waited(_)), Phase::Authenticating) => {
                let next = self.flow.on_waited(&mut self.conversation);
                self.apply(next);
            }
            _ => {}
        }
        self.conversation.take_step()
    }
}

impl<E: UiaEndpoint + Clone> Conversation for UiaRequest<E> {
    type Output = E::Response;
    type Error = UiaError;
}
