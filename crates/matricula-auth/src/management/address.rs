//! Adding an email address or a phone number to an account.

use std::{fmt, mem};

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError, UserId,
    client::{
        administrative_contact::{
            Add3Pid, Add3PidResponse, GetAccount3Pids, RequestTokenTo3PidEmail,
            RequestTokenTo3PidMsisdn, ThirdPartyIdentifier,
        },
        definitions::Medium,
    },
    uia::Stage,
};
use matricula_core::{
    Auth, EffectId, Job, Machine, Response, Secret, Step, StepContext, Timestamp,
    scheduler::Outcome,
};
use serde::{Deserialize, Serialize};

use super::step_part;
use crate::{
    Account, Answer, AuthError, Conversation, Effect, Event, Input, Progress, Prompt, UiaRequest,
    account::tables,
    registration::Phone,
    uia::{Backoff, CodeRefused, Validation, submitted},
};

/// How often the person may try another code, or have another message sent.
const MOST_TRIES: u32 = 5;
/// How often adding is asked for, where it is certain that the last time did not do it.
const MOST_TIMES: u32 = 3;

/// An address that an account can have.
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

    /// Whether a server that lists this one means the same. Servers write phone numbers with the
    /// country's code, and email addresses in small letters.
    fn is(&self, listed: &ThirdPartyIdentifier) -> bool {
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

/// An address that is not proved yet: what adding it needs, for going on later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingThreepid {
    user_id: UserId,
    address: Threepid,
    validation: Validation,
}

impl PendingThreepid {
    /// The key in [`tables::THREEPID_ADDITIONS`]: one for each account and address.
    pub fn key(user_id: &UserId, address: &Threepid) -> String {
        format!("{user_id} {address}")
    }
}

/// Adds an email address or a phone number to an account: has the server send a message, waits until
/// its link is followed, or sends its code on, and then adds the address.
///
/// How far it has come is stored in [`tables::THREEPID_ADDITIONS`] with each step, until the address is
/// the account's or certainly never will be: [`AddThreepid::resume`] goes on from there, in another
/// process or days later, without a second message.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information>.
#[derive(Clone, Debug)]
pub struct AddThreepid {
    account: Account,
    address: Threepid,
    /// `None` before the first step.
    validation: Option<Validation>,
    known: Vec<Secret>,
    session: Option<String>,
    code: Option<Secret>,
    patience: Option<Backoff>,
    tries: u32,
    times: u32,
    last_effect: u64,
    phase: Phase,
}

type Adding = Box<UiaRequest<Add3Pid>>;

#[derive(Clone, Debug)]
enum Phase {
    New,
    /// A message was asked for.
    Requesting,
    /// The person is asked for the code, or to follow the link; again, where there is a reason.
    Asking(Option<String>),
    /// The code is on its way.
    Submitting,
    Adding(Adding),
    /// The server did not know yet that the address is proved.
    Waiting(Adding),
    /// The answer was lost, for this reason: the account's addresses are looked through.
    Listing(String),
    /// It is over; for now, if it is kept.
    Over {
        is_kept: bool,
    },
}

type Turn = Step<Effect, Event<()>>;

impl AddThreepid {
    /// Adds this address to this account.
    pub fn new(account: &Account, address: Threepid) -> Self {
        Self {
            account: account.clone(),
            address,
            validation: None,
            known: Vec::new(),
            session: None,
            code: None,
            patience: None,
            tries: 0,
            times: 0,
            last_effect: 0,
            phase: Phase::New,
        }
    }

    /// Goes on from what an earlier run stored for this account and address.
    #[must_use]
    pub fn resume(mut self, pending: PendingThreepid) -> Self {
        if pending.user_id == self.account.user_id && pending.address == self.address {
            self.validation = Some(pending.validation);
        }
        self
    }

    /// Tries this as the password that the account has, before the person is asked for it.
    #[must_use]
    pub fn with_password(mut self, password: Secret) -> Self {
        self.known.push(password);
        self
    }

