//! Adding an email address or a phone number to an account.

use std::fmt;

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError, UserId,
    client::{
        administrative_contact::{
            Add3Pid, GetAccount3Pids, RequestTokenTo3PidEmail, RequestTokenTo3PidMsisdn,
            ThirdPartyIdentifier,
        },
        definitions::Medium,
    },
    uia::Stage,
};
use matricula_core::{Auth, Machine, Response, Secret, Step, StepContext, scheduler::Outcome};
use serde::{Deserialize, Serialize};

use super::Credentials;
use crate::{
    Account, AccountError, Answer, Conversation, Effect, Event, Input, Phone, Prompt, ServerError,
    ThreepidError, UiaError, UiaRequest,
    account::tables,
    conversation::{ConversationState, to_json},
    random,
    uia::{Backoff, CodeRefused, Validation, submitted},
};

/// How often adding is requested, if it is certain that the last request had no effect.
const MAX_REQUESTS: u32 = 3;

/// An address of a person: the specification's third-party identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Threepid {
    /// An email address.
    Email(String),
    /// A phone number.
    Phone(Phone),
}

impl Threepid {
    /// The specification's name for addresses of this kind.
    pub fn medium(&self) -> Medium {
        match self {
            Self::Email(_) => Medium::Email,
            Self::Phone(_) => Medium::Msisdn,
        }
    }

    fn stage(&self) -> Stage {
        match self {
            Self::Email(_) => Stage::EmailIdentity,
            Self::Phone(_) => Stage::Msisdn,
        }
    }

    /// Whether it is the address that a server lists. Servers write phone numbers with the country code,
    /// and email addresses in lower case.
    fn matches(&self, listed: &ThirdPartyIdentifier) -> bool {
        let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
        listed.medium == self.medium()
            && match self {
                Self::Email(address) => address.to_lowercase() == listed.address.to_lowercase(),
                Self::Phone(phone) => {
                    let number = digits(&phone.number);
                    digits(&listed.address).ends_with(number.trim_start_matches('0'))
                }
            }
    }
}

impl fmt::Display for Threepid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(address) => f.write_str(address),
            Self::Phone(phone) => phone.fmt(f),
        }
    }
}

/// An address that is not validated yet, with what is needed to continue later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingThreepid {
    user_id: UserId,
    address: Threepid,
    validation: Validation,
}

impl PendingThreepid {
    /// Reads back a stored address.
    ///
    /// # Errors
    /// If the text was not written by [`AddThreepid`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The key in [`tables::THREEPID_ADDITIONS`]: one for each account and address.
    pub fn key(user_id: &UserId, address: &Threepid) -> String {
        format!("{user_id} {address}")
    }
}

/// Adds an email address or a phone number to an account: the server sends a message, the person opens its
/// link or types its code, then the address is added.
///
/// Each step is stored in [`tables::THREEPID_ADDITIONS`], until the account has the address or certainly never
/// will. [`AddThreepid::resume`] continues from there, in another process or days later, without a second
/// message.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information>.
#[derive(Clone, Debug)]
pub struct AddThreepid {
    account: Account,
    address: Threepid,
    /// `None` before the first step.
    validation: Option<Validation>,
    credentials: Credentials,
    code: Option<Secret>,
    backoff: Option<Backoff>,
    times: u32,
    /// Whether what is stored stays after the end.
    stays_stored: bool,
    phase: Phase,
    conversation: ConversationState<(), AccountError>,
}

type AddRequest = Box<UiaRequest<Add3Pid>>;

#[derive(Clone, Debug)]
enum Phase {
    New,
    RequestingMessage,
    /// The person is asked for the code, or to open the link; with a reason if it is asked again.
    Asking(Option<String>),
    SubmittingCode,
    Adding(AddRequest),
    /// The server did not know yet that the address is validated.
    Waiting(AddRequest),
    /// The response was lost, for this reason: the account's addresses are listed.
    Listing(String),
}

impl AddThreepid {
    /// Adds this address to this account.
    pub fn new(account: &Account, address: Threepid) -> Self {
        Self {
            account: account.clone(),
            address,
            validation: None,
            credentials: Credentials::default(),
            code: None,
            backoff: None,
            times: 0,
            stays_stored: true,
            phase: Phase::New,
            conversation: ConversationState::default(),
        }
    }

    /// Continues from what an earlier run stored for this account and address.
    #[must_use]
    pub fn resume(mut self, pending: PendingThreepid) -> Self {
        if pending.user_id == self.account.user_id && pending.address == self.address {
            self.validation = Some(pending.validation);
        }
        self
    }

