//! `matricula register`: the main job.

pub(crate) mod half_done;
pub(crate) mod options;

use matricula::{
    auth::{
        Account, AccountKind, AuthMethod, Discovery, RegistrationOptions, ServerAddress,
        ServerInfo, SignUp,
    },
    core::ServerUrl,
    drive,
};
use serde_json::{Value, json};

use super::Context;
use crate::{
    args::Register,
    browser::{self, PageOpener},
    error::CommandError,
    private_server::{self, RunningServer},
    terminal::Terminal,
};

pub(crate) async fn run(context: &Context<'_>, mut options: Register) -> Result<(), CommandError> {
    let mut terminal = Terminal::new(context.output, context.no_input);
    let mut wishes = options::of(&options)?;
    if let Some(id) = &options.resume {
        return half_done::resume(context, id, wishes, options.paste.paste, terminal).await;
    }
    half_done::tell(context)?;
    let file = options.appservice_token_file.as_deref();
    if let Some(token) = super::read_secret(false, file, "application service's token")? {
        return super::appservice::register(context, &options, token).await;
    }
    if options.upgrade_guest {
        return super::upgrade::run(context, &options).await;
    }
    if options.dry_run {
        return super::dry_run::register(context, options.server.as_deref(), wishes);
    }
    if terminal.has_person() && options.server.is_none() {
        options.server = terminal.choose_server()?;
    }
    // Whatever is opened here runs until the end of this function.
    let (opened, facts) = open(context, options.server.as_deref(), &wishes, &mut terminal).await?;
    let method = options.method.named();
    let way = match wishes.kind {
        AccountKind::User => method.unwrap_or_else(|| facts.sign_up_method().0),
        _ => AuthMethod::Password,
    };
    if way == AuthMethod::Password {
        options::ask_for_the_rest(&terminal, &mut wishes)?;
    } else {
        options::check_for_a_page(context, &wishes)?;
    }
    let private = context.home.private_homeserver();
    let data = match &opened {
        Some(opened) => Some(opened.data()),
        None => private_server::data_of_running(&private, &facts.server),
    };
    // Off a terminal nobody may look, unless a way through a browser was asked for.
    let may_open = !context.no_input && (terminal.has_person() || way_is_named(method));
    let (pages, back) = PageOpener::open(context.output, options.paste.paste, may_open, None).await;
    terminal.set_pages(pages);
    wishes.device.data = data.unwrap_or_default();
    let mut sign_up = SignUp::new(&facts, wishes);
    if let Some(method) = method {
        sign_up = sign_up.method(method);
    }
    sign_up = sign_up.browser(browser::about(), back);
    if let Some(issuer) = &facts.oauth_issuer
        && let Some(client) = context.home.accounts().oauth_client(issuer)?
    {
        sign_up = sign_up.client(client);
    }
    let mut accounts = context.home.accounts();
    let account = drive(&mut sign_up, &context.runner, &mut accounts, &mut terminal).await;
    let account = half_done::end(context, &terminal, sign_up.current(), account)?;
    tell(context, &terminal, &facts.server, &account)
}

/// Whether a way through a browser was asked for.
fn way_is_named(method: Option<AuthMethod>) -> bool {
    matches!(method, Some(AuthMethod::OAuth | AuthMethod::Sso))
}

/// Finds the server that was named, or opens the private one.
async fn open(
    context: &Context<'_>,
    server: Option<&str>,
    wishes: &RegistrationOptions,
    terminal: &mut Terminal,
) -> Result<(Option<RunningServer>, ServerInfo), CommandError> {
    let mut accounts = context.home.accounts();
    let (opened, address) = match server {
        Some(name) => (None, context.address(name)?),
        None => {
            let opened = private_server::open_private(&context.home.private_homeserver()).await?;
            let directory = opened.directory().display();
            let private = format!(
                "this account is on a private homeserver in {directory}, which nobody else can reach"
            );
            context.output.warn(&if terminal.has_person() {
                private
            } else {
                format!("no server was named: {private}; to be reached, name a real one: matricula register example.org")
            });
            let address = ServerAddress::Url(opened.url().clone());
            (Some(opened), address)
        }
    };
    let mut discovery = Discovery::new(address);
    // One that is made here is good enough.
    let may_choose = terminal.has_person() && wishes.kind == AccountKind::User;
    if wishes.password.is_some() || may_choose {
        discovery = discovery.password_policy(true);
    }
    let facts = drive(&mut discovery, &context.runner, &mut accounts, terminal).await?;
    Ok((opened, facts))
}

/// Tells of the new account.
fn tell(
    context: &Context<'_>,
    terminal: &Terminal,
    server: &ServerUrl,
    account: &Account,
) -> Result<(), CommandError> {
    let accounts = context.home.accounts();
    accounts.set_default(account.user_id.as_str())?;
    let path = accounts.path();
    if account.password.is_some() {
        context.output.say(&format!(
            "a password was made; it is kept with the account in {}",
            path.display()
        ));
    } else {
        context
            .output
            .say(&format!("the account is kept in {}", path.display()));
    }
    let next = next_command(context, account);
    let mut object = describe(account, server);
    object["password_made"] = json!(account.password.is_some());
    object["kept_in"] = json!(path);
    object["route"] = match &terminal.route() {
        Some((stages, why)) => json!({ "stages": stages, "why": why }),
        None => json!({ "stages": [], "why": "the server asked for nothing" }),
    };
    object["next"] = json!(next);
    context.output.result(&words(account), &object);
    context.output.next(&next);
    Ok(())
}

pub(crate) fn words(account: &Account) -> String {
    let what = if account.is_guest { "a guest " } else { "" };
    match &account.device_id {
        Some(device) => format!("registered {what}{} on device {device}", account.user_id),
        None => format!("registered {what}{}, not signed in", account.user_id),
    }
}

/// What is told of an account: everything but its secrets.
pub(crate) fn describe(account: &Account, server: &ServerUrl) -> Value {
    json!({
        "schema_version": 1,
        "user_id": account.user_id,
        "server": server,
        "device_id": account.device_id,
        "guest": account.is_guest,
        "signed_in": account.access_token.is_some(),
        "expires_at": account.expires_at,
    })
}

fn next_command(context: &Context<'_>, account: &Account) -> String {
    let command = if account.access_token.is_some() {
        "whoami"
    } else {
        "login"
    };
    context.command(command)
}
