//! `matricula login`.

use matricula::{
    Error, Keeper,
    auth::{Account, AuthError, Discovery, Login, ServerAddress, tables},
    drive,
    job::{Patch, Secret},
};

use super::{Context, appservice, read_secret, register::describe, session};
use crate::{args, failure::Failure, person::Terminal, server::Opened};

pub(crate) async fn run(context: &Context<'_>, options: args::Login) -> Result<(), Failure> {
    let file = options.appservice_token_file.as_deref();
    if let Some(token) = read_secret(false, file, "application service's token")? {
        return appservice::log_in(context, &options, token).await;
    }
    let mut terminal = Terminal::new(context.report, context.no_input);
    let mut accounts = context.home.accounts();
    let known = known_account(context, &options)?;
    let (mut known, _opened): (Option<Account>, Option<Opened>) = match known {
        Some(account) if options.server.is_none() => {
            let (account, opened) = session::reach(account).await?;
            (Some(account), opened)
        }
        known => (known, None),
    };
    let user = match (&options.user, &known) {
        (Some(user), _) => user.clone(),
        (None, Some(account)) => account.user_id.to_string(),
        (None, None) => {
            return Err(Failure::Usage(
                "say who signs in, like @alice:example.org".into(),
            ));
        }
    };
    let given = given_password(&options)?;
    let is_kept = |account: &Account| account.password.is_some();
    if given.is_none() && !terminal.is_there() && !known.as_ref().is_some_and(is_kept) {
        return Err(no_password());
    }
    let mut discovery = Discovery::new(address(context, &options, &user, known.as_ref())?);
    let facts = drive(
        &mut discovery,
        &context.runner,
        &mut accounts,
        &mut terminal,
    )
    .await?;
    // The same name on another server is somebody else's.
    known.take_if(|account| account.server != facts.server);
    let made = known.as_ref().and_then(|account| account.password.clone());
    let password = match given.or_else(|| made.clone()) {
        Some(password) => password,
        None if terminal.is_there() => terminal.password()?,
        None => return Err(no_password()),
    };
    let made = made.filter(|made| *made == password);
    let mut login = Login::new(&facts, user, password);
    if let Some(account) = &known {
        login = login.with_data(account.data.clone());
    }
    if let Some(id) = options.device_id {
        login = login.with_device_id(id);
    }
    if let Some(name) = options.device_name {
        login = login.with_device_name(name);
    }
    if options.refresh_token {
        login = login.with_refresh_token();
    }
    if let Some(made) = made {
        login = login.with_made_password(made);
    }
    let account = match drive(&mut login, &context.runner, &mut accounts, &mut terminal).await {
        Err(error) => after_a_change(context, login, known.as_ref(), &mut terminal, error).await?,
        Ok(account) => account,
    };
    accounts.set_default(account.user_id.as_str())?;
    let device = account.device_id.as_deref().unwrap_or_default();
    context.report.result(
        &format!("signed in as {} on device {device}", account.user_id),
        &describe(&account, &account.server),
    );
    context.report.next(&context.command("whoami"));
    Ok(())
}

/// Where the password that is kept is wrong, the account may have the one of a change whose answer
/// was lost.
async fn after_a_change(
    context: &Context<'_>,
    login: Login,
    known: Option<&Account>,
    terminal: &mut Terminal,
    error: Error,
) -> Result<Account, Failure> {
    let mut accounts = context.home.accounts();
    let is_wrong = matches!(error, Error::Auth(AuthError::WrongPassword { .. }));
    let pending = match known {
        Some(account) if is_wrong => accounts.pending_password(&account.user_id)?,
        _ => None,
    };
    let Some(password) = pending.and_then(|pending| pending.password) else {
        return Err(error.into());
    };
    let mut login = login
        .with_password(password.clone())
        .with_made_password(password);
    let account = drive(&mut login, &context.runner, &mut accounts, terminal).await?;
    let mut patch = Patch::default();
    patch.remove(tables::PASSWORD_CHANGES, account.user_id.as_str());
    accounts.commit(&patch)?;
    Ok(account)
}

/// The account that is meant, if it is kept here; where no one is named, the one used last.
fn known_account(context: &Context<'_>, options: &args::Login) -> Result<Option<Account>, Failure> {
    if options.user.is_none() && options.server.is_some() {
        return Ok(None);
    }
    Ok(context.home.accounts().account(options.user.as_deref())?)
}

pub(super) fn address(
    context: &Context<'_>,
    options: &args::Login,
    user: &str,
    known: Option<&Account>,
) -> Result<ServerAddress, Failure> {
    if let Some(server) = &options.server {
        return context.address(server);
    }
    if let Some(account) = known {
        return Ok(ServerAddress::Url(account.server.clone()));
    }
    if !user.starts_with('@') {
        return Err(Failure::Usage(format!(
            "name the server of {user}: --server example.org, or @{user}:example.org"
        )));
    }
    context.address(user)
}

fn given_password(options: &args::Login) -> Result<Option<Secret>, Failure> {
    read_secret(
        options.password_stdin,
        options.password_file.as_deref(),
        "password",
    )
}

fn no_password() -> Failure {
    Failure::Usage("give the password with --password-stdin or --password-file".into())
}
