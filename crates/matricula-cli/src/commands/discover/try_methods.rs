//! `discover --try`: tries each registration method with a temporary account.

use matricula::{
    Error, Session, Store,
    api::{
        Endpoint, UserId,
        client::whoami::WhoAmI,
        uia::{Flow, Stage},
    },
    auth::{
        Account, AccountKind, AuthError, Deactivation, DeviceOptions, Login, RegisterError,
        Registration, RegistrationMethod, RegistrationOptions, ServerError, ServerInfo, UiaError,
        tables,
    },
    core::{Entropy, Secret, WriteBatch},
    drive,
    runner::SystemEntropy,
    send,
};
use serde_json::{Value, json};

use super::Context;
use crate::commands::account_source;
use crate::{
    error::CommandError,
    output::{Row, Style},
    terminal::Terminal,
};

/// The answers given in advance.
pub(super) struct KnownAnswers {
    pub(super) token: Option<Secret>,
    pub(super) accepts_terms: bool,
}

/// The result of one method.
pub(super) struct Attempts {
    way: RegistrationMethod,
    /// Why it was not tried.
    not_tried: Option<String>,
    steps: Vec<Step>,
    account: Option<UserId>,
    left_behind: bool,
    /// The registration whose outcome is in doubt. It stays stored.
    in_doubt: Option<String>,
}

/// One step with the temporary account.
struct Step {
    name: &'static str,
    result: Result<(), String>,
}

impl Attempts {
    fn new(way: RegistrationMethod) -> Self {
        Self {
            way,
            not_tried: None,
            steps: Vec::new(),
            account: None,
            left_behind: false,
            in_doubt: None,
        }
    }

    pub(super) fn was_tried(&self) -> bool {
        self.not_tried.is_none()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.steps.iter().any(|step| step.result.is_err())
    }

    /// The account that could not be deactivated.
    pub(super) fn left_behind(&self) -> Option<&UserId> {
        self.account.as_ref().filter(|_| self.left_behind)
    }

    /// The registration that may have left an account.
    pub(super) fn in_doubt(&self) -> Option<&str> {
        self.in_doubt.as_deref()
    }

    /// Records the result of a step, and returns its value.
    fn note<T>(&mut self, name: &'static str, result: Result<T, String>) -> Option<T> {
        let (result, value) = match result {
            Ok(value) => (Ok(()), Some(value)),
            Err(error) => (Err(error), None),
        };
        self.steps.push(Step { name, result });
        value
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        match &self.not_tried {
            Some(why) => rows.push(Row::new("try", format!("{}: not tried: {why}", self.way))),
            None => rows.push(Row::new("try", self.way.to_string())),
        }
        rows.extend(self.steps.iter().map(|step| match &step.result {
            Ok(()) => Row::new("try", format!("  {:<10}  passed", step.name)).style(Style::Good),
            Err(why) => {
                Row::new("try", format!("  {:<10}  failed: {why}", step.name)).style(Style::Bad)
            }
        }));
        if let Some(user_id) = self.left_behind() {
            let words = format!("  {user_id} was left behind, and is stored here");
            rows.push(Row::new("try", words).style(Style::Bad));
        }
        if let Some(id) = &self.in_doubt {
            let words = format!("  an account may have been left behind by registration {id}");
            rows.push(Row::new("try", words).style(Style::Bad));
        }
        rows
    }

    pub(super) fn json(&self) -> Value {
        let stages = match &self.way {
            RegistrationMethod::Register(flow) => json!(flow.stages),
            _ => Value::Null,
        };
        let state = match (&self.not_tried, self.has_failed()) {
            (Some(_), _) => "not_tried",
            (None, true) => "failed",
            (None, false) => "passed",
        };
        let step = |step: &Step| {
            json!({
                "step": step.name,
                "passed": step.result.is_ok(),
                "error": step.result.as_ref().err(),
            })
        };
        json!({
            "way": self.way.to_string(),
            "stages": stages,
            "asks": self.way.demands(),
            "state": state,
            "why_not_tried": self.not_tried,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "account": self.account,
            "left_behind": self.left_behind,
            "in_doubt": self.in_doubt,
        })
    }
}

