//! `matricula login`: logs in to an account.

mod appservice;
mod page;
mod password;
mod replaced;
mod wanted;

use matricula::{
    Account, AccountStoreError, AuthMethod, LoginBuilder, RegistrationOptions, ServerInfo,
    auth::DeviceOptions,
};

use super::{Context, account_output, device_name, read_secret, resume};
use crate::{args, error::CommandError, terminal::Terminal};
use wanted::Wanted;

pub(crate) async fn run(context: &Context<'_>, options: args::Login) -> Result<(), CommandError> {
    let mut terminal = Terminal::new(context.output, context.no_input);
    let before = context.home.accounts().accounts()?;
    let file = options.appservice_token_file.as_deref();
    if let Some(token) = read_secret(false, file, "application service's token")? {
        appservice::run(context, &options, token, terminal).await?;
        return replaced::end_sessions(context, &before).await;
    }
    if let Some(id) = &options.resume {
        let answers = RegistrationOptions::default();
        resume::resume(context, id, answers, options.paste.paste, terminal).await?;
        return replaced::end_sessions(context, &before).await;
    }
    let named = options.method.named();
    let needs_page = named.is_some_and(|method| method != AuthMethod::Password);
    let wanted = wanted::choose(context, &terminal, &options, needs_page).await?;
    let (wanted, _running) = wanted.reach().await?;
    let (from_stdin, file) = (options.password_stdin, options.password_file.as_deref());
    let given = read_secret(from_stdin, file, "password")?;
    let has_stored = wanted.stored.iter().any(|one| one.password.is_some());
    if !needs_page && given.is_none() && !has_stored && !terminal.has_person() {
        return Err(no_password());
    }
    let server = context
        .discover(wanted.address(context)?, false, &terminal)
        .await?;
    let stored = stored_account(context, &wanted, &server)?;
    let has_password = given.is_some() || stored.as_ref().is_some_and(|one| one.password.is_some());
    let method = match named {
        Some(method) => method,
        None if has_password => AuthMethod::Password,
        None => server.login_method().0,
    };
    let is_oauth = matches!(method, AuthMethod::OAuth | AuthMethod::DeviceCode);
    if options.admin && !is_oauth {
        context.output.warn(
            "--admin changes nothing: only OAuth 2.0 servers want to be asked for the admin API",
        );
    }
    let target = Target {
        server,
        options,
        stored,
        user: wanted.user,
        method,
    };
    let account = if method == AuthMethod::Password {
        password::log_in(context, &terminal, &target, given).await?
    } else {
        page::log_in(context, &mut terminal, &target, method).await?
    };
    replaced::end_session(context, &before, &account).await;
    replaced::name_device(context, &target.options, &before, &account).await;
    account_output::print_signed_in(context, &account)
}

/// The stored account on this server.
fn stored_account(
    context: &Context<'_>,
    wanted: &Wanted,
    server: &ServerInfo,
) -> Result<Option<Account>, CommandError> {
    // The same name on another server is another account.
    let (here, elsewhere): (Vec<&Account>, Vec<&Account>) = wanted
        .stored
        .iter()
        .partition(|account| account.server == server.server);
    if let Some(account) = here.first() {
        return Ok(Some((*account).clone()));
    }
    // The store would refuse the new session, after the login.
    let is_taken = |account: &&&Account| {
        Some(account.user_id.as_str()) == wanted.user.as_deref()
            && (account.access_token.is_some() || account.password.is_some())
    };
    match elsewhere.iter().find(is_taken) {
        Some(account) => Err(AccountStoreError::OtherServer {
            path: context.home.accounts().path(),
            user_id: account.user_id.to_string(),
            server: account.server.to_string(),
        }
        .into()),
        None => Ok(None),
    }
}

/// The account to log in to.
struct Target {
    server: ServerInfo,
    options: args::Login,
    stored: Option<Account>,
    user: Option<String>,
    method: AuthMethod,
}

impl Target {
    fn builder<'a>(&self, context: &Context<'_>, terminal: &Terminal) -> LoginBuilder<'a> {
        let mut builder = context
            .login(self.server.clone(), terminal)
            .device(self.device());
        if let Some(user) = &self.user {
            builder = builder.username(user);
        }
        if let Some(account) = &self.stored {
            builder = builder.account(account.clone());
        }
        builder
    }

    /// The device of a session that is still there is used again: the server replaces the session. An
    /// OAuth 2.0 server has several sessions on a device, and may end all of them with one, so there the
    /// device is a new one.
    fn device(&self) -> DeviceOptions {
        let mut device = device(&self.options);
        let replaces = matches!(self.method, AuthMethod::Password | AuthMethod::Sso);
        let stored = self.stored.as_ref().filter(|one| one.oauth.is_none());
        if let Some(account) = stored.filter(|_| replaces && device.device_id.is_none()) {
            device.device_id = account.device_id.clone();
        }
        device
    }
}

fn device(options: &args::Login) -> DeviceOptions {
    DeviceOptions {
        device_id: options.device_id.clone(),
        device_name: device_name(options.device_name.as_deref()),
        refresh_token: options.refresh_token,
        ..DeviceOptions::default()
    }
}

fn no_password() -> CommandError {
    CommandError::Usage(
        "give the password with --password-stdin or --password-file, or sign in on a page: --method \
         oauth, sso or device-code"
            .into(),
    )
}
