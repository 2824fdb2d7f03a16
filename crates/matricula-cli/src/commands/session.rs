//! `whoami`, `refresh` and `logout`.

use matricula::{Account, api::client::whoami::WhoAmI};
use serde_json::json;

use super::{
    Context,
    account_output::account_json,
    account_source::{login_command, open, session_ended},
};
use crate::{
    args::{AccountArg, accounts::Logout},
    error::CommandError,
    text::count,
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
        .result(&words, &account_json(&account, &account.server));
    Ok(())
}

pub(crate) async fn log_out(context: &Context<'_>, options: Logout) -> Result<(), CommandError> {
    if options.all {
        return log_out_of_all(context).await;
    }
    let account = end_session(context, options.of.account.as_deref()).await?;
    context.output.result(
        &format!("signed out of {}", account.user_id),
        &account_json(&account, &account.server),
    );
    context.output.next(&login_command(context, &account));
    Ok(())
}

/// Signs out of all stored accounts; an error of one server does not stop the others.
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
                "signed out of {}, and {} could not be signed out on the server; try again",
                count(ended.len(), "account"),
                count(left.len(), "account")
            ),
            exit_code: failure.exit_code(),
            details: object,
            next: Some(context.command("logout --all")),
        });
    }
    let words = format!("signed out of {}", count(ended.len(), "account"));
    context.output.result(&words, &object);
    Ok(())
}

/// Signs out of one account, and returns the account without its session.
async fn end_session(
    context: &Context<'_>,
    user_id: Option<&str>,
) -> Result<Account, CommandError> {
    let (session, _opened) = open(context, user_id).await?;
    let ended = session.log_out().await;
    ended.map_err(|error| session_ended(context, &session.account(), error))
}
