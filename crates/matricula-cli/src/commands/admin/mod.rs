//! `matricula admin`: accounts, users and registration tokens, for server administrators.

mod register;
mod token;
mod user;

use std::path::Path;

use matricula::{
    Error, Session,
    admin::AdminError,
    api::{ApiError, ErrorCode},
    core::Secret,
};

use super::{Context, account_source, read_secret};
use crate::{
    args::admin::{Admin, AdminToken, AdminUser, NewUser},
    error::CommandError,
};

pub(crate) async fn run(context: &Context<'_>, options: Admin) -> Result<(), CommandError> {
    match options {
        Admin::Register(options) => register::run(context, *options).await,
        Admin::User(AdminUser::Create(options)) => user::create(context, options).await,
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
    let code = match &error {
        Error::Api(ApiError::Matrix(error)) => error.code.clone(),
        _ => return error.into(),
    };
    match code {
        ErrorCode::Forbidden => {
            Error::from(AdminError::NotAnAdministrator { server, user_id }).into()
        }
        ErrorCode::Unrecognized => Error::from(AdminError::NoAdministration { server }).into(),
        _ => account_source::session_ended(context, &account, error),
    }
}
