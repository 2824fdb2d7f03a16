//! `matricula register --upgrade-guest`: upgrades a guest to a user.

use matricula::{Error, RegistrationOptions, ServerAddress, auth::Guest};

use crate::{
    args::Register,
    commands::{Context, account_output, account_source, dry_run, resume},
    error::CommandError,
    terminal::Terminal,
};

pub(super) async fn run(
    context: &Context<'_>,
    options: &Register,
    mut registration: RegistrationOptions,
    terminal: Terminal,
) -> Result<(), CommandError> {
    let account = account_source::account(context, options.account.as_deref())?;
    registration.upgrade = Some(Guest::of(&account).map_err(Error::from)?);
    if options.dry_run {
        return dry_run::register(context, Some(account.server.as_str()), registration);
    }
    // A private server runs until the end of this function.
    let (account, _running) = account_source::reach(account).await?;
    registration.device.data = account.data;
    let address = ServerAddress::Url(account.server);
    let server = context.discover(address, true, &terminal).await?;
    if terminal.has_person() && registration.password.is_none() {
        let policy = server.password_policy.clone();
        registration.password = terminal.choose_password(policy).await?;
    }
    let builder = context.register(server, &terminal).options(registration);
    let mut flow = builder.start().await?;
    let account = resume::finish(context, &mut flow, &terminal).await?;
    account_output::print_registered(context, &terminal, &flow.server().server, &account)
}
