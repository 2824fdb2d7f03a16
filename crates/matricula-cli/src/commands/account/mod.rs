//! `matricula account`: manages an account.

mod addresses;
mod deactivate;
mod devices;
mod password;
mod profile;
mod stored_password;
mod token;

use matricula::{
    Error, Session,
    api::{Endpoint, uia::Stage},
    auth::{AuthError, Conversation, ThreepidError, UiaError},
    core::Secret,
};
use serde_json::{Value, json};

use super::{Context, account_source, dry_run, read_secret};
use crate::{
    args::account::{Account, Authentication, Email, PhoneNumber},
    error::CommandError,
    lines::Lines,
    shell::shell_word,
    terminal::Terminal,
};

pub(crate) async fn run(context: &Context<'_>, command: Account) -> Result<(), CommandError> {
    match command {
        Account::Show(of) => profile::show(context, of).await,
        Account::Name(options) => profile::name(context, options).await,
        Account::Avatar(options) => profile::avatar(context, options).await,
        Account::Password(options) if options.show || options.to_file.is_some() => {
            stored_password::run(context, &options).await
        }
        Account::Password(options) => password::run(context, options).await,
        Account::Email(Email::List(of)) => addresses::list(context, of, "email").await,
        Account::Email(Email::Add(options)) => addresses::add_email(context, options).await,
        Account::Email(Email::Remove(options)) => addresses::remove_email(context, options).await,
        Account::Phone(PhoneNumber::List(of)) => addresses::list(context, of, "msisdn").await,
        Account::Phone(PhoneNumber::Add(options)) => addresses::add_phone(context, options).await,
        Account::Phone(PhoneNumber::Remove(options)) => {
            addresses::remove_phone(context, options).await
        }
        Account::Devices(options) => devices::run(context, options).await,
        Account::Token(options) => token::run(context, &options),
        Account::Deactivate(options) => deactivate::run(context, options).await,
    }
}

impl Authentication {
    /// The account's password, if it was given.
    fn password(&self) -> Result<Option<Secret>, CommandError> {
        read_secret(
            self.password_stdin,
            self.password_file.as_deref(),
            "password",
        )
    }
}

/// Runs a conversation to its end. `command` is the command line that continues it later.
async fn run_conversation<C>(
    context: &Context<'_>,
    session: &Session,
    conversation: &mut C,
    terminal: &mut Terminal,
    command: &str,
) -> Result<C::Output, CommandError>
where
    C: Conversation,
    Error: From<C::Error>,
{
    let mut accounts = context.home.accounts();
    let result = tokio::select! {
        biased;
        result = session.run(conversation, &mut accounts, terminal) => Some(result),
        _ = tokio::signal::ctrl_c() => None,
    };
    match result.filter(|_| !terminal.was_interrupted()) {
        Some(result) => result.map_err(|error| failed(context, session, error, command)),
        None => Err(CommandError::interrupted(
            json!({}),
            context.command(&command_for(session, command)),
        )),
    }
}

/// The command line of a subcommand of `account` for the account of this session.
fn command_for(session: &Session, command: &str) -> String {
    let user_id = session.account().user_id;
    format!(
        "account {command} --account {}",
        shell_word(user_id.as_str())
    )
}

/// The error; if a person must act, with the command that continues.
fn failed(context: &Context<'_>, session: &Session, error: Error, command: &str) -> CommandError {
    let command = command_for(session, command);
    let (details, next) = match &error {
        Error::Auth(AuthError::Uia(UiaError::StagesNotSupported(left))) => {
            let resume = match &left.session {
                Some(session) => format!(" --resume {}", shell_word(session)),
                None => String::new(),
            };
            let details = json!({
                "session": left.session,
                "stage": left.stages.first(),
                "url": left.url,
                "resume": left.session,
            });
            (details, format!("{command}{resume}"))
        }
        Error::Auth(AuthError::Threepid(ThreepidError::AddressNotValidated {
            stage,
            address,
            ..
        })) => {
            let details =
                json!({ "session": null, "stage": stage, "url": null, "resume": address });
            let code = match stage {
                Stage::Msisdn => " --code-file FILE",
                _ => "",
            };
            (details, format!("{command}{code}"))
        }
        Error::Auth(
            AuthError::Uia(UiaError::PasswordNeeded { .. })
            | AuthError::Uia(UiaError::WrongPassword { .. }),
        ) => (json!({}), format!("{command} --password-file FILE")),
        _ => return account_source::session_ended(context, &session.account(), error),
    };
    CommandError::Resumable {
        error: Box::new(error),
        details,
        next: context.command(&next),
    }
}

/// Prints the request that a plain call would send.
fn dry_run_of<E: Endpoint>(context: &Context<'_>, session: &Session, request: &E) {
    dry_run::show(context, &[session.job(request)]);
}

/// The error of a call.
fn call_failed(context: &Context<'_>, session: &Session, error: Error) -> CommandError {
    account_source::session_ended(context, &session.account(), error)
}

/// Prints the result, in words or as JSON.
fn print_done(
    context: &Context<'_>,
    session: &Session,
    words: &(impl Lines + ?Sized),
    object: Value,
) {
    print_done_for(context, &session.account(), words, object);
}

fn print_done_for(
    context: &Context<'_>,
    account: &matricula::auth::Account,
    words: &(impl Lines + ?Sized),
    mut object: Value,
) {
    object["schema_version"] = json!(1);
    object["user_id"] = json!(account.user_id);
    context.output.result(words, &object);
}
