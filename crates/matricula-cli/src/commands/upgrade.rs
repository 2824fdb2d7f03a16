//! `matricula register --upgrade-guest`: a guest becomes a user.

use matricula::auth::{Discovery, Guest, PendingAuth, Registration, ServerAddress};
use matricula::drive;

use super::{Context, dry_run, register, session};
use crate::{args::Register, error::CommandError, terminal::Terminal};

pub(crate) async fn run(context: &Context<'_>, options: &Register) -> Result<(), CommandError> {
    let account = session::account(context, options.account.as_deref())?;
    let mut wishes = register::options::of(options)?;
    wishes.upgrade = Some(Guest::of(&account).map_err(matricula::Error::from)?);
    if options.dry_run {
        return dry_run::register(context, Some(account.server.as_str()), wishes);
    }
    let mut terminal = Terminal::new(context.output, context.no_input);
    if terminal.has_person() && wishes.password.is_none() {
        wishes.password = terminal.choose_password()?;
    }
    // Whatever is opened here runs until the end of this function.
    let (account, _opened) = session::reach(account).await?;
    let mut discovery = Discovery::new(ServerAddress::Url(account.server));
    let mut accounts = context.home.accounts();
    let facts = drive(
        &mut discovery,
        &context.runner,
        &mut accounts,
        &mut terminal,
    )
    .await?;
    wishes.device.data = account.data;
    let registration = Registration::new(&facts, wishes);
    let registration = PendingAuth::Registration(Box::new(registration));
    register::half_done::finish(context, registration, terminal).await
}
