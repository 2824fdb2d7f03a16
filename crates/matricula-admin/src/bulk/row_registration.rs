//! The conversation that makes the account of one row, by the route of the run.

use matricula_api::UserId;
use matricula_auth::{
    Account, Answer, AppserviceRegistration, AuthError, Effect, Event, Input, Login, Progress,
    Registration, RegistrationOptions, ServerInfo, tables::REGISTRATIONS,
};
use matricula_core::{EffectId, Job, Machine, Secret, ServerUrl, Step, StepContext, WriteBatch};

use super::{Entry, Route, Stage};
use crate::{CreateUser, NewUser, PendingUser, SharedSecretRegistration, tables::NEW_USERS};

/// What opens the server for a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AdminCredentials {
    /// The session of an administrator.
    Admin(Box<Account>),
    /// The secret that the server shares with whoever runs it.
    SharedSecret {
        /// Where.
        facts: Box<ServerInfo>,
        /// It.
        secret: Secret,
    },
    /// A registration token.
    Token {
        /// Where.
        facts: Box<ServerInfo>,
        /// It.
        token: Secret,
        /// Whether the server's terms are accepted in the name of the new users.
        accept_terms: bool,
    },
    /// The token of an application service.
    Appservice {
        /// Where.
        facts: Box<ServerInfo>,
        /// It.
        token: Secret,
    },
}

impl AdminCredentials {
    /// Which way it is.
    pub fn route(&self) -> Route {
        match self {
            Self::Admin(_) => Route::Admin,
            Self::SharedSecret { .. } => Route::SharedSecret,
            Self::Token { .. } => Route::Token,
            Self::Appservice { .. } => Route::Appservice,
        }
    }

    /// Where.
    pub fn server(&self) -> &ServerUrl {
        match self {
            Self::Admin(account) => &account.server,
            Self::SharedSecret { facts, .. }
            | Self::Token { facts, .. }
            | Self::Appservice { facts, .. } => &facts.server,
        }
    }
}

/// How the conversation of a row ended.
#[derive(Debug)]
pub(super) enum RowOutcome {
    Made {
        user_id: UserId,
        /// Of the session that came with the account and that nobody wants.
        token: Option<Secret>,
    },
    Exists,
    Refused(String),
    InDoubt(String),
    /// Not for the row's sake: no other row would fare better.
    OfTheRun(AuthError),
}

/// What a step of a row asks for.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) sends: Vec<(EffectId, Box<Job>)>,
    /// Whether the account may have been made from now on, and what is needed to go on then.
    pub(super) begun: Option<Option<Secret>>,
    /// Whether it is certain again whether there is an account.
    pub(super) is_certain: bool,
    pub(super) end: Option<RowOutcome>,
}

/// Makes the account of one row.
#[derive(Debug)]
pub(super) struct RowRegistration {
    conversation: RowFlow,
    server: ServerUrl,
    /// Whether an answer was lost, here or in an earlier run.
    is_lost: bool,
}

#[derive(Debug)]
enum RowFlow {
    Admin(Box<CreateUser>),
    SharedSecret(Box<SharedSecretRegistration>),
    Token(Box<Registration>),
    /// Whose the account is, if there is one; then the registration that follows where it is not the
    /// run's.
    SigningIn(Box<Login>, Option<Box<Registration>>),
    Appservice(Box<AppserviceRegistration>),
}

