//! `matricula admin token`: creates, lists and revokes registration tokens.

use matricula::{
    Error,
    api::{
        ApiError, ErrorCode,
        synapse::{
            CreateRegistrationToken, DeleteRegistrationToken, ListRegistrationTokens,
            RegistrationToken,
        },
    },
    runner::SystemClock,
};
use serde_json::{Value, json};

use super::{Context, account_source, admin_error, read_secret, required_secret};
use crate::{
    args::admin::{AdminTokenCreate, AdminTokenList, AdminTokenRevoke},
    error::CommandError,
    output::quoted,
    text::{columns, count},
};

pub(super) async fn create(
    context: &Context<'_>,
    options: AdminTokenCreate,
) -> Result<(), CommandError> {
    let token = read_secret(false, options.token_file.as_deref(), "registration token")?;
    let account = options.administrator.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let request = CreateRegistrationToken {
        token,
        length: options.length,
        uses_allowed: options.uses,
        expiry_time: options
            .expires_in
            .map(|time| SystemClock::now().plus(time).as_millis()),
        ..CreateRegistrationToken::default()
    };
    let created = session.call(request).await;
    let token = created.map_err(|error| admin_error(context, &session, error))?;
    let mut object = shown(&token);
    object["schema_version"] = json!(1);
    context.output.result(token.token.expose(), &object);
    context.output.say(&about(&token));
    let register = format!("register {} --token-file FILE", session.account().server);
    context.output.next(&context.command(&register));
    Ok(())
}

pub(super) async fn list(
    context: &Context<'_>,
    options: AdminTokenList,
) -> Result<(), CommandError> {
    let account = options.administrator.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let request = ListRegistrationTokens {
        valid: options.valid.then_some(true),
    };
    let answer = session.call(request).await;
    let tokens = answer
        .map_err(|error| admin_error(context, &session, error))?
        .registration_tokens;
    let row = |token: &RegistrationToken| [quoted(token.token.expose()), about(token)];
    let rows: Vec<[String; 2]> = tokens.iter().map(row).collect();
    let tokens: Vec<Value> = tokens.iter().map(shown).collect();
    if rows.is_empty() {
        context.output.say("there are no tokens");
    }
    let object = json!({ "schema_version": 1, "tokens": tokens });
    if context.output.is_json() || !rows.is_empty() {
        context.output.result(&columns(&rows), &object);
    }
    Ok(())
}

pub(super) async fn revoke(
    context: &Context<'_>,
    options: AdminTokenRevoke,
) -> Result<(), CommandError> {
    let token = required_secret(
        options.token_stdin,
        options.token_file.as_deref(),
        "registration token",
    )?;
    let account = options.administrator.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let server = session.account().server;
    let answer = session.call(DeleteRegistrationToken { token }).await;
    answer.map_err(|error| match &error {
        Error::Api(ApiError::Matrix(refusal)) if refusal.code == ErrorCode::NotFound => {
            CommandError::other(format!("{server} has no such registration token"))
        }
        _ => admin_error(context, &session, error),
    })?;
    let object = json!({ "schema_version": 1, "revoked": true, "server": server });
    context.output.result("the token is revoked", &object);
    Ok(())
}

fn about(token: &RegistrationToken) -> String {
    let accounts = token.completed.unwrap_or(0);
    let mut words = match token.uses_allowed {
        Some(uses) => format!("{accounts} of {} registered", count(uses, "account")),
        None => format!("{} registered, no limit", count(accounts, "account")),
    };
    match token.pending {
        Some(pending) if pending > 0 => words += &format!(", {pending} pending"),
        _ => {}
    }
    if let Some(expiry) = token.expiry_time {
        let now = SystemClock::now().as_millis();
        words += &match expiry.checked_sub(now) {
            Some(left) => format!(", expires in {}", span(left / 1_000)),
            None => ", expired".to_owned(),
        };
    }
    words
}

/// A duration in the largest unit of which it has at least two.
fn span(seconds: u64) -> String {
    let round = |unit: u64| seconds.saturating_add(unit / 2) / unit;
    match (round(86_400), round(3_600), round(60)) {
        (days, ..) if days >= 2 => format!("{days} days"),
        (_, hours, _) if hours >= 2 => format!("{hours} hours"),
        (_, _, minutes) if minutes >= 2 => format!("{minutes} minutes"),
        _ => format!("{seconds} s"),
    }
}

/// The token is the result of the command, so it is not masked.
fn shown(token: &RegistrationToken) -> Value {
    json!({
        "token": token.token.expose(),
        "uses_allowed": token.uses_allowed,
        "pending": token.pending.unwrap_or(0),
        "completed": token.completed.unwrap_or(0),
        "expires_at": token.expiry_time,
    })
}
