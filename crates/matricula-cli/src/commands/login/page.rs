//! Signing in on a page: at an OAuth 2.0 server, by single sign-on, or with a code for another device.

use matricula::{
    auth::{Account, AuthMethod, DeviceOptions, OAuthLogin, PendingAuth, SsoLogin},
    drive,
};

use super::{Context, Entrance, half_done};
use crate::{
    browser::{self, PageOpener},
    error::CommandError,
    terminal::Terminal,
};

pub(super) async fn sign_in(
    context: &Context<'_>,
    terminal: &mut Terminal,
    entrance: Entrance,
    method: AuthMethod,
) -> Result<Account, CommandError> {
    // To come here off a terminal is to have asked for a page.
    let may_open = !context.no_input;
    let paste = entrance.options.paste.paste;
    let (pages, back) = PageOpener::open(context.output, paste, may_open, None).await;
    terminal.set_pages(pages);
    let mut half_done = match method {
        AuthMethod::Sso => PendingAuth::Sso(Box::new(by_sso(&entrance, back))),
        method => PendingAuth::OAuth(Box::new(by_oauth(context, &entrance, method, back)?)),
    };
    let mut accounts = context.home.accounts();
    let account = drive(&mut half_done, &context.runner, &mut accounts, terminal).await;
    let account = half_done::end(context, terminal, Some(&half_done), account)?;
    if let Some(user) = entrance.user.filter(|user| !is_named(&account, user)) {
        context.output.warn(&format!(
            "the page signed in {}, and not {user}",
            account.user_id
        ));
    }
    Ok(account)
}

/// Whether this is the account's user id, or its first part.
fn is_named(account: &Account, user: &str) -> bool {
    let whole = account.user_id.as_str();
    let local = whole.trim_start_matches('@').split(':').next();
    whole.eq_ignore_ascii_case(user) || local.is_some_and(|local| local.eq_ignore_ascii_case(user))
}

fn by_sso(entrance: &Entrance, back: String) -> SsoLogin {
    let options = &entrance.options;
    SsoLogin::new(&entrance.facts, back).device(DeviceOptions {
        device_id: options.device_id.clone(),
        device_name: options.device_name.clone(),
        refresh_token: options.refresh_token,
        data: known_data(entrance),
    })
}

fn by_oauth(
    context: &Context<'_>,
    entrance: &Entrance,
    method: AuthMethod,
    back: String,
) -> Result<OAuthLogin, CommandError> {
    let facts = &entrance.facts;
    let mut login = match method {
        AuthMethod::DeviceCode => OAuthLogin::device_code(facts, browser::about()),
        _ => OAuthLogin::browser(facts, browser::about(), back),
    };
    if let Some(issuer) = &facts.oauth_issuer
        && let Some(client) = context.home.accounts().oauth_client(issuer)?
    {
        login = login.client(client);
    }
    Ok(login.device(DeviceOptions {
        device_id: entrance.options.device_id.clone(),
        data: known_data(entrance),
        ..DeviceOptions::default()
    }))
}

/// The data that is stored with the known account.
fn known_data(entrance: &Entrance) -> serde_json::Value {
    let known = entrance.known.as_ref();
    known
        .map(|account| account.data.clone())
        .unwrap_or_default()
}