    /// Sends this code on, where the message that an earlier run asked for had one.
    #[must_use]
    pub fn with_code(mut self, code: Secret) -> Self {
        self.code = Some(code);
        self
    }

    /// Goes on in a session of the server's: see [`UiaRequest::with_session`].
    #[must_use]
    pub fn with_session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    fn start(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        match &self.validation {
            Some(validation) if validation.is_sent() => {
                match self.code.take_if(|_| validation.has_code()) {
                    Some(code) => self.submit(&code, turn),
                    None => self.add(cx, turn),
                }
            }
            Some(_) => self.request_message(turn),
            None => {
                let secret = cx.entropy.text(b"abcdefghijkmnpqrstuvwxyz23456789", 32);
                let (stage, address) = (self.address.stage(), self.address.to_string());
                self.validation = Some(Validation::new(stage, address, secret.into()));
                self.request_message(turn);
            }
        }
    }

    fn send(&mut self, job: Job, turn: &mut Turn) {
        self.last_effect += 1;
        turn.effects
            .push(Effect::Send(EffectId(self.last_effect), Box::new(job)));
    }

    /// Asks for a message; the same request again sends no second one.
    fn request_message(&mut self, turn: &mut Turn) {
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
        self.phase = Phase::Requesting;
        self.send(job, turn);
    }

    fn on_message(&mut self, response: &Response, turn: &mut Turn) {
        match RequestTokenTo3PidEmail::read(response) {
            Ok(answer) => {
                if let Some(validation) = &mut self.validation {
                    validation.sent(answer);
                }
                self.ask(None, turn);
            }
            Err(ApiError::Matrix(error)) => self.on_refused(error, turn),
            Err(error) => {
                let error = AuthError::from_api(&self.account.server, error);
                self.end(Err(error), true, turn);
            }
        }
    }

    /// Where the address itself is refused, nothing is kept of it.
    fn on_refused(&mut self, error: MatrixError, turn: &mut Turn) {
        let server = self.account.server.clone();
        let is_about_the_address = error.status < 500
            && !matches!(
                error.code,
                ErrorCode::Unrecognized | ErrorCode::UnknownToken | ErrorCode::MissingToken
            );
        let error = match is_about_the_address {
            true => AuthError::AddressRefused {
                server,
                address: self.address.to_string(),
                code: error.code,
                message: error.message,
            },
            false => AuthError::Refused { server, error },
        };
        self.end(Err(error), !is_about_the_address, turn);
    }

    /// Asks for the code, or for the link to be followed.
    fn ask(&mut self, why: Option<String>, turn: &mut Turn) {
        let has_code = self.validation.as_ref().is_some_and(Validation::has_code);
        let address = self.address.to_string();
        let question = match has_code {
            true => Prompt::Code {
                address,
                why: why.clone(),
            },
            false => Prompt::FollowLink {
                address,
                why: why.clone(),
            },
        };
        self.phase = Phase::Asking(why);
        self.last_effect += 1;
        turn.effects
            .push(Effect::Ask(EffectId(self.last_effect), question));
    }

    fn on_reply(&mut self, cx: &mut StepContext<'_>, reply: Answer, turn: &mut Turn) {
        let Phase::Asking(why) = self.phase.clone() else {
            return;
        };
        self.tries += u32::from(why.is_some() || reply == Answer::No);
        let has_code = self.validation.as_ref().is_some_and(Validation::has_code);
        match reply {
            Answer::Unavailable => self.leave_unproved(turn),
            _ if self.tries > MOST_TRIES => self.leave_unproved(turn),
            Answer::No => {
                if let Some(validation) = &mut self.validation {
                    validation.again();
                }
                self.request_message(turn);
            }
            Answer::Yes if !has_code => {
                self.patience = Some(Backoff::new());
                self.add(cx, turn);
            }
            Answer::Text(code) if has_code => self.submit(&code, turn),
            // An answer to another question than the one asked: ask again.
            _ => {
                self.tries += 1;
                self.ask(why, turn);
            }
        }
    }

