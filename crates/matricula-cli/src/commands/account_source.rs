//! The account that a command works on: found in the store, reached, and opened as a session.

use matricula::{
    Account, AuthError, Error, ServerAddress, Session,
    api::{ApiError, ErrorCode},
    auth::{ServerError, SessionError},
};

use super::Context;
use crate::{
    error::CommandError,
    private_server::{self, RunningServer},
    shell::shell_word,
};

/// The command that logs in to this account.
pub(crate) fn login_command(context: &Context<'_>, account: &Account) -> String {
    let user_id = shell_word(account.user_id.as_str());
    context.command(&format!("login {user_id}"))
}

/// The error of a call; if the session has ended, with the command that logs in again. A server that failed,
/// or asks to wait, is named.
pub(crate) fn session_ended(
    context: &Context<'_>,
    account: &Account,
    error: Error,
) -> CommandError {
    let error = match error {
        Error::Api(failure @ ApiError::RateLimited { .. }) => {
            ServerError::from_api(&account.server, failure).into()
        }
        Error::Api(failure) if failure.is_failure() => {
            ServerError::from_api(&account.server, failure).into()
        }
        other => other,
    };
    let has_ended = match &error {
        Error::Api(ApiError::Matrix(refusal)) => refusal.code == ErrorCode::UnknownToken,
        Error::Auth(auth) => matches!(
            auth,
            AuthError::Session(SessionError::SignedOut { .. })
                | AuthError::Session(SessionError::SoftLogout { .. })
                | AuthError::Session(SessionError::NotSignedIn { .. })
                | AuthError::Session(SessionError::NoRefreshToken { .. })
        ),
        _ => false,
    };
    if !has_ended {
        return error.into();
    }
    let user_id = &account.user_id;
    if let Error::Auth(AuthError::Session(SessionError::NoRefreshToken { .. })) = &error {
        return not_renewable(context, account);
    }
    let message = match &error {
        Error::Auth(error) => error.to_string(),
        // The token was renewed, and the new one is refused too.
        Error::Api(refusal) if account.oauth.is_some() => format!(
            "{} accepts no token of {user_id}, not even a new one ({refusal}): the account may be locked; \
             ask its administrators, or sign in again",
            account.server
        ),
        _ => format!("the session of {user_id} has ended"),
    };
    // A login with the device ID replaces the old session of the device.
    let device = match (&error, &account.device_id) {
        (Error::Auth(AuthError::Session(SessionError::SoftLogout { .. })), Some(id)) => {
            format!(" --device-id {}", shell_word(id))
        }
        _ => String::new(),
    };
    CommandError::NotSignedIn {
        message,
        next: login_command(context, account) + &device,
    }
}

/// Whether a command can do without what the server did not give with this error: it refused that or failed
/// at it, but the session goes on.
pub(crate) fn is_dispensable(error: &Error) -> bool {
    match error {
        Error::Api(ApiError::RateLimited { .. }) => false,
        Error::Api(ApiError::Matrix(refusal)) => !matches!(
            refusal.code,
            ErrorCode::UnknownToken | ErrorCode::MissingToken
        ),
        Error::Api(_) => true,
        _ => false,
    }
}

/// The error of a renewal of a token that has no refresh token.
fn not_renewable(context: &Context<'_>, account: &Account) -> CommandError {
    let user_id = &account.user_id;
    let why = match account.expires_at {
        None => "does not expire, so there is nothing to renew",
        Some(_) => "expires, and the server gave no token that renews it",
    };
    CommandError::NotSignedIn {
        message: format!(
            "the token of {user_id} {why}; to get a token that is renewed, sign in again with \
             --refresh-token"
        ),
        next: login_command(context, account) + " --refresh-token",
    }
}

/// A session in this account, which stores its tokens with the account.
pub(crate) fn in_account(context: &Context<'_>, account: Account) -> Session {
    Session::new(account, context.runner.clone()).store(context.home.accounts())
}

/// The session of this account, or of the default account. The server of a private account is
/// started, and stops when the second value is dropped.
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
        next: login_command(context, account),
    }
}

/// The stored account of this name, a user ID or its localpart; without one, the default account.
pub(crate) fn account(context: &Context<'_>, name: Option<&str>) -> Result<Account, CommandError> {
    let store = context.home.accounts();
    let Some(name) = name else {
        return store
            .account(None)?
            .ok_or_else(|| no_account(context, None));
    };
    if name.trim().is_empty() {
        let text = "the name of the account is empty; name one like alice";
        return Err(CommandError::Usage(text.into()));
    }
    let mut accounts = store.accounts_named(name)?;
    match (accounts.pop(), accounts.is_empty()) {
        (Some(account), true) => Ok(account),
        (Some(last), false) => {
            accounts.push(last);
            Err(ambiguous(name, &accounts))
        }
        (None, _) => Err(no_account(context, Some(name))),
    }
}

/// The error if a name is that of no stored account.
fn no_account(context: &Context<'_>, name: Option<&str>) -> CommandError {
    let has_others = matches!(context.home.accounts().account(None), Ok(Some(_)));
    let next = if has_others { "accounts" } else { "register" };
    CommandError::NotSignedIn {
        message: match name {
            Some(name) => format!("no account {name} is stored here"),
            None => "no account is stored here yet".to_owned(),
        },
        next: context.command(next),
    }
}

/// The error if a name is that of several stored accounts.
pub(crate) fn ambiguous(name: &str, accounts: &[Account]) -> CommandError {
    let ids: Vec<&str> = accounts.iter().map(|one| one.user_id.as_str()).collect();
    CommandError::Usage(format!(
        "{name} is the name of several accounts: {}; give the whole user ID",
        ids.join(", ")
    ))
}

/// Starts the server of a private account: its address changes with each start.
pub(crate) async fn reach(
    mut account: Account,
) -> Result<(Account, Option<RunningServer>), CommandError> {
    let opened = private_server::reopen(&account.data).await?;
    if let Some(opened) = &opened {
        account.server = opened.url().clone();
    }
    Ok((account, opened))
}

/// The server to log in to: the one that was named, else the stored account's, else the user ID's.
pub(crate) fn address(
    context: &Context<'_>,
    server: Option<&str>,
    user: Option<&str>,
    stored: Option<&Account>,
) -> Result<ServerAddress, CommandError> {
    if let Some(server) = server {
        return context.address(server);
    }
    if let Some(account) = stored {
        return Ok(ServerAddress::Url(account.server.clone()));
    }
    let user = user.unwrap_or_default().trim();
    let name = user.trim_start_matches('@');
    match name.contains(':') {
        true => context.address(&format!("@{name}")),
        false => Err(CommandError::Usage(format!(
            "name the server of {name}: --server example.org, or @{name}:example.org"
        ))),
    }
}