/// Tries every method that needs no person.
pub(super) async fn every_way(
    context: &Context<'_>,
    info: &ServerInfo,
    answers: &KnownAnswers,
) -> Result<Vec<Attempts>, CommandError> {
    let mut walks = Vec::new();
    for way in info.registration_methods() {
        let mut attempts = Attempts::new(way.clone());
        match way {
            RegistrationMethod::Register(flow) => match needs(&flow, answers) {
                None => try_flow(context, info, flow, answers, &mut attempts).await?,
                Some(why) => attempts.not_tried = Some(why),
            },
            _ => attempts.not_tried = Some("it needs a person with a browser".to_owned()),
        }
        walks.push(attempts);
    }
    Ok(walks)
}

/// Why the method needs a person.
fn needs(flow: &Flow, answers: &KnownAnswers) -> Option<String> {
    let need = |stage: &Stage| match stage {
        Stage::Dummy => None,
        Stage::RegistrationToken if answers.token.is_some() => None,
        Stage::RegistrationToken => Some("it needs a token: give one with --token-file FILE"),
        Stage::Terms if answers.accepts_terms => None,
        Stage::Terms => Some("its terms must be accepted: read them, and give --accept-terms"),
        Stage::EmailIdentity => Some("it needs a person who reads an email"),
        Stage::Msisdn => Some("it needs a person with a phone"),
        Stage::Recaptcha => Some("it needs a person who solves a captcha"),
        _ => Some("it needs a person with a browser"),
    };
    flow.stages.iter().find_map(need).map(str::to_owned)
}

async fn try_flow(
    context: &Context<'_>,
    info: &ServerInfo,
    flow: Flow,
    answers: &KnownAnswers,
    attempts: &mut Attempts,
) -> Result<(), CommandError> {
    let name = SystemEntropy.text(b"abcdefghijkmnpqrstuvwxyz23456789", 10);
    let options = RegistrationOptions {
        username: Some(format!("matricula-try-{name}")),
        token: answers.token.clone(),
        accept_terms: answers.accepts_terms,
        ..temporary()
    };
    let registration = Registration::new(info, options).only_flow(flow);
    let Some(account) = register(context, registration, attempts).await? else {
        return Ok(());
    };
    attempts.account = Some(account.user_id.clone());
    attempts.left_behind = true;
    let session = account_source::in_account(context, account);
    attempts.note("whoami", who_am_i(&session).await);
    let has_password = info
        .login_flows
        .iter()
        .any(|flow| flow.kind == "m.login.password");
    let account = match has_password {
        true => out_and_in(context, info, session, attempts).await,
        // After signing out, the account could not be deactivated.
        false => Some(session.account()),
    };
    let Some(account) = account else {
        return Ok(());
    };
    // Gives the token of the new session to the runner.
    let session = account_source::in_account(context, account);
    let mut deactivation = Deactivation::new(&session.account());
    let end = context.drive(&mut deactivation, &no_person(context)).await;
    let is_gone = attempts.note("deactivate", end.map_err(|error| error.to_string()));
    attempts.left_behind = is_gone.is_none();
    Ok(())
}

fn temporary() -> RegistrationOptions {
    RegistrationOptions {
        device: DeviceOptions::new().device_name("matricula discover --try"),
        ..RegistrationOptions::default()
    }
}

/// Prints the progress, and answers no prompt.
fn no_person(context: &Context<'_>) -> Terminal {
    Terminal::new(context.output, true)
}

async fn register(
    context: &Context<'_>,
    mut registration: Registration,
    attempts: &mut Attempts,
) -> Result<Option<Account>, CommandError> {
    let mut accounts = context.home.accounts();
    let account = context.drive(&mut registration, &no_person(context)).await;
    // If the outcome is in doubt, the registration stays stored, so that it can be resumed.
    if is_in_doubt(&account) {
        attempts.in_doubt = Some(registration.id().to_owned());
    } else if account.is_err() {
        let mut writes = WriteBatch::default();
        writes.remove(tables::REGISTRATIONS, registration.id());
        accounts.commit(&writes)?;
    }
    Ok(attempts.note("register", account.map_err(|error| error.to_string())))
}