impl RowRegistration {
    /// For a row as it stands. Fails where the name and the server make no user id, or where what is kept
    /// of its conversation cannot be read.
    pub(super) fn new(access: &AdminCredentials, entry: &Entry) -> Result<Self, RowOutcome> {
        let before = match &entry.stage {
            Stage::Begun { conversation } | Stage::InDoubt { conversation, .. } => {
                Some(conversation.as_ref())
            }
            _ => None,
        };
        let password = entry.password.clone().unwrap_or_default();
        let pending = before.map(|_| PendingUser::given(password.clone()));
        let name = entry.row.localpart();
        let conversation = match access {
            AdminCredentials::Admin(account) => {
                RowFlow::Admin(Box::new(creation(account, entry, password, pending)?))
            }
            AdminCredentials::SharedSecret { facts, secret } => {
                let mut made = SharedSecretRegistration::new(facts, secret.clone(), name)
                    .with_password(password);
                if entry.row.is_admin {
                    made = made.admin();
                }
                if let Some(shown) = &entry.row.display_name {
                    made = made.with_display_name(shown.clone());
                }
                if let Some(pending) = pending {
                    made = made.resume(pending);
                }
                RowFlow::SharedSecret(Box::new(made))
            }
            AdminCredentials::Token {
                facts,
                token,
                accept_terms,
            } => {
                let wishes = RegistrationOptions {
                    token: Some(token.clone()),
                    accept_terms: *accept_terms,
                    ..RegistrationOptions::default()
                };
                by_token(facts, entry, name, password, wishes)?
            }
            AdminCredentials::Appservice { facts, token } => {
                let made = AppserviceRegistration::new(facts, token.clone(), name);
                RowFlow::Appservice(Box::new(made.without_session()))
            }
        };
        Ok(Self {
            conversation,
            server: access.server().clone(),
            is_lost: before.is_some(),
        })
    }

    pub(super) fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Turn::default();
        if let (RowFlow::Appservice(_), Input::Start) = (&self.conversation, &input) {
            // It keeps nothing, and its first request makes the user.
            turn.begun = Some(None);
        }
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let (commit, effects) = match &mut self.conversation {
                RowFlow::Admin(one) => take(
                    one.step(cx, input),
                    &mut self.is_lost,
                    &mut turn,
                    |made| match made {
                        NewUser::Made(account) => RowOutcome::made(*account),
                        NewUser::Exists(_) => RowOutcome::Exists,
                    },
                ),
                RowFlow::SharedSecret(one) => take(
                    one.step(cx, input),
                    &mut self.is_lost,
                    &mut turn,
                    RowOutcome::made,
                ),
                RowFlow::Token(one) => take(
                    one.step(cx, input),
                    &mut self.is_lost,
                    &mut turn,
                    RowOutcome::made,
                ),
                RowFlow::SigningIn(one, next) => {
                    let mut step = one.step(cx, input);
                    let is_not_ours = |event: &Event<Account>| {
                        matches!(event, Event::Finished(Err(AuthError::WrongPassword { .. })))
                    };
                    if step.events.iter().any(is_not_ours)
                        && let Some(registration) = next.take()
                    {
                        self.conversation = RowFlow::Token(registration);
                        self.is_lost = false;
                        inputs.push(Input::Start);
                        continue;
                    }
                    for event in &mut step.events {
                        if let Event::Finished(Err(error)) = event {
                            let server = self.server.clone();
                            let what = format!("signing in to find out: {error}");
                            *error = AuthError::InDoubt { server, what };
                        }
                    }
                    take(step, &mut self.is_lost, &mut turn, RowOutcome::made)
                }
                RowFlow::Appservice(one) => take(
                    one.step(cx, input),
                    &mut self.is_lost,
                    &mut turn,
                    RowOutcome::made,
                ),
            };
            note(&commit, &mut turn);
            for effect in effects {
                match effect {
                    Effect::Send(id, job) => turn.sends.push((id, job)),
                    Effect::Ask(id, _) => inputs.push(Input::Answer(id, Answer::Unavailable)),
                    // Only people are waited for, and there are none.
                    Effect::Wait(id, _) => inputs.push(Input::Waited(id)),
                    other => debug_assert!(false, "no row asks for {other:?}"),
                }
            }
        }
        if matches!(self.conversation, RowFlow::Appservice(_)) && self.is_lost {
            // It has no password to tell its user by.
            turn.end = turn.end.map(|end| match end {
                RowOutcome::Made { .. } | RowOutcome::Exists => RowOutcome::InDoubt(
                    "an answer was lost, and the user is there: made by this run, or before it"
                        .to_owned(),
                ),
                other => other,
            });
        }
        turn.is_certain = match &turn.end {
            Some(RowOutcome::Made { .. } | RowOutcome::Exists | RowOutcome::Refused(_)) => true,
            // A server that failed in the middle may have made half of it.
            Some(RowOutcome::OfTheRun(AuthError::Refused { error, .. })) if error.status >= 500 => {
                false
            }
            Some(RowOutcome::OfTheRun(_)) => !self.is_lost,
            Some(RowOutcome::InDoubt(_)) | None => false,
        };
        turn
    }
}

