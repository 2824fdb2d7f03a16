//! `matricula admin register`: registers an account with the server's shared secret.

use matricula::{
    admin::SharedSecretRegistration,
    auth::{Discovery, ServerInfo},
    core::Secret,
};
use serde_json::json;

use super::{Context, password, required_secret};
use crate::{
    args::admin::AdminRegister,
    commands::{
        account_output::{account_json, registered},
        dry_run,
    },
    error::CommandError,
    shell::shell_word,
    terminal::Terminal,
};

pub(super) async fn run(context: &Context<'_>, options: AdminRegister) -> Result<(), CommandError> {
    let secret = required_secret(
        options.shared_secret_stdin,
        options.shared_secret_file.as_deref(),
        "shared secret",
    )?;
    let address = context.address(&options.server)?;
    let password = password(&options.user)?;
    if options.dry_run {
        let server = ServerInfo::of(address.url().clone());
        let registration = registration(&server, secret, password, &options);
        dry_run::admin_register(context, address, registration);
        return Ok(());
    }
    let terminal = Terminal::new(context.output, context.no_input);
    let accounts = context.home.accounts();
    let mut discovery = Discovery::new(address);
    let server = context.drive(&mut discovery, &terminal).await?;
    let mut registration = registration(&server, secret, password, &options);
    if let Some(pending) = accounts.pending_user(&registration.key())? {
        registration = registration.resume(pending);
    }
    // An administrator who registers others continues with the previous default account.
    let account = context.drive(&mut registration, &terminal).await?;
    let next = format!("whoami --account {}", shell_word(account.user_id.as_str()));
    let next = context.command(&next);
    let mut object = account_json(&account, &account.server);
    object["admin"] = json!(options.user.admin);
    object["password_made"] = json!(account.password.is_some());
    object["next"] = json!(next);
    let refused = registration.refused().map(ToString::to_string);
    if let Some(refused) = &refused {
        object["refused"] = json!(refused);
    }
    context.output.result(&registered(&account), &object);
    context.output.next(&next);
    match refused {
        Some(refused) => Err(CommandError::Reported {
            message: format!(
                "{} was registered, but not as asked: {refused}",
                account.user_id
            ),
            exit_code: 1,
            next: None,
        }),
        None => Ok(()),
    }
}

fn registration(
    server: &ServerInfo,
    secret: Secret,
    password: Option<Secret>,
    options: &AdminRegister,
) -> SharedSecretRegistration {
    let mut registration = SharedSecretRegistration::new(server, secret, options.username.as_str())
        .admin(options.user.admin);
    if let Some(password) = password {
        registration = registration.password(password);
    }
    if let Some(name) = &options.user.display_name {
        registration = registration.display_name(name.as_str());
    }
    registration
}
