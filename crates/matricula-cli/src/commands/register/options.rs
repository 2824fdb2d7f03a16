//! The options of a registration: from the command line, and from the person.

use matricula::auth::{AccountKind, DeviceOptions, RegistrationOptions, ServerInfo};

use super::username;
use crate::commands::{Context, device_name, read_secret};
use crate::{args::Register, error::CommandError, terminal::Terminal};

/// The options of the command line. Secrets come from files and standard input, never from arguments.
pub(super) fn from_args(options: &Register) -> Result<RegistrationOptions, CommandError> {
    let mut registration = RegistrationOptions {
        kind: if options.guest {
            AccountKind::Guest
        } else {
            AccountKind::User
        },
        username: options.username.clone(),
        email: options.email.clone(),
        phone: options.phone.clone(),
        accept_terms: options.accept_terms,
        device: DeviceOptions {
            device_id: options.device_id.clone(),
            device_name: device_name(options.device_name.as_deref()),
            refresh_token: options.refresh_token,
            ..DeviceOptions::default()
        },
        inhibit_login: options.inhibit_login,
        ..RegistrationOptions::default()
    };
    registration.password = read_secret(
        options.password_stdin,
        options.password_file.as_deref(),
        "password",
    )?;
    registration.token = read_secret(
        options.token_stdin,
        options.token_file.as_deref(),
        "registration token",
    )?;
    registration.code = read_secret(false, options.code_file.as_deref(), "code")?;
    Ok(registration)
}

/// Asks for the name and the password that were not given.
pub(super) async fn ask_for_missing(
    context: &Context<'_>,
    terminal: &Terminal,
    server: &ServerInfo,
    registration: &mut RegistrationOptions,
) -> Result<(), CommandError> {
    if !terminal.has_person() || registration.kind != AccountKind::User {
        return Ok(());
    }
    if registration.username.is_none() || registration.password.is_none() {
        let given = registration.username.take();
        registration.username = username::choose(context, terminal, server, given).await?;
    }
    if registration.password.is_none() {
        let policy = server.password_policy.clone();
        registration.password = terminal.choose_password(policy).await?;
    }
    Ok(())
}

/// Warns about options that cannot be passed on to the page of the server.
pub(super) fn warn_for_page(
    context: &Context<'_>,
    registration: &RegistrationOptions,
) -> Result<(), CommandError> {
    if registration.inhibit_login {
        return Err(CommandError::Usage(
            "this server makes accounts on a page, which signs in too; leave --inhibit-login out"
                .into(),
        ));
    }
    let given = [
        (registration.username.is_some(), "the name"),
        (registration.password.is_some(), "the password"),
        (registration.token.is_some(), "the registration token"),
        (registration.email.is_some(), "the email address"),
        (registration.phone.is_some(), "the phone number"),
    ];
    let left: Vec<&str> = given
        .iter()
        .filter_map(|(is_given, what)| is_given.then_some(*what))
        .collect();
    if !left.is_empty() {
        context.output.warn(&format!(
            "this server makes accounts on a page, which asks for everything itself: {} given here \
             cannot be passed on",
            left.join(", ")
        ));
    }
    Ok(())
}