    fn leave_unproved(&mut self, turn: &mut Turn) {
        let error = AuthError::AddressNotProved {
            server: self.account.server.clone(),
            address: self.address.to_string(),
            stage: self.address.stage(),
        };
        self.end(Err(error), true, turn);
    }

    fn submit(&mut self, code: &Secret, turn: &mut Turn) {
        let Some(validation) = &self.validation else {
            return;
        };
        match validation.submission(&self.account.server, code) {
            Ok(job) => {
                self.phase = Phase::Submitting;
                self.send(job, turn);
            }
            Err(error) => self.end(Err(error), false, turn),
        }
    }

    fn on_submitted(&mut self, cx: &mut StepContext<'_>, response: &Response, turn: &mut Turn) {
        match submitted(response) {
            Ok(()) => self.add(cx, turn),
            Err(CodeRefused::Wrong(words)) => self.ask(Some(words), turn),
            Err(CodeRefused::TooMany) => {
                let error = AuthError::RateLimited {
                    server: self.account.server.clone(),
                    retry_after: None,
                };
                self.end(Err(error), true, turn);
            }
        }
    }

    fn add(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        let creds = self.validation.as_ref().and_then(Validation::creds);
        let Some(creds) = creds else {
            return self.request_message(turn);
        };
        self.times += 1;
        let request = Add3Pid::new(creds.client_secret, creds.sid);
        let mut part = UiaRequest::new(&self.account, request).after_effect(self.last_effect);
        for password in &self.known {
            part = part.with_password(password.clone());
        }
        if let Some(session) = self.session.take() {
            part = part.with_session(session);
        }
        self.phase = Phase::Adding(Box::new(part));
        self.step_part(cx, Input::Start, turn);
    }

    fn step_part(&mut self, cx: &mut StepContext<'_>, input: Input, turn: &mut Turn) {
        let Phase::Adding(part) = &mut self.phase else {
            return;
        };
        let result = step_part(part, cx, input, turn);
        self.last_effect = part.last_effect();
        if let Some(result) = result {
            self.on_end_of_part(cx.now, result, turn);
        }
    }

    fn on_end_of_part(
        &mut self,
        now: Timestamp,
        result: Result<Add3PidResponse, AuthError>,
        turn: &mut Turn,
    ) {
        let is_over = Phase::Over { is_kept: false };
        match (mem::replace(&mut self.phase, is_over), result) {
            (_, Ok(_)) => self.end(Ok(()), false, turn),
            (Phase::Adding(part), Err(AuthError::Refused { error, .. })) => match error.code {
                ErrorCode::ThreepidAuthFailed | ErrorCode::SessionNotValidated => {
                    self.on_not_proved_yet(now, part, error, turn);
                }
                ErrorCode::ThreepidInUse | ErrorCode::ThreepidDenied => {
                    self.on_refused(error, turn);
                }
                _ => {
                    let server = self.account.server.clone();
                    self.end(Err(AuthError::Refused { server, error }), true, turn);
                }
            },
            (Phase::Adding(part), Err(AuthError::MayBeDone { what, .. })) => {
                self.known.extend(part.password().cloned());
                let how = format!("{what}; looking whether the account has the address");
                turn.events.push(Event::Progress(Progress::Settling(how)));
                let job = GetAccount3Pids::default()
                    .job(&self.account.server)
                    .with_auth(Auth::Required(self.account.credential()));
                self.phase = Phase::Listing(what);
                self.send(job, turn);
            }
            (_, Err(error)) => self.end(Err(error), true, turn),
        }
    }

    /// The server does not know yet that the link was followed: waits, while there is patience.
    fn on_not_proved_yet(
        &mut self,
        now: Timestamp,
        part: Adding,
        error: MatrixError,
        turn: &mut Turn,
    ) {
        let patience = self.patience.as_mut();
        match patience.and_then(|patience| patience.next_look(now)) {
            Some(moment) => {
                self.phase = Phase::Waiting(part);
                self.last_effect += 1;
                let wait = Effect::Wait(EffectId(self.last_effect), moment);
                turn.effects.push(wait);
            }
            None => {
                self.known.extend(part.password().cloned());
                self.patience = None;
                self.ask(Some(error.message), turn);
            }
        }
    }