fn is_in_doubt(account: &Result<Account, Error>) -> bool {
    matches!(
        account,
        Err(Error::Auth(AuthError::Register(
            RegisterError::InDoubt { .. }
        )))
    )
}

async fn who_am_i(session: &Session) -> Result<(), String> {
    let me = session.call(WhoAmI::default()).await;
    let me = me.map_err(|error| error.to_string())?;
    match &session.account().user_id {
        user_id if *user_id == me.user_id => Ok(()),
        user_id => Err(format!(
            "the token of {user_id} is said to be {}'s",
            me.user_id
        )),
    }
}

/// Signs out, checks that the token is invalid, and signs in again. Returns the account that is
/// signed in, if any.
async fn out_and_in(
    context: &Context<'_>,
    info: &ServerInfo,
    session: Session,
    attempts: &mut Attempts,
) -> Option<Account> {
    let before = session.account();
    let account = match session.log_out().await {
        Ok(account) => account,
        Err(error) => {
            attempts.note::<()>("logout", Err(error.to_string()));
            return Some(before);
        }
    };
    let is_dead = match is_dead(context, &before).await {
        true => Ok(()),
        false => Err("the server still takes the token".to_owned()),
    };
    attempts.note("logout", is_dead);
    let password = account.password.clone().unwrap_or_default();
    let mut login = Login::new(info, account.user_id.as_str(), password.clone())
        .generated_password(password)
        .device(DeviceOptions::new().device_name("matricula discover --try"));
    let account = context.drive(&mut login, &no_person(context)).await;
    attempts.note("login", account.map_err(|error| error.to_string()))
}

async fn is_dead(context: &Context<'_>, account: &Account) -> bool {
    let Some(token) = account.access_token.clone() else {
        return true;
    };
    let job = WhoAmI::default().job(&account.server).with_token(token);
    let response = send(&context.runner, job).await;
    response.is_ok_and(|response| response.status_code() == 401)
}

/// Whether the server accepts guests.
pub(super) enum Guest {
    /// The server accepts no guests. The text is the server's.
    Refused(String),
    /// A guest was registered. It remains, because guests cannot be deactivated.
    Allowed(UserId),
    /// Another error.
    Failed(String),
}

impl Guest {
    pub(super) fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        vec![match self {
            Self::Refused(_) => Row::new("try", "guest: not let in"),
            Self::Failed(why) => Row::new("try", format!("guest: failed: {why}")).style(Style::Bad),
            Self::Allowed(user_id) => Row::new(
                "try",
                format!(
                    "guest: let in as {user_id}, who was left behind: guests cannot be deactivated"
                ),
            )
            .style(Style::Warning),
        }]
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Self::Refused(why) => json!({ "state": "refused", "error": why }),
            Self::Failed(why) => json!({ "state": "failed", "error": why }),
            Self::Allowed(user_id) => {
                json!({ "state": "allowed", "account": user_id, "left_behind": true })
            }
        }
    }
}

/// Registers a guest without storing it.
pub(super) async fn guest(context: &Context<'_>, info: &ServerInfo) -> Result<Guest, CommandError> {
    let options = RegistrationOptions {
        kind: AccountKind::Guest,
        ..temporary()
    };
    let mut registration = Registration::new(info, options);
    let guest = drive(
        &mut registration,
        &context.runner,
        &mut matricula::NoStore,
        &mut no_person(context),
    )
    .await;
    Ok(match guest {
        Ok(account) => {
            let user_id = account.user_id.clone();
            let session = Session::new(account, context.runner.clone());
            // The result does not matter: not every server lets guests sign out.
            let _ = session.log_out().await;
            Guest::Allowed(user_id)
        }
        Err(Error::Auth(
            error @ (AuthError::Server(ServerError::Unreachable { .. })
            | AuthError::Server(ServerError::NotMatrix { .. })
            | AuthError::Server(ServerError::Unavailable { .. })
            | AuthError::Register(RegisterError::InDoubt { .. })
            | AuthError::Server(ServerError::RateLimited { .. })
            | AuthError::Uia(UiaError::Endless { .. })),
        )) => Guest::Failed(error.to_string()),
        // The server requires more from guests.
        Err(Error::Auth(error)) => Guest::Refused(error.to_string()),
        Err(error) => Guest::Failed(error.to_string()),
    })
}
