//! Logging in on a web page: with OAuth 2.0, single sign-on, or a device code.

use matricula::{Account, AuthMethod};

use super::Target;
use crate::{
    browser,
    commands::{Context, resume},
    error::CommandError,
    terminal::Terminal,
};

pub(super) async fn log_in(
    context: &Context<'_>,
    terminal: &mut Terminal,
    target: &Target,
    method: AuthMethod,
) -> Result<Account, CommandError> {
    // Without a terminal, a page is opened only because its method was named.
    let (paste, may_open) = (target.options.paste.paste, !context.no_input);
    let redirect_uri = terminal.open_pages(paste, may_open, None).await;
    let mut builder = target
        .builder(context, terminal)
        .method(method)
        .redirect_uri(browser::about(), redirect_uri);
    if target.options.admin {
        builder = builder.admin();
    }
    let mut flow = builder.start().await?;
    let account = resume::finish(context, &mut flow, terminal).await?;
    let user = target.user.as_ref();
    if let Some(user) = user.filter(|user| !is_named(&account, user)) {
        context.output.warn(&format!(
            "the page signed in {}, and not {user}",
            account.user_id
        ));
    }
    Ok(account)
}

/// Whether this is the account's user ID or its localpart.
fn is_named(account: &Account, user: &str) -> bool {
    account.user_id.as_str().eq_ignore_ascii_case(user)
        || account.user_id.localpart().eq_ignore_ascii_case(user)
}
