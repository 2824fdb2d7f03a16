//! `matricula register`: registers an account.

mod appservice;
mod options;
mod stdin;
mod upgrade;
mod username;

use matricula::{AuthMethod, RegistrationOptions, ServerAddress, ServerInfo, auth::AccountKind};

use super::{Context, account_output, dry_run, read_secret, resume};
use crate::{
    args::Register,
    browser,
    error::CommandError,
    private_server::{self, RunningServer},
    terminal::Terminal,
};

pub(crate) async fn run(context: &Context<'_>, options: Register) -> Result<(), CommandError> {
    let mut terminal = Terminal::new(context.output, context.no_input);
    let mut registration = options::from_args(&options)?;
    if let Some(id) = &options.resume {
        return resume::resume(context, id, registration, options.paste.paste, terminal).await;
    }
    resume::announce(context)?;
    let file = options.appservice_token_file.as_deref();
    if let Some(token) = read_secret(false, file, "application service's token")? {
        return appservice::run(context, &options, registration, token, terminal).await;
    }
    if options.upgrade_guest {
        return upgrade::run(context, &options, registration, terminal).await;
    }
    if options.dry_run {
        return dry_run::register(context, options.server.as_deref(), registration);
    }
    // A private server runs until the end of this function.
    let (running, server) = match &options.server {
        Some(name) => find_server(context, Some(name), &registration, &terminal).await?,
        None => choose_server(context, &registration, &terminal).await?,
    };
    let method = options.method.named();
    if chosen(method, &registration, &server) == AuthMethod::Password {
        options::ask_for_missing(context, &terminal, &server, &mut registration).await?;
    } else {
        options::warn_for_page(context, &registration)?;
    }
    registration.device.data = match &running {
        Some(running) => running.data(),
        None => private_server::data_of_running(&context.home.private_homeserver(), &server.server)
            .unwrap_or_default(),
    };
    // Without a terminal, no person sees a page, unless a method that needs one was named.
    let needs_page = matches!(method, Some(AuthMethod::OAuth | AuthMethod::Sso));
    let may_open = !context.no_input && (terminal.has_person() || needs_page);
    let redirect_uri = terminal
        .open_pages(options.paste.paste, may_open, None)
        .await;
    let mut builder = context
        .register(server, &terminal)
        .options(registration)
        .redirect_uri(browser::about(), redirect_uri);
    if let Some(method) = method {
        builder = builder.method(method);
    }
    let mut flow = builder.start().await?;
    let account = resume::finish(context, &mut flow, &terminal).await?;
    account_output::print_registered(context, &terminal, &flow.server().server, &account)
}

/// The method that was named, else the one that the server prefers.
fn chosen(
    named: Option<AuthMethod>,
    registration: &RegistrationOptions,
    server: &ServerInfo,
) -> AuthMethod {
    match registration.kind {
        AccountKind::User => named.unwrap_or_else(|| server.sign_up_method().0),
        _ => AuthMethod::Password,
    }
}

/// Asks which server where a person is there, until one is found. Otherwise it is the private one.
async fn choose_server(
    context: &Context<'_>,
    registration: &RegistrationOptions,
    terminal: &Terminal,
) -> Result<(Option<RunningServer>, ServerInfo), CommandError> {
    if !terminal.has_person() {
        stdin::check_unused(context).await?;
        return find_server(context, None, registration, terminal).await;
    }
    loop {
        let question = "Which homeserver? (empty: a private one on this machine)";
        let name = terminal.line(question, "example.org").await?;
        if name.is_empty() {
            return find_server(context, None, registration, terminal).await;
        }
        match find_server(context, Some(&name), registration, terminal).await {
            Err(CommandError::Interrupted) => return Err(CommandError::Interrupted),
            Err(error) => context.output.warn(&error.message()),
            found => return found,
        }
    }
}

/// Discovers the server that was named, or starts the private one.
async fn find_server(
    context: &Context<'_>,
    name: Option<&str>,
    registration: &RegistrationOptions,
    terminal: &Terminal,
) -> Result<(Option<RunningServer>, ServerInfo), CommandError> {
    let (running, address) = match name {
        Some(name) => (None, context.address(name)?),
        None => {
            // Before the server is made: its account could not be stored.
            if let Some(dir) = context.home.accounts().path().parent() {
                matricula::check_directory(dir)?;
            }
            let running = private_server::open_private(&context.home.private_homeserver()).await?;
            let directory = running.directory().display();
            let private = format!(
                "this account is on a private homeserver in {directory}, which no other machine can reach"
            );
            context.output.warn(&if terminal.has_person() {
                private
            } else {
                format!("no server was named: {private}; to be reached, name a real one: matricula register example.org")
            });
            let address = ServerAddress::Url(running.url().clone());
            (Some(running), address)
        }
    };
    // A generated password satisfies every policy.
    let may_choose = terminal.has_person() && registration.kind == AccountKind::User;
    let needs_policy = registration.password.is_some() || may_choose;
    let server = context.discover(address, needs_policy, terminal).await?;
    Ok((running, server))
}