    /// Tries this password before the person is asked for it.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        self.credentials.passwords.push(password);
        self
    }

    /// Submits this code, if an earlier run asked for a message and that has a code.
    #[must_use]
    pub fn code(mut self, code: Secret) -> Self {
        self.code = Some(code);
        self
    }

    /// Continues in a session of the server: see [`UiaRequest::uia_session`].
    #[must_use]
    pub fn uia_session(mut self, session: impl Into<String>) -> Self {
        self.credentials.session = Some(session.into());
        self
    }

    fn start(&mut self, cx: &mut StepContext<'_>) {
        match &self.validation {
            Some(validation) if validation.is_sent() => {
                match self.code.take_if(|_| validation.has_code()) {
                    Some(code) => self.submit(&code),
                    None => self.add(cx),
                }
            }
            Some(_) => self.request_message(),
            None => {
                let secret = random::client_secret(cx.entropy);
                let (stage, address) = (self.address.stage(), self.address.to_string());
                self.validation = Some(Validation::new(stage, address, secret));
                self.request_message();
            }
        }
    }

    /// Asks for a message. Sent again, the request leads to no second message.
    fn request_message(&mut self) {
        let Some(validation) = &self.validation else {
            return;
        };
        let server = &self.account.server;
        let (secret, attempt) = (validation.client_secret.clone(), validation.attempt);
        let job = match self.address.clone() {
            Threepid::Email(address) => {
                RequestTokenTo3PidEmail::new(secret, address, attempt).job(server)
            }
            Threepid::Phone(Phone { country, number }) => {
                RequestTokenTo3PidMsisdn::new(secret, country, number, attempt).job(server)
            }
        };
        self.phase = Phase::RequestingMessage;
        self.conversation.send(job);
    }

    fn on_message_requested(&mut self, response: &Response) {
        match RequestTokenTo3PidEmail::read(response) {
            Ok(response) => {
                if let Some(validation) = &mut self.validation {
                    validation.sent(response);
                }
                self.ask(None);
            }
            Err(ApiError::Matrix(error)) => self.on_refused(error),
            Err(error) => {
                let error = ServerError::from_api(&self.account.server, error);
                self.conversation.fail(error);
            }
        }
    }

    /// If the address itself is refused, its stored state is removed.
    fn on_refused(&mut self, error: MatrixError) {
        let server = self.account.server.clone();
        let is_about_the_address = error.status < 500
            && !matches!(
                error.code,
                ErrorCode::Unrecognized | ErrorCode::UnknownToken | ErrorCode::MissingToken
            );
        self.stays_stored = !is_about_the_address;
        if is_about_the_address {
            self.conversation.fail(ThreepidError::AddressRefused {
                server,
                address: self.address.to_string(),
                code: error.code,
                message: error.message,
            });
        } else {
            self.conversation.fail(ServerError::refused(server, error));
        }
    }

    fn has_code(&self) -> bool {
        self.validation.as_ref().is_some_and(Validation::has_code)
    }

    /// Asks for the code, or to open the link.
    fn ask(&mut self, why: Option<String>) {
        self.phase = Phase::Asking(why.clone());
        let address = self.address.to_string();
        self.conversation.ask(if self.has_code() {
            Prompt::Code { address, why }
        } else {
            Prompt::FollowLink { address, why }
        });
    }

    fn on_answer(&mut self, cx: &mut StepContext<'_>, why: Option<String>, answer: Answer) {
        let is_repeated = why.is_some() || answer == Answer::No;
        let has_tries_left = self.conversation.count_try(is_repeated);
        let has_code = self.has_code();
        match answer {
            Answer::Unavailable => self.leave_unproved(),
            _ if !has_tries_left => self.leave_unproved(),
            Answer::No => {
                if let Some(validation) = &mut self.validation {
                    validation.again();
                }
                self.request_message();
            }
            Answer::Yes if !has_code => {
                self.backoff = Some(Backoff::new());
                self.add(cx);
            }
            Answer::Text(code) if has_code => self.submit(&code),
            // The answer is of the wrong kind: ask again.
            _ => {
                self.conversation.count_try(true);
                self.ask(why);
            }
        }
    }

    fn leave_unproved(&mut self) {
        self.conversation.fail(ThreepidError::AddressNotValidated {
            server: self.account.server.clone(),
            address: self.address.to_string(),
            stage: self.address.stage(),
        });
    }

    fn submit(&mut self, code: &Secret) {
        let Some(validation) = &self.validation else {
            return;
        };
        match validation.submission(&self.account.server, code) {
            Ok(job) => {
                self.phase = Phase::SubmittingCode;
                self.conversation.send(job);
            }
            Err(error) => {
                self.stays_stored = false;
                self.conversation.fail(error);
            }
        }
    }

    fn on_submitted(&mut self, cx: &mut StepContext<'_>, response: &Response) {
        match submitted(&self.account.server, response) {
            Ok(()) => self.add(cx),
            Err(CodeRefused::Wrong(message)) => self.ask(Some(message)),
            Err(CodeRefused::Failed(error)) => self.conversation.fail(error),
        }
    }

    fn add(&mut self, cx: &mut StepContext<'_>) {
        let creds = self.validation.as_ref().and_then(Validation::creds);
        let Some(creds) = creds else {
            return self.request_message();
        };
        self.times += 1;
        let request = Add3Pid::new(creds.client_secret, creds.sid);
        let request = UiaRequest::new(&self.account, request);
        let request = self.credentials.apply(request);
        self.phase = Phase::Adding(Box::new(request));
        self.step_request(cx, Input::Start);
    }

    fn step_request(&mut self, cx: &mut StepContext<'_>, input: Input) {
        let Phase::Adding(request) = &mut self.phase else {
            return;
        };
        let Some(result) = request.step_within(&mut self.conversation, cx, input) else {
            return;
        };
        let server = self.account.server.clone();
        match result {
            Ok(_) => self.finish(),
            Err(UiaError::Server(ServerError::Refused { error, .. })) => match error.code {
                ErrorCode::ThreepidAuthFailed | ErrorCode::SessionNotValidated => {
                    self.on_not_validated(cx, *error);
                }
                ErrorCode::ThreepidInUse | ErrorCode::ThreepidDenied => self.on_refused(*error),
                _ => self.conversation.fail(ServerError::refused(server, *error)),
            },
            Err(UiaError::MayBeDone { what, .. }) => {
                let password = request.last_password().cloned();
                self.credentials.passwords.extend(password);
                self.conversation.settling(format!(
                    "{what}; looking whether the account has the address"
                ));
                let auth = Auth::Required(self.account.credential());
                let job = GetAccount3Pids::default().job(&server);
                self.conversation.send(job.with_auth(auth));
                self.phase = Phase::Listing(what);
            }
            Err(error) => self.conversation.fail(error),
        }
    }

    /// The server does not know yet that the address is validated: polls, then asks again.
    fn on_not_validated(&mut self, cx: &StepContext<'_>, error: MatrixError) {
        let Phase::Adding(request) = self.phase.clone() else {
            return;
        };
        let backoff = self.backoff.as_mut();
        if let Some(time) = backoff.and_then(|backoff| backoff.next_poll(cx.now)) {
            self.phase = Phase::Waiting(request);
            self.conversation.wait(time);
            return;
        }
        let password = request.last_password().cloned();
        self.credentials.passwords.extend(password);
        self.backoff = None;
        self.ask(Some(error.message));
    }

    fn on_listed(&mut self, cx: &mut StepContext<'_>, what: String, outcome: Outcome) {
        let listed = match outcome {
            Outcome::Responded(response) => GetAccount3Pids::read(&response).ok(),
            _ => None,
        };
        let is_there = listed.map(|listed| {
            let listed = listed.threepids.unwrap_or_default();
            listed.iter().any(|one| self.address.matches(one))
        });
        match is_there {
            Some(true) => self.finish(),
            Some(false) if self.times < MAX_REQUESTS => self.add(cx),
            _ => {
                let server = self.account.server.clone();
                self.conversation.fail(UiaError::MayBeDone { server, what });
            }
        }
    }

    fn on_outcome(&mut self, cx: &mut StepContext<'_>, phase: Phase, outcome: Outcome) {
        let server = self.account.server.clone();
        match (phase, outcome) {
            (Phase::Listing(what), outcome) => self.on_listed(cx, what, outcome),
            (Phase::RequestingMessage, Outcome::Responded(response)) => {
                self.on_message_requested(&response);
            }
            (Phase::SubmittingCode, Outcome::Responded(response)) => {
                self.on_submitted(cx, &response);
            }
            // Neither request adds the address: the next run sends the same again.
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                self.conversation
                    .fail(ServerError::Unreachable { server, error });
            }
            _ => self.conversation.fail(ServerError::Cancelled),
        }
    }

    fn finish(&mut self) {
        self.stays_stored = false;
        self.conversation.finish(Ok(()));
    }

    fn store(&mut self) {
        let key = PendingThreepid::key(&self.account.user_id, &self.address);
        let is_over = self.conversation.is_over() && !self.stays_stored;
        match self.validation.clone().filter(|_| !is_over) {
            Some(validation) => {
                let pending = PendingThreepid {
                    user_id: self.account.user_id.clone(),
                    address: self.address.clone(),
                    validation,
                };
                let writes = self.conversation.writes();
                writes.put(tables::THREEPID_ADDITIONS, key, to_json(&pending));
            }
            None => self
                .conversation
                .writes()
                .remove(tables::THREEPID_ADDITIONS, key),
        }
    }
}

impl Machine for AddThreepid {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<(), AccountError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<(), AccountError>> {
        let before = self.validation.clone();
        match (self.phase.clone(), self.conversation.accept(input)) {
            (_, None) => return Step::default(),
            (Phase::New, Some(Input::Start)) => self.start(cx),
            (_, Some(Input::Start)) => return Step::default(),
            (Phase::Adding(_), Some(input)) => self.step_request(cx, input),
            (Phase::Waiting(mut request), Some(Input::Waited(_))) => {
                request.restart();
                self.phase = Phase::Adding(request);
                self.step_request(cx, Input::Start);
            }
            (Phase::Asking(why), Some(Input::Answer(_, answer))) => {
                self.on_answer(cx, why, answer);
            }
            (phase, Some(Input::Outcome(_, outcome))) => self.on_outcome(cx, phase, outcome),
            _ => {}
        }
        let is_over = self.conversation.is_over() && !self.stays_stored;
        if self.validation != before || is_over {
            self.store();
        }
        self.conversation.take_step()
    }
}

impl Conversation for AddThreepid {
    type Output = ();
    type Error = AccountError;
}
