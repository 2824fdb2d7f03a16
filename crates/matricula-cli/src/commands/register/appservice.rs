//! `matricula register --appservice-token-file`: registers a user of an application service.

use matricula::{
    Secret, ServerInfo,
    auth::{AppserviceRegistration, RegistrationOptions},
};

use crate::{
    args::Register,
    commands::{Context, account_output, dry_run, resume},
    error::CommandError,
    terminal::Terminal,
};

pub(super) async fn run(
    context: &Context<'_>,
    options: &Register,
    registration: RegistrationOptions,
    token: Secret,
    terminal: Terminal,
) -> Result<(), CommandError> {
    let (Some(server), Some(username)) = (&options.server, &options.username) else {
        return Err(CommandError::Usage(
            "name the server and the user: register SERVER --username NAME".into(),
        ));
    };
    let address = context.address(server)?;
    if options.dry_run {
        let info = ServerInfo::of(address.url().clone());
        let mut registration = AppserviceRegistration::new(&info, token, username)
            .device(registration.device)
            .inhibit_login(registration.inhibit_login);
        dry_run::appservice(context, address, &mut registration);
        return Ok(());
    }
    let server = context.discover(address, false, &terminal).await?;
    let mut flow = context
        .register(server, &terminal)
        .options(registration)
        .as_service(token, username)
        .start()
        .await?;
    let account = resume::finish(context, &mut flow, &terminal).await?;
    let words = account_output::registered(&account);
    account_output::print_appservice_user(context, &account, &words)
}
