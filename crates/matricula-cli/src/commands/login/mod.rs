//! `matricula login`: logs in to an account.

mod appservice;
mod page;
mod password;

use matricula::{
    Account, AuthMethod, LoginBuilder, RegistrationOptions, ServerInfo, auth::DeviceOptions,
};

use super::{Context, account_output, account_source, read_secret, resume};
use crate::{args, error::CommandError, terminal::Terminal};

pub(crate) async fn run(context: &Context<'_>, options: args::Login) -> Result<(), CommandError> {
    let mut terminal = Terminal::new(context.output, context.no_input);
    let file = options.appservice_token_file.as_deref();
    if let Some(token) = read_secret(false, file, "application service's token")? {
        return appservice::run(context, &options, token, terminal).await;
    }
    if let Some(id) = &options.resume {
        let answers = RegistrationOptions::default();
        return resume::resume(context, id, answers, options.paste.paste, terminal).await;
    }
    let named = options.method.named();
    let needs_page = named.is_some_and(|method| method != AuthMethod::Password);
    let (mut stored, _running) = match stored_account(context, &options)? {
        Some(account) if options.server.is_none() => {
            let (account, running) = account_source::reach(account).await?;
            (Some(account), running)
        }
        stored => (stored, None),
    };
    let stored_user = stored.as_ref().map(|account| account.user_id.to_string());
    let user = options.user.clone().or(stored_user);
    if user.is_none() && !(needs_page && options.server.is_some()) {
        return Err(CommandError::Usage(
            "say who signs in, like @alice:example.org".into(),
        ));
    }
    let (from_stdin, file) = (options.password_stdin, options.password_file.as_deref());
    let given = read_secret(from_stdin, file, "password")?;
    let has_password = given.is_some()
        || stored
            .as_ref()
            .is_some_and(|account| account.password.is_some());
    if !needs_page && !has_password && !terminal.has_person() {
        return Err(no_password());
    }
    let server = options.server.as_deref();
    let address = account_source::address(context, server, user.as_deref(), stored.as_ref())?;
    let server = context.discover(address, false, &terminal).await?;
    // The same name on another server is another account.
    stored.take_if(|account| account.server != server.server);
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
        user,
    };
    let account = if method == AuthMethod::Password {
        password::log_in(context, &terminal, &target, given).await?
    } else {
        page::log_in(context, &mut terminal, target, method).await?
    };
    account_output::print_signed_in(context, &account)
}

/// The account to log in to.
struct Target {
    server: ServerInfo,
    options: args::Login,
    stored: Option<Account>,
    user: Option<String>,
}

impl Target {
    fn builder<'a>(&self, context: &Context<'_>, terminal: &Terminal) -> LoginBuilder<'a> {
        let mut builder = context
            .login(self.server.clone(), terminal)
            .device(device(&self.options));
        if let Some(user) = &self.user {
            builder = builder.username(user);
        }
        if let Some(account) = &self.stored {
            builder = builder.account(account.clone());
        }
        builder
    }
}

fn device(options: &args::Login) -> DeviceOptions {
    DeviceOptions {
        device_id: options.device_id.clone(),
        device_name: options.device_name.clone(),
        refresh_token: options.refresh_token,
        ..DeviceOptions::default()
    }
}

/// The stored account that the options name; without a name, the default account.
fn stored_account(
    context: &Context<'_>,
    options: &args::Login,
) -> Result<Option<Account>, CommandError> {
    if options.user.is_none() && options.server.is_some() {
        return Ok(None);
    }
    Ok(context.home.accounts().account(options.user.as_deref())?)
}

fn no_password() -> CommandError {
    CommandError::Usage(
        "give the password with --password-stdin or --password-file, or sign in on a page: --method \
         oauth, sso or device-code"
            .into(),
    )
}