/// A registration by token: a new one, the one that was kept, or, where that one could not find out whether
/// it had made the account, a look at whose it is.
fn by_token(
    facts: &ServerInfo,
    entry: &Entry,
    name: String,
    password: Secret,
    wishes: RegistrationOptions,
) -> Result<RowFlow, RowOutcome> {
    if let Stage::Begun {
        conversation: Some(stored),
    } = &entry.stage
    {
        let stored = Registration::from_stored(stored.expose().as_bytes())
            .map_err(|error| RowOutcome::InDoubt(format!("what is kept of it: {error}")))?;
        // The token of the earlier run may have been the wrong one.
        return Ok(RowFlow::Token(Box::new(stored.with_answers(wishes))));
    }
    let wishes = RegistrationOptions {
        username: Some(name.clone()),
        password: Some(password.clone()),
        ..wishes
    };
    let registration = Box::new(Registration::new(facts, wishes).without_name_check());
    Ok(match entry.stage {
        Stage::InDoubt { .. } => {
            let login = Login::new(facts, name, password);
            RowFlow::SigningIn(Box::new(login), Some(registration))
        }
        _ => RowFlow::Token(registration),
    })
}

fn creation(
    administrator: &Account,
    entry: &Entry,
    password: Secret,
    pending: Option<PendingUser>,
) -> Result<CreateUser, RowOutcome> {
    let server = administrator.user_id.server_name();
    let user_id = format!("@{}:{server}", entry.row.localpart());
    let user_id: UserId = match user_id.parse() {
        Ok(user_id) => user_id,
        Err(error) => {
            return Err(RowOutcome::Refused(format!(
                "{user_id:?} is no user id: {error}"
            )));
        }
    };
    let mut creation = CreateUser::new(administrator, user_id).with_password(password);
    if entry.row.is_admin {
        creation = creation.admin();
    }
    if let Some(shown) = &entry.row.display_name {
        creation = creation.with_display_name(shown.clone());
    }
    if let Some(email) = &entry.row.email {
        creation = creation.with_email(email.clone());
    }
    Ok(match pending {
        Some(pending) => creation.resume(pending),
        None => creation,
    })
}

fn take<T>(
    step: Step<Effect, Event<T>>,
    is_lost: &mut bool,
    turn: &mut Turn,
    end: impl Fn(T) -> RowOutcome,
) -> (WriteBatch, Vec<Effect>) {
    for event in step.events {
        match event {
            Event::Progress(Progress::Settling(_)) => *is_lost = true,
            Event::Finished(Ok(made)) => turn.end = Some(end(made)),
            Event::Finished(Err(error)) => turn.end = Some(RowOutcome::of(error)),
            _ => {}
        }
    }
    (step.writes, step.effects)
}

/// Reads from what a conversation wants kept how far it has come. Accounts are not kept: their sessions
/// are given back.
fn note(commit: &WriteBatch, turn: &mut Turn) {
    for change in commit.writes() {
        let conversation = match (&*change.table, &change.value) {
            (NEW_USERS, Some(_)) => None,
            (REGISTRATIONS, Some(value)) => {
                Some(Secret::from(String::from_utf8_lossy(value).into_owned()))
            }
            _ => continue,
        };
        turn.begun = Some(conversation);
    }
}

impl RowOutcome {
    fn made(account: Account) -> Self {
        Self::Made {
            user_id: account.user_id,
            token: account.access_token,
        }
    }

    /// What a failure means for the row, or for all of them.
    fn of(error: AuthError) -> Self {
        match &error {
            AuthError::NameTaken { .. } => Self::Exists,
            AuthError::InDoubt { what, .. } | AuthError::MayBeDone { what, .. } => {
                Self::InDoubt(what.clone())
            }
            AuthError::Refused { error: refusal, .. } if refusal.status >= 500 => {
                Self::OfTheRun(error)
            }
            AuthError::NameInvalid { .. }
            | AuthError::NameReserved { .. }
            | AuthError::OutsideNamespace { .. }
            | AuthError::WeakPassword { .. }
            | AuthError::AddressRefused { .. }
            | AuthError::Refused { .. } => Self::Refused(error.to_string()),
            _ => Self::OfTheRun(error),
        }
    }
}
