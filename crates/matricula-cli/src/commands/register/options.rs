//! What the options, and then the person, say of the new account.

use matricula::auth::{AccountKind, DeviceOptions, RegistrationOptions};

use super::super::{Context, read_secret};
use crate::{args::Register, error::CommandError, terminal::Terminal};

/// What the options say. Secrets come from files and standard input, never from arguments.
pub(crate) fn of(options: &Register) -> Result<RegistrationOptions, CommandError> {
    let mut wishes = RegistrationOptions {
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
            device_name: options.device_name.clone(),
            refresh_token: options.refresh_token,
            ..DeviceOptions::default()
        },
        inhibit_login: options.inhibit_login,
        ..RegistrationOptions::default()
    };
    wishes.password = read_secret(
        options.password_stdin,
        options.password_file.as_deref(),
        "password",
    )?;
    wishes.token = read_secret(
        options.token_stdin,
        options.token_file.as_deref(),
        "registration token",
    )?;
    wishes.code = read_secret(false, options.code_file.as_deref(), "code")?;
    Ok(wishes)
}

/// Asks for the name and the password that were not given.
pub(super) fn ask_for_the_rest(
    terminal: &Terminal,
    wishes: &mut RegistrationOptions,
) -> Result<(), CommandError> {
    if !terminal.has_person() || wishes.kind != AccountKind::User {
        return Ok(());
    }
    if wishes.username.is_none() {
        wishes.username = terminal.choose_username()?;
    }
    if wishes.password.is_none() {
        wishes.password = terminal.choose_password()?;
    }
    Ok(())
}

/// Tells what is left to the page on which the account is made.
pub(super) fn check_for_a_page(
    context: &Context<'_>,
    wishes: &RegistrationOptions,
) -> Result<(), CommandError> {
    if wishes.inhibit_login {
        return Err(CommandError::Usage(
            "this server makes accounts on a page, which signs in too; leave --inhibit-login out"
                .into(),
        ));
    }
    let given = [
        (wishes.username.is_some(), "the name"),
        (wishes.password.is_some(), "the password"),
        (wishes.token.is_some(), "the registration token"),
        (wishes.email.is_some(), "the email address"),
        (wishes.phone.is_some(), "the phone number"),
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
