//! Change of an account's password.

use matricula_api::client::password_management::ChangePassword;
use matricula_core::{Machine, Secret, Step, StepContext, secret::exposed};
use serde::{Deserialize, Serialize};

use super::{Credentials, needs_account_page};
use crate::{
    Account, AccountError, Conversation, Effect, Event, Input, ServerError, UiaError, UiaRequest,
    account::tables,
    conversation::{ConversationState, to_json},
    random,
};

/// Changes the password of an account; ends in the new one if it was generated here, to be
/// [stored with the account](Account::password).
///
/// A generated password is stored in [`tables::PASSWORD_CHANGES`] before it is sent, and stays there until it
/// is certain which password the account has. If the response is lost, the same request is sent again, with
/// the old password and with the new one: whichever the server accepts, the account then has the new one.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword>.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    account: Account,
    /// `None`: one is generated.
    given: Option<Secret>,
    new: Secret,
    credentials: Credentials,
    pending: Option<Secret>,
    keep_devices: bool,
    phase: Phase,
    conversation: ConversationState<Option<Secret>, AccountError>,
}

#[derive(Clone, Debug)]
enum Phase {
    New,
    Changing(Box<UiaRequest<ChangePassword>>),
    /// The response was lost, for this reason: the request is sent again.
    Repeating(Box<UiaRequest<ChangePassword>>, String),
}

/// The stored state of a change of password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PendingPassword {
    /// The new password, if it was generated here.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// Whether it is certain that the account has the new password. Then the account store moves it into
    /// [`Account::password`] and removes this. Before that, the account may or may not have it.
    pub is_set: bool,
}

impl PendingPassword {
    /// Reads back a stored change.
    ///
    /// # Errors
    /// If the text was not written by [`PasswordChange`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

impl PasswordChange {
    /// Changes the password to this one, which the person knows.
    pub fn new(account: &Account, password: Secret) -> Self {
        Self {
            given: Some(password),
            ..Self::generated(account)
        }
    }

    /// Changes the password to a strong one that is generated here.
    pub fn generated(account: &Account) -> Self {
        Self {
            account: account.clone(),
            given: None,
            new: Secret::default(),
            credentials: Credentials::default(),
            pending: None,
            keep_devices: false,
            phase: Phase::New,
            conversation: ConversationState::default(),
        }
    }

    /// Whether the account's other devices stay signed in.
    #[must_use]
    pub fn keep_devices(mut self, is_wanted: bool) -> Self {
        self.keep_devices = is_wanted;
        self
    }

    /// Tries this as the current password before the person is asked for it.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        self.credentials.passwords.push(password);
        self
    }

    /// Continues after an earlier change of which it is not certain whether it was made.
    #[must_use]
    pub fn resume(mut self, pending: PendingPassword) -> Self {
        self.pending = pending.password;
        self
    }

    /// Continues in a session of the server: see [`UiaRequest::uia_session`].
    #[must_use]
    pub fn uia_session(mut self, session: impl Into<String>) -> Self {
        self.credentials.session = Some(session.into());
        self
    }

    fn start(&mut self, cx: &mut StepContext<'_>) {
        if let Some(error) = needs_account_page(&self.account, None) {
            return self.conversation.fail(error);
        }
        self.new = match (&self.given, &self.pending) {
            (Some(given), _) => given.clone(),
            // The account may have it already.
            (None, Some(pending)) => pending.clone(),
            (None, None) => random::generate_password(cx.entropy, 0),
        };
        if self.given.is_none() {
            self.store(false);
        }
        // Tried last: it is less likely than those that were given now.
        let pending = self.pending.iter().cloned();
        self.credentials.passwords.splice(0..0, pending);
        let request = self.request();
        let request = self.credentials.apply(request);
        self.phase = Phase::Changing(Box::new(request));
        self.step_request(cx, Input::Start);
    }

    fn request(&self) -> UiaRequest<ChangePassword> {
        let request = ChangePassword::new(self.new.clone()).logout_devices(!self.keep_devices);
        UiaRequest::new(&self.account, request)
    }

    fn store(&mut self, is_set: bool) {
        let pending = PendingPassword {
            password: self.generated_password(),
            is_set,
        };
        let key = self.account.user_id.as_str();
        let writes = self.conversation.writes();
        writes.put(tables::PASSWORD_CHANGES, key, to_json(&pending));
    }

    fn generated_password(&self) -> Option<Secret> {
        self.given.is_none().then(|| self.new.clone())
    }

    fn step_request(&mut self, cx: &mut StepContext<'_>, input: Input) {
        let (Phase::Changing(request) | Phase::Repeating(request, _)) = &mut self.phase else {
            return;
        };
        let Some(result) = request.step_within(&mut self.conversation, cx, input) else {
            return;
        };
        match (&self.phase, result) {
            (_, Ok(_)) => {
                self.store(true);
                self.conversation.finish(Ok(self.generated_password()));
            }
            (Phase::Changing(request), Err(UiaError::MayBeDone { what, .. })) => {
                self.conversation.settling(format!(
                    "{what}; asking again, with the old password and the new one"
                ));
                let old = request.last_password().cloned();
                let mut again = self.request().password(self.new.clone());
                if let Some(old) = old {
                    again = again.password(old);
                }
                self.phase = Phase::Repeating(Box::new(again), what);
                self.step_request(cx, Input::Start);
            }
            (Phase::Repeating(_, what), Err(error)) => {
                let what = format!("{what}, and then: {error}");
                self.conversation.fail(AccountError::PasswordInDoubt {
                    server: self.account.server.clone(),
                    user_id: self.account.user_id.clone(),
                    what,
                });
            }
            (_, Err(error)) => {
                // A change that waits for a browser continues later, with the same password.
                let is_certain = !matches!(
                    error,
                    UiaError::StagesNotSupported(_) | UiaError::Server(ServerError::Cancelled)
                );
                if is_certain && self.pending.is_none() && self.given.is_none() {
                    let key = self.account.user_id.as_str();
                    self.conversation
                        .writes()
                        .remove(tables::PASSWORD_CHANGES, key);
                }
                self.conversation.fail(error);
            }
        }
    }
}

impl Machine for PasswordChange {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Option<Secret>, AccountError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Option<Secret>, AccountError>> {
        match (&self.phase, self.conversation.accept(input)) {
            (Phase::New, Some(Input::Start)) => self.start(cx),
            (_, Some(Input::Start)) | (_, None) => {}
            (_, Some(input)) => self.step_request(cx, input),
        }
        self.conversation.take_step()
    }
}

impl Conversation for PasswordChange {
    type Output = Option<Secret>;
    type Error = AccountError;
}
