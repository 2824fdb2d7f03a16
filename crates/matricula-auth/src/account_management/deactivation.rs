//! Deactivation of an account.

use std::mem;

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError,
    client::{account_deactivation::DeactivateAccount, whoami::WhoAmI},
    oauth::AccountAction,
};
use matricula_core::{Auth, Machine, Secret, Step, StepContext, scheduler::Outcome};

use super::{Credentials, needs_account_page};
use crate::{
    Account, AccountError, Conversation, Effect, Event, Input, UiaError, UiaRequest,
    account::tables, conversation::ConversationState,
};

/// How often deactivation is requested, if it is certain that the last request had no effect.
const MAX_REQUESTS: u32 = 3;

/// Deactivates an account for good, then removes it from the store.
///
/// The stored account stays until it is certain that it is deactivated. If the response is lost, the server
/// is asked whether it still knows the session; if it does, deactivation is requested again.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate>.
#[derive(Clone, Debug)]
pub struct Deactivation {
    account: Account,
    erase: bool,
    credentials: Credentials,
    times: u32,
    phase: Phase,
    conversation: ConversationState<(), AccountError>,
}

#[derive(Clone, Debug)]
enum Phase {
    New,
    Deactivating(Box<UiaRequest<DeactivateAccount>>),
    /// The response was lost, for this reason: asking whether the session is known.
    AskingWho(String),
}

impl Deactivation {
    /// Deactivates this account.
    pub fn new(account: &Account) -> Self {
        Self {
            account: account.clone(),
            erase: false,
            credentials: Credentials::default(),
            times: 0,
            phase: Phase::New,
            conversation: ConversationState::default(),
        }
    }

    /// Whether the server is to hide the account's messages from people who join a room later.
    #[must_use]
    pub fn erase(mut self, is_wanted: bool) -> Self {
        self.erase = is_wanted;
        self
    }

    /// Tries this password before the person is asked for it.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        self.credentials.passwords.push(password);
        self
    }

    /// Continues in a session of the server: see [`UiaRequest::uia_session`].
    #[must_use]
    pub fn uia_session(mut self, session: impl Into<String>) -> Self {
        self.credentials.session = Some(session.into());
        self
    }

    fn deactivate(&mut self, cx: &mut StepContext<'_>) {
        self.times += 1;
        let request = DeactivateAccount::default().erase(self.erase);
        let request = UiaRequest::new(&self.account, request);
        let request = self.credentials.apply(request);
        self.phase = Phase::Deactivating(Box::new(request));
        self.step_request(cx, Input::Start);
    }

    fn step_request(&mut self, cx: &mut StepContext<'_>, input: Input) {
        let Phase::Deactivating(request) = &mut self.phase else {
            return;
        };
        match request.step_within(&mut self.conversation, cx, input) {
            None => {}
            Some(Ok(_)) => self.finish(),
            Some(Err(UiaError::MayBeDone { what, .. })) => {
                let password = request.last_password().cloned();
                self.credentials.passwords.extend(password);
                self.conversation
                    .settling(format!("{what}; asking whether the session is still known"));
                let auth = Auth::Required(self.account.credential());
                let job = WhoAmI::default().job(&self.account.server);
                self.conversation.send(job.with_auth(auth));
                self.phase = Phase::AskingWho(what);
            }
            Some(Err(error)) => self.conversation.fail(error),
        }
    }

    fn on_owner(&mut self, cx: &mut StepContext<'_>, what: String, outcome: Outcome) {
        let owner = match outcome {
            Outcome::Responded(response) => Some(WhoAmI::read(&response)),
            _ => None,
        };
        match owner {
            Some(Ok(_)) if self.times < MAX_REQUESTS => self.deactivate(cx),
            Some(Err(ApiError::Matrix(error))) if self.is_gone(&error) => self.finish(),
            _ => {
                let server = self.account.server.clone();
                self.conversation.fail(UiaError::MayBeDone { server, what });
            }
        }
    }

    /// Whether the error means that the account is deactivated. A session that was valid a moment ago ended
    /// with its account, unless its token may have expired.
    fn is_gone(&self, error: &MatrixError) -> bool {
        match error.code {
            ErrorCode::UserDeactivated => true,
            ErrorCode::UnknownToken => self.account.expires_at.is_none(),
            _ => false,
        }
    }

    fn finish(&mut self) {
        let key = self.account.user_id.as_str();
        let writes = self.conversation.writes();
        writes.remove(tables::ACCOUNTS, key);
        writes.remove(tables::PASSWORD_CHANGES, key);
        self.conversation.finish(Ok(()));
    }
}

impl Machine for Deactivation {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<(), AccountError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<(), AccountError>> {
        let action = AccountAction::AccountDeactivate;
        match (&mut self.phase, self.conversation.accept(input)) {
            (Phase::New, Some(Input::Start)) => {
                match needs_account_page(&self.account, Some(action)) {
                    Some(error) => self.conversation.fail(error),
                    None => self.deactivate(cx),
                }
            }
            (_, Some(Input::Start)) | (_, None) => {}
            (Phase::AskingWho(what), Some(Input::Outcome(_, outcome))) => {
                let what = mem::take(what);
                self.on_owner(cx, what, outcome);
            }
            (_, Some(input)) => self.step_request(cx, input),
        }
        self.conversation.take_step()
    }
}

impl Conversation for Deactivation {
    type Output = ();
    type Error = AccountError;
}
