//! `account password`.

use matricula::{
    ServerAddress, ServerUrl,
    auth::{PasswordChange, PasswordPolicy},
};
use serde_json::json;

use super::{Context, account_source, dry_run, print_done, run_conversation};
use crate::{
    args::account::Password, commands::read_secret, error::CommandError, shell::shell_word,
    terminal::Terminal,
};

pub(crate) async fn run(context: &Context<'_>, options: Password) -> Result<(), CommandError> {
    let authentication = &options.authentication;
    let account = authentication.of.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let mut terminal = Terminal::new(context.output, context.no_input);
    let is_here = session.account().oauth.is_none();
    let new = match read_secret(false, options.new_password_file.as_deref(), "new password")? {
        None if is_here && terminal.has_person() && !authentication.dry_run => {
            let server = session.account().server;
            let policy = password_policy(context, server, &terminal).await?;
            terminal.choose_password(policy).await?
        }
        given => given,
    };
    let is_made = new.is_none();
    let mut change = match new {
        Some(new) => PasswordChange::new(&session.account(), new),
        None => PasswordChange::generated(&session.account()),
    };
    let accounts = context.home.accounts();
    if let Some(pending) = accounts.pending_password(&session.account().user_id)? {
        change = change.resume(pending);
    }
    if options.keep_devices {
        change = change.keep_devices(true);
    }
    if let Some(password) = authentication.password()? {
        change = change.password(password);
    }
    if let Some(session) = &authentication.resume {
        change = change.uia_session(session);
    }
    if authentication.dry_run {
        return dry_run::conversation(context, &mut change);
    }
    let command = command(&options);
    run_conversation(context, &session, &mut change, &mut terminal, &command).await?;
    let user_id = &session.account().user_id;
    let words = match is_made {
        true => format!(
            "the password of {user_id} is changed; the new one was generated, and is stored in {}",
            accounts.path().display()
        ),
        false => format!("the password of {user_id} is changed"),
    };
    let object = json!({
        "password_made": is_made,
        "kept_in": is_made.then(|| accounts.path()),
        "devices_kept": options.keep_devices,
    });
    print_done(context, &session, &words, object);
    Ok(())
}

/// The server's password policy, so that a password which it does not take is not typed twice.
async fn password_policy(
    context: &Context<'_>,
    server: ServerUrl,
    terminal: &Terminal,
) -> Result<Option<PasswordPolicy>, CommandError> {
    match context
        .discover(ServerAddress::Url(server), true, terminal)
        .await
    {
        Ok(found) => Ok(found.password_policy),
        Err(CommandError::Interrupted) => Err(CommandError::Interrupted),
        // The server says itself which password it does not take.
        Err(_) => Ok(None),
    }
}

/// The command line to repeat, without the new password, which the server may have already.
fn command(options: &Password) -> String {
    let mut command = "password".to_owned();
    if options.keep_devices {
        command += " --keep-devices";
    }
    if let Some(file) = &options.new_password_file {
        command += &format!(
            " --new-password-file {}",
            shell_word(&file.display().to_string())
        );
    }
    command
}