    fn on_waited(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        let is_over = Phase::Over { is_kept: true };
        if let Phase::Waiting(mut part) = mem::replace(&mut self.phase, is_over) {
            part.begin_again(self.last_effect);
            self.phase = Phase::Adding(part);
            self.step_part(cx, Input::Start, turn);
        }
    }

    fn on_listed(
        &mut self,
        cx: &mut StepContext<'_>,
        what: String,
        outcome: Outcome,
        turn: &mut Turn,
    ) {
        let listed = match outcome {
            Outcome::Responded(response) => GetAccount3Pids::read(&response).ok(),
            _ => None,
        };
        let is_there = listed.map(|listed| {
            let listed = listed.threepids.unwrap_or_default();
            listed.iter().any(|one| self.address.is(one))
        });
        match is_there {
            Some(true) => self.end(Ok(()), false, turn),
            Some(false) if self.times < MOST_TIMES => self.add(cx, turn),
            _ => {
                let server = self.account.server.clone();
                self.end(Err(AuthError::MayBeDone { server, what }), true, turn);
            }
        }
    }

    fn on_outcome(&mut self, cx: &mut StepContext<'_>, outcome: Outcome, turn: &mut Turn) {
        let server = self.account.server.clone();
        match (self.phase.clone(), outcome) {
            (Phase::Listing(what), outcome) => self.on_listed(cx, what, outcome, turn),
            (Phase::Requesting, Outcome::Responded(response)) => self.on_message(&response, turn),
            (Phase::Submitting, Outcome::Responded(response)) => {
                self.on_submitted(cx, &response, turn)
            }
            // Neither of the two adds the address: whoever goes on sends the same again.
            (_, Outcome::Failed(error) | Outcome::InDoubt(error)) => {
                self.end(Err(AuthError::Unreachable { server, error }), true, turn);
            }
            _ => self.end(Err(AuthError::Cancelled), true, turn),
        }
    }

    fn end(&mut self, result: Result<(), AuthError>, is_kept: bool, turn: &mut Turn) {
        self.phase = Phase::Over { is_kept };
        turn.effects.clear();
        turn.events.push(Event::Finished(result));
    }

    fn keep(&self, turn: &mut Turn) {
        let key = PendingThreepid::key(&self.account.user_id, &self.address);
        let is_kept = !matches!(self.phase, Phase::Over { is_kept: false });
        match self.validation.clone().filter(|_| is_kept) {
            Some(validation) => {
                let pending = PendingThreepid {
                    user_id: self.account.user_id.clone(),
                    address: self.address.clone(),
                    validation,
                };
                // Texts and numbers: this always has a JSON form.
                let json = serde_json::to_vec(&pending).unwrap_or_default();
                turn.writes.put(tables::THREEPID_ADDITIONS, key, json);
            }
            None => turn.writes.remove(tables::THREEPID_ADDITIONS, key),
        }
    }
}

impl Machine for AddThreepid {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<()>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        let before = self.validation.clone();
        match (&self.phase, input) {
            (Phase::Over { .. }, _) => return turn,
            (Phase::New, Input::Start) => self.start(cx, &mut turn),
            (_, Input::Start) => return turn,
            (Phase::Adding(_), input) => self.step_part(cx, input, &mut turn),
            // An answer that nobody waits for any more.
            (_, Input::Outcome(id, _) | Input::Answer(id, _) | Input::Waited(id))
                if id.0 != self.last_effect =>
            {
                return turn;
            }
            (_, Input::Outcome(_, outcome)) => self.on_outcome(cx, outcome, &mut turn),
            (_, Input::Answer(_, reply)) => self.on_reply(cx, reply, &mut turn),
            (_, Input::Waited(_)) => self.on_waited(cx, &mut turn),
        }
        if self.validation != before || matches!(self.phase, Phase::Over { is_kept: false }) {
            self.keep(&mut turn);
        }
        turn
    }
}

impl Conversation for AddThreepid {
    type Output = ();
}
