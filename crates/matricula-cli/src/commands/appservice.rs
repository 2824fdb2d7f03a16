//! `register` and `login` with `--appservice-token-file`: the users of an application service.

use matricula::{
    auth::{
        Account, AppserviceLogin, AppserviceRegistration, DeviceOptions, Discovery, ServerAddress,
        ServerInfo,
    },
    core::Secret,
    drive,
};
use serde_json::json;

use super::{
    Context, dry_run,
    register::{describe, words},
};
use crate::{args, error::CommandError, terminal::Terminal};

pub(crate) async fn register(
    context: &Context<'_>,
    options: &args::Register,
    token: Secret,
) -> Result<(), CommandError> {
    let (Some(server), Some(_)) = (&options.server, &options.username) else {
        return Err(CommandError::Usage(
            "name the server and the user: register SERVER --username NAME".into(),
        ));
    };
    let address = context.address(server)?;
    if options.dry_run {
        let facts = ServerInfo::of(address.url().clone());
        let mut registration = registration(&facts, token, options);
        dry_run::appservice(context, address, &mut registration);
        return Ok(());
    }
    let mut terminal = Terminal::new(context.output, context.no_input);
    let facts = discover(context, address, &mut terminal).await?;
    let mut registration = registration(&facts, token, options);
    let mut accounts = context.home.accounts();
    let account = drive(
        &mut registration,
        &context.runner,
        &mut accounts,
        &mut terminal,
    )
    .await?;
    tell(context, &account, &words(&account))
}

fn registration(
    facts: &ServerInfo,
    token: Secret,
    options: &args::Register,
) -> AppserviceRegistration {
    let username = options.username.as_deref().unwrap_or_default();
    let mut registration = AppserviceRegistration::new(facts, token, username);
    registration = registration.device(DeviceOptions {
        device_id: options.device_id.clone(),
        device_name: options.device_name.clone(),
        ..DeviceOptions::default()
    });
    if options.inhibit_login {
        registration = registration.inhibit_login(true);
    }
    registration
}

pub(crate) async fn log_in(
    context: &Context<'_>,
    options: &args::Login,
    token: Secret,
) -> Result<(), CommandError> {
    let Some(user) = &options.user else {
        return Err(CommandError::Usage(
            "say who signs in, like @_bridge_alice:example.org".into(),
        ));
    };
    let known = context.home.accounts().account(Some(user))?;
    let address = super::login::address(context, options, Some(user), known.as_ref())?;
    let mut terminal = Terminal::new(context.output, context.no_input);
    let facts = discover(context, address, &mut terminal).await?;
    let device = DeviceOptions {
        device_id: options.device_id.clone(),
        device_name: options.device_name.clone(),
        ..DeviceOptions::default()
    };
    let mut login = AppserviceLogin::new(&facts, token, user.as_str()).device(device);
    let mut accounts = context.home.accounts();
    let account = drive(&mut login, &context.runner, &mut accounts, &mut terminal).await?;
    let device = account.device_id.as_deref().unwrap_or_default();
    let words = format!("signed in as {} on device {device}", account.user_id);
    tell(context, &account, &words)
}

async fn discover(
    context: &Context<'_>,
    address: ServerAddress,
    terminal: &mut Terminal,
) -> Result<ServerInfo, CommandError> {
    let mut accounts = context.home.accounts();
    let mut discovery = Discovery::new(address);
    Ok(drive(&mut discovery, &context.runner, &mut accounts, terminal).await?)
}

fn tell(context: &Context<'_>, account: &Account, words: &str) -> Result<(), CommandError> {
    let accounts = context.home.accounts();
    accounts.set_default(account.user_id.as_str())?;
    let mut object = describe(account, &account.server);
    // The service acts as a user without a session with its own token, elsewhere.
    let next = account.access_token.as_ref();
    let next = next.map(|_| context.command("whoami"));
    object["next"] = json!(next);
    context.output.result(words, &object);
    if let Some(next) = next {
        context.output.next(&next);
    }
    Ok(())
}
