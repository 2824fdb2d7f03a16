//! `whoami`, `refresh` and `logout`: what is done in a session.

use matricula::{
    Error, Session,
    api::{ApiError, ErrorCode, client::whoami::GetTokenOwner},
    auth::Account,
};
use serde_json::json;

use super::{Context, register::describe};
use crate::{
    args::OfAccount,
    failure::Failure,
    report::shell_word,
    server::{self, Opened},
};

pub(crate) async fn who_am_i(context: &Context<'_>, options: OfAccount) -> Result<(), Failure> {
    let (session, _opened) = open(context, options.account.as_deref()).await?;
    let me = session.call(GetTokenOwner::default()).await;
    let me = me.map_err(|error| session_ended(context, session.account(), error))?;
    let server = &session.account().server;
    let device = me.device_id.as_deref().unwrap_or("no device");
    let guest = if me.is_guest == Some(true) {
        ", a guest"
    } else {
        ""
    };
    let object = json!({
        "schema_version": 1,
        "user_id": me.user_id,
        "device_id": me.device_id,
        "guest": me.is_guest.unwrap_or(false),
        "server": server,
    });
    context.report.result(
        &format!("{} on device {device} at {server}{guest}", me.user_id),
        &object,
    );
    Ok(())
}

pub(crate) async fn refresh(context: &Context<'_>, options: OfAccount) -> Result<(), Failure> {
    // Of two that renew a token at once, one would be left with a dead one.
    let _turn = context.home.accounts().take_turn()?;
    let (mut session, _opened) = open(context, options.account.as_deref()).await?;
    session.refresh(&mut context.home.accounts()).await?;
    let account = session.account();
    let until = account
        .expires_at
        .map(|at| at.since(matricula::http::now()).as_secs());
    let words = match until {
        Some(seconds) => format!(
            "the token of {} is renewed, for {seconds} s",
            account.user_id
        ),
        None => format!("the token of {} is renewed", account.user_id),
    };
    context
        .report
        .result(&words, &describe(account, &account.server));
    Ok(())
}

pub(crate) async fn log_out(context: &Context<'_>, options: OfAccount) -> Result<(), Failure> {
    // Of two that renew a token at once, one would be left with a dead one.
    let _turn = context.home.accounts().take_turn()?;
    let (session, _opened) = open(context, options.account.as_deref()).await?;
    let account = session.log_out(&mut context.home.accounts()).await?;
    context.report.result(
        &format!("signed out of {}", account.user_id),
        &describe(&account, &account.server),
    );
    context.report.next(&sign_in(context, &account));
    Ok(())
}

/// What to type to sign in to this account.
fn sign_in(context: &Context<'_>, account: &Account) -> String {
    let user_id = shell_word(account.user_id.as_str());
    context.command(&format!("login {user_id}"))
}

/// Says what to do about a token that the server does not take any more.
pub(crate) fn session_ended(context: &Context<'_>, account: &Account, error: Error) -> Failure {
    match &error {
        Error::Api(ApiError::Matrix(refusal)) if refusal.code == ErrorCode::UnknownToken => {
            let user_id = &account.user_id;
            let next = match account.refresh_token {
                Some(_) => context.command("refresh"),
                None => sign_in(context, account),
            };
            Failure::NotSignedIn {
                message: format!("the session of {user_id} has ended"),
                next,
            }
        }
        _ => error.into(),
    }
}

/// The account of this user id, or the one used last, with its server running if it is a private one.
pub(crate) async fn open(
    context: &Context<'_>,
    user_id: Option<&str>,
) -> Result<(Session, Option<Opened>), Failure> {
    let account = account(context, user_id)?;
    if account.access_token.is_none() {
        return Err(not_signed_in(context, &account));
    }
    let (account, opened) = reach(account).await?;
    Ok((Session::new(account, context.runner.clone()), opened))
}

pub(crate) fn not_signed_in(context: &Context<'_>, account: &Account) -> Failure {
    Failure::NotSignedIn {
        message: format!("{} is not signed in", account.user_id),
        next: sign_in(context, account),
    }
}

pub(crate) fn account(context: &Context<'_>, user_id: Option<&str>) -> Result<Account, Failure> {
    let found = context.home.accounts().account(user_id)?;
    found.ok_or_else(|| Failure::NotSignedIn {
        message: match user_id {
            Some(user_id) => format!("no account {user_id} is kept here"),
            None => "no account is kept here yet".to_owned(),
        },
        next: context.command("register"),
    })
}

/// Starts the server of a private account: its address is another each time.
pub(crate) async fn reach(mut account: Account) -> Result<(Account, Option<Opened>), Failure> {
    let opened = server::reopen(&account.data).await?;
    if let Some(opened) = &opened {
        account.server = opened.url().clone();
    }
    Ok((account, opened))
}
