//! `matricula login --appservice-token-file`: logs in as a user of an application service.

use matricula::Secret;

use crate::{
    args::Login,
    commands::{Context, account_output, account_source, resume},
    error::CommandError,
    terminal::Terminal,
};

pub(super) async fn run(
    context: &Context<'_>,
    options: &Login,
    token: Secret,
    terminal: Terminal,
) -> Result<(), CommandError> {
    let Some(user) = &options.user else {
        return Err(CommandError::Usage(
            "say who signs in, like @_bridge_alice:example.org".into(),
        ));
    };
    let mut stored = context.home.accounts().accounts_named(user)?;
    let stored = stored.pop().filter(|_| stored.is_empty());
    let server = options.server.as_deref();
    let address = account_source::address(context, server, Some(user), stored.as_ref())?;
    let server = context.discover(address, false, &terminal).await?;
    let mut flow = context
        .login(server, &terminal)
        .as_service(token, user)
        .device(super::device(options))
        .start()
        .await?;
    let account = resume::finish(context, &mut flow, &terminal).await?;
    let words = account_output::signed_in(&account);
    account_output::print_appservice_user(context, &account, &words)
}
