//! `whoami`, `refresh` and `logout`: what is done in a session.

use matricula::{
    Error, Session,
    api::{ApiError, ErrorCode, client::whoami::WhoAmI},
    auth::{Account, AuthError},
};
use serde_json::json;

use super::{Context, register::describe};
use crate::{
    args::{AccountArg, accounts::Logout},
    error::CommandError,
    private_server::{self, RunningServer},
    shell::shell_word,
};

pub(crate) async fn who_am_i(
    context: &Context<'_>,
    options: AccountArg,
) -> Result<(), CommandError> {
    let (session, _opened) = open(context, options.account.as_deref()).await?;
    let me = session.call(WhoAmI::default()).await;
    let me = me.map_err(|error| session_ended(context, &session.account(), error))?;
    let server = session.account().server;
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
    context.output.result(
        &format!("{} on device {device} at {server}{guest}", me.user_id),
        &object,
    );
    Ok(())
}

pub(crate) async fn refresh(
    context: &Context<'_>,
    options: AccountArg,
) -> Result<(), CommandError> {
    let (session, _opened) = open(context, options.account.as_deref()).await?;
    let renewed = session.refresh().await;
    renewed.map_err(|error| session_ended(context, &session.account(), error))?;
    let account = session.account();
    let until = account
        .expires_at
        .map(|at| at.since(matricula::runner::SystemClock::now()).as_secs());
    let words = match until {
        Some(seconds) => format!(
            "the token of {} is renewed, for {seconds} s",
            account.user_id
        ),
        None => format!("the token of {} is renewed", account.user_id),
    };
    context
        .output
        .result(&words, &describe(&account, &account.server));
    Ok(())
}

pub(crate) async fn log_out(context: &Context<'_>, options: Logout) -> Result<(), CommandError> {
    if options.all {
        return log_out_of_all(context).await;
    }
    let account = end_session(context, options.of.account.as_deref()).await?;
    context.output.result(
        &format!("signed out of {}", account.user_id),
        &describe(&account, &account.server),
    );
    context.output.next(&sign_in(context, &account));
    Ok(())
}

/// Signs out of every account here; what one server does not take keeps no other from being told.
async fn log_out_of_all(context: &Context<'_>) -> Result<(), CommandError> {
    let accounts = context.home.accounts().accounts()?;
    let (mut ended, mut left) = (Vec::new(), Vec::new());
    let mut first: Option<CommandError> = None;
    for account in accounts {
        if account.access_token.is_none() {
            continue;
        }
        let user_id = account.user_id;
        match end_session(context, Some(user_id.as_str())).await {
            Ok(_) => ended.push(user_id),
            Err(failure) => {
                let message = failure.message();
                context
                    .output
                    .warn(&format!("{user_id} is still signed in: {message}"));
                left.push(json!({ "user_id": user_id, "message": message }));
                first.get_or_insert(failure);
            }
        }
    }
    let object = json!({ "schema_version": 1, "signed_out": ended, "still_signed_in": left });
    if let Some(failure) = first {
        return Err(CommandError::Explained {
            message: format!(
                "signed out of {}, and {} could not be told to its server; try again",
                count(ended.len()),
                count(left.len())
            ),
            exit_code: failure.exit_code(),
            details: object,
            next: Some(context.command("logout --all")),
        });
    }
    let words = format!("signed out of {}", count(ended.len()));
    context.output.result(&words, &object);
    Ok(())
}

fn count(accounts: usize) -> String {
    match accounts {
        1 => "1 account".to_owned(),
        number => format!("{number} accounts"),
    }
}

/// Signs out of one account, and returns what is left of it.
async fn end_session(
    context: &Context<'_>,
    user_id: Option<&str>,
) -> Result<Account, CommandError> {
    let (session, _opened) = open(context, user_id).await?;
    Ok(session.log_out().await?)
}

/// What to type to sign in to this account.
fn sign_in(context: &Context<'_>, account: &Account) -> String {
    let user_id = shell_word(account.user_id.as_str());
    context.command(&format!("login {user_id}"))
}

/// Says what to do about a token that the server does not take any more.
pub(crate) fn session_ended(
    context: &Context<'_>,
    account: &Account,
    error: Error,
) -> CommandError {
    let has_ended = match &error {
        Error::Api(ApiError::Matrix(refusal)) => refusal.code == ErrorCode::UnknownToken,
        Error::Auth(auth) => matches!(
            auth,
            AuthError::SignedOut { .. }
                | AuthError::SoftLogout { .. }
                | AuthError::NotSignedIn { .. }
                | AuthError::NoRefreshToken { .. }
        ),
        _ => false,
    };
    if !has_ended {
        return error.into();
    }
    let user_id = &account.user_id;
    let message = match &error {
        Error::Auth(error) => error.to_string(),
        _ => format!("the session of {user_id} has ended"),
    };
    // Who signs in with the password takes the place of the device.
    let device = match (&error, &account.device_id) {
        (Error::Auth(AuthError::SoftLogout { .. }), Some(id)) => {
            format!(" --device-id {}", shell_word(id))
        }
        _ => String::new(),
    };
    CommandError::NotSignedIn {
        message,
        next: sign_in(context, account) + &device,
    }
}

/// A session in this account, which keeps its tokens where the account is kept.
pub(crate) fn in_account(context: &Context<'_>, account: Account) -> Session {
    Session::new(account, context.runner.clone()).store(context.home.accounts())
}

/// The account of this user id, or the one used last, with its server running if it is a private one.
pub(crate) async fn open(
    context: &Context<'_>,
    user_id: Option<&str>,
) -> Result<(Session, Option<RunningServer>), CommandError> {
    let account = account(context, user_id)?;
    if account.access_token.is_none() {
        return Err(not_signed_in(context, &account));
    }
    let (account, opened) = reach(account).await?;
    Ok((in_account(context, account), opened))
}

pub(crate) fn not_signed_in(context: &Context<'_>, account: &Account) -> CommandError {
    CommandError::NotSignedIn {
        message: format!("{} is not signed in", account.user_id),
        next: sign_in(context, account),
    }
}

pub(crate) fn account(
    context: &Context<'_>,
    user_id: Option<&str>,
) -> Result<Account, CommandError> {
    let found = context.home.accounts().account(user_id)?;
    found.ok_or_else(|| CommandError::NotSignedIn {
        message: match user_id {
            Some(user_id) => format!("no account {user_id} is kept here"),
            None => "no account is kept here yet".to_owned(),
        },
        next: context.command("register"),
    })
}

/// Starts the server of a private account: its address is another each time.
pub(crate) async fn reach(
    mut account: Account,
) -> Result<(Account, Option<RunningServer>), CommandError> {
    let opened = private_server::reopen(&account.data).await?;
    if let Some(opened) = &opened {
        account.server = opened.url().clone();
    }
    Ok((account, opened))
}
