//! `matricula admin`: accounts, users and registration tokens, for server administrators.

mod register;
mod token;
mod user;

use std::path::Path;

use matricula::{
    Account, Error, Session,
    admin::AdminError,
    api::{ApiError, ErrorCode},
    core::Secret,
};
use serde_json::json;

use super::{Context, account_source, read_secret};
use crate::{
    args::admin::{Admin, AdminToken, AdminUser, NewUser},
    error::CommandError,
};

pub(crate) async fn run(context: &Context<'_>, options: Admin) -> Result<(), CommandError> {
    match options {
        Admin::Register(options) => register::run(context, *options).await,
        Admin::User(AdminUser::Create(options)) => user::create(context, options).await,
        Admin::User(AdminUser::List(options)) => user::list(context, options).await,
        Admin::User(AdminUser::Show(options)) => user::show(context, options).await,
        Admin::Token(AdminToken::Create(options)) => token::create(context, options).await,
        Admin::Token(AdminToken::List(options)) => token::list(context, options).await,
        Admin::Token(AdminToken::Revoke(options)) => token::revoke(context, options).await,
    }
}

/// Reads a secret that the command needs.
fn required_secret(
    from_stdin: bool,
    file: Option<&Path>,
    what: &str,
) -> Result<Secret, CommandError> {
    read_secret(from_stdin, file, what)?.ok_or_else(|| {
        CommandError::Usage(format!(
            "name the file of the {what}, or give it on standard input"
        ))
    })
}

/// The password of a new user, if one is given.
fn password(user: &NewUser) -> Result<Option<Secret>, CommandError> {
    read_secret(
        user.password_stdin,
        user.password_file.as_deref(),
        "password",
    )
}

/// Explains the error of a request that only administrators may send.
fn admin_error(context: &Context<'_>, session: &Session, error: Error) -> CommandError {
    let account = session.account();
    let (server, user_id) = (account.server.clone(), account.user_id.clone());
    let (code, message) = match &error {
        Error::Api(ApiError::Matrix(refusal)) if !refusal.is_failure() => {
            (refusal.code.clone(), refusal.message.clone())
        }
        _ => return account_source::session_ended(context, &account, error),
    };
    match code {
        ErrorCode::Forbidden => {
            let error = AdminError::NotAnAdministrator {
                server,
                user_id,
                message,
            };
            explained(context, &account, error.into())
        }
        ErrorCode::Unrecognized => {
            Error::from(AdminError::NoAdministration { server, message }).into()
        }
        _ => account_source::session_ended(context, &account, error),
    }
}

/// The error. A session of an OAuth 2.0 server is an administrator's only if that was asked for.
fn explained(context: &Context<'_>, account: &Account, error: Error) -> CommandError {
    let is_about_the_session = account.oauth.is_some()
        && matches!(error, Error::Admin(AdminError::NotAnAdministrator { .. }));
    if !is_about_the_session {
        return error.into();
    }
    let next = account_source::login_command(context, account);
    CommandError::Resumable {
        error: Box::new(error),
        details: json!({}),
        next: format!("{next} --method oauth --admin"),
    }
}
