//! `matricula login`.

mod page;
mod password;

use matricula::{
    auth::{Account, AuthMethod, Discovery, RegistrationOptions, ServerAddress, ServerInfo},
    core::Secret,
    drive,
};

use super::{
    Context, appservice, read_secret,
    register::{describe, half_done},
    session,
};
use crate::{args, error::CommandError, private_server::RunningServer, terminal::Terminal};

pub(crate) async fn run(context: &Context<'_>, options: args::Login) -> Result<(), CommandError> {
    let file = options.appservice_token_file.as_deref();
    if let Some(token) = read_secret(false, file, "application service's token")? {
        return appservice::log_in(context, &options, token).await;
    }
    let mut terminal = Terminal::new(context.output, context.no_input);
    if let Some(id) = &options.resume {
        let answers = RegistrationOptions::default();
        return half_done::resume(context, id, answers, options.paste.paste, terminal).await;
    }
    let named = options.method.named();
    let is_on_a_page = named.is_some_and(|method| method != AuthMethod::Password);
    let known = known_account(context, &options)?;
    let (mut known, _opened): (Option<Account>, Option<RunningServer>) = match known {
        Some(account) if options.server.is_none() => {
            let (account, opened) = session::reach(account).await?;
            (Some(account), opened)
        }
        known => (known, None),
    };
    let known_user = known.as_ref().map(|account| account.user_id.to_string());
    let user = options.user.clone().or(known_user);
    if user.is_none() && !(is_on_a_page && options.server.is_some()) {
        return Err(CommandError::Usage(
            "say who signs in, like @alice:example.org".into(),
        ));
    }
    let given = given_password(&options)?;
    let is_kept = |account: &Account| account.password.is_some();
    let has_password = given.is_some() || known.as_ref().is_some_and(is_kept);
    if !is_on_a_page && !has_password && !terminal.has_person() {
        return Err(no_password());
    }
    let address = address(context, &options, user.as_deref(), known.as_ref())?;
    let facts = drive(
        &mut Discovery::new(address),
        &context.runner,
        &mut context.home.accounts(),
        &mut terminal,
    )
    .await?;
    // The same name on another server is somebody else's.
    known.take_if(|account| account.server != facts.server);
    let entrance = Entrance {
        facts,
        options,
        known,
        user,
    };
    let account = match entrance.way(named, has_password) {
        AuthMethod::Password => password::sign_in(context, &mut terminal, entrance, given).await?,
        method => page::sign_in(context, &mut terminal, entrance, method).await?,
    };
    tell(context, &account)
}

/// Who is to sign in, and where.
struct Entrance {
    facts: ServerInfo,
    options: args::Login,
    /// The account, if it is kept here.
    known: Option<Account>,
    user: Option<String>,
}

impl Entrance {
    /// The way that was named; else by the password that is there; else as the server wants it.
    fn way(&self, named: Option<AuthMethod>, has_password: bool) -> AuthMethod {
        match named {
            Some(method) => method,
            None if has_password => AuthMethod::Password,
            None => self.facts.login_method().0,
        }
    }
}

/// Tells who signed in.
pub(crate) fn tell(context: &Context<'_>, account: &Account) -> Result<(), CommandError> {
    context
        .home
        .accounts()
        .set_default(account.user_id.as_str())?;
    let device = account.device_id.as_deref().unwrap_or_default();
    context.output.result(
        &format!("signed in as {} on device {device}", account.user_id),
        &describe(account, &account.server),
    );
    context.output.next(&context.command("whoami"));
    Ok(())
}

/// The account that is meant, if it is kept here; where no one is named, the one used last.
fn known_account(
    context: &Context<'_>,
    options: &args::Login,
) -> Result<Option<Account>, CommandError> {
    if options.user.is_none() && options.server.is_some() {
        return Ok(None);
    }
    Ok(context.home.accounts().account(options.user.as_deref())?)
}

pub(super) fn address(
    context: &Context<'_>,
    options: &args::Login,
    user: Option<&str>,
    known: Option<&Account>,
) -> Result<ServerAddress, CommandError> {
    if let Some(server) = &options.server {
        return context.address(server);
    }
    if let Some(account) = known {
        return Ok(ServerAddress::Url(account.server.clone()));
    }
    let user = user.unwrap_or_default();
    if !user.starts_with('@') {
        return Err(CommandError::Usage(format!(
            "name the server of {user}: --server example.org, or @{user}:example.org"
        )));
    }
    context.address(user)
}

fn given_password(options: &args::Login) -> Result<Option<Secret>, CommandError> {
    read_secret(
        options.password_stdin,
        options.password_file.as_deref(),
        "password",
    )
}

pub(super) fn no_password() -> CommandError {
    CommandError::Usage(
        "give the password with --password-stdin or --password-file, or sign in on a page: --method \
         oauth, sso or device-code"
            .into(),
    )
}
