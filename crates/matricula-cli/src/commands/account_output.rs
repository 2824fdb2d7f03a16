//! What commands print about an account.

use matricula::{Account, ServerUrl};
use serde_json::{Value, json};

use super::Context;
use crate::{error::CommandError, shell::shell_word, terminal::Terminal};

/// The account as JSON, without secrets.
pub(crate) fn account_json(account: &Account, server: &ServerUrl) -> Value {
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

/// The sentence that reports a registration.
pub(crate) fn registered(account: &Account) -> String {
    let what = if account.is_guest { "a guest " } else { "" };
    match &account.device_id {
        Some(device) => format!("registered {what}{} on device {device}", account.user_id),
        None => format!("registered {what}{}, not signed in", account.user_id),
    }
}

/// The sentence that reports a login.
pub(crate) fn signed_in(account: &Account) -> String {
    let device = account.device_id.as_deref().unwrap_or_default();
    format!("signed in as {} on device {device}", account.user_id)
}

/// Makes a registered account the default, and prints it.
pub(crate) fn print_registered(
    context: &Context<'_>,
    terminal: &Terminal,
    server: &ServerUrl,
    account: &Account,
) -> Result<(), CommandError> {
    make_default(context, account)?;
    let path = context.home.accounts().path();
    context.output.say(&if account.password.is_some() {
        format!(
            "a password was generated and stored with the account in {}; to see it: {}",
            path.display(),
            context.command("account password --show")
        )
    } else {
        format!("the account is stored in {}", path.display())
    });
    let is_signed_in = account.access_token.is_some();
    let next = context.command(if is_signed_in { "whoami" } else { "login" });
    let mut object = account_json(account, server);
    object["password_made"] = json!(account.password.is_some());
    object["kept_in"] = json!(path);
    object["route"] = match terminal.route() {
        Some((stages, why)) => json!({ "stages": stages, "why": why }),
        None => json!({ "stages": [], "why": "the server asked for nothing" }),
    };
    object["next"] = json!(next);
    let words = if terminal.account_existed() {
        object["existed"] = json!(true);
        format!(
            "{}; this account existed before, and no new one was made: the browser may have been signed in \
             to it",
            signed_in(account)
        )
    } else {
        registered(account)
    };
    context.output.result(&words, &object);
    context.output.next(&next);
    Ok(())
}

/// Makes an account that was logged in to the default, and prints it.
pub(crate) fn print_signed_in(
    context: &Context<'_>,
    account: &Account,
) -> Result<(), CommandError> {
    make_default(context, account)?;
    let object = account_json(account, &account.server);
    context.output.result(&signed_in(account), &object);
    context.output.next(&context.command("whoami"));
    Ok(())
}

/// Makes a user of an application service the default account, and prints it.
pub(crate) fn print_appservice_user(
    context: &Context<'_>,
    account: &Account,
    words: &str,
) -> Result<(), CommandError> {
    make_default(context, account)?;
    let mut object = account_json(account, &account.server);
    // The service acts as a user without a session with its own token, in another program.
    let token = account.access_token.as_ref();
    let next = token.map(|_| context.command("whoami"));
    object["next"] = json!(next);
    context.output.result(words, &object);
    if let Some(next) = next {
        context.output.next(&next);
    }
    Ok(())
}

/// Makes this the default account, and says so if it was another one.
fn make_default(context: &Context<'_>, account: &Account) -> Result<(), CommandError> {
    let (store, user_id) = (context.home.accounts(), account.user_id.as_str());
    let before = store.default_account()?;
    store.set_default(user_id)?;
    if let Some(before) = before.filter(|before| before != user_id) {
        let back = context.command(&format!("switch {}", shell_word(&before)));
        context.output.say(&format!(
            "{user_id} is the default account now, instead of {before}: {back} goes back"
        ));
    }
    Ok(())
}
