//! The session that a login has replaced in the store, without whose token no command could end it; and the
//! device that it has used again.

use matricula::{Account, Session, runner::SystemClock};

use crate::{
    args::Login,
    commands::{Context, account_source},
    error::CommandError,
    shell::shell_word,
};

/// Ends each session that the store had before and has no more.
pub(super) async fn end_sessions(
    context: &Context<'_>,
    before: &[Account],
) -> Result<(), CommandError> {
    for now in context.home.accounts().accounts()? {
        end_session(context, before, &now).await;
    }
    Ok(())
}

/// Ends the session that the account had before. On the same device, the server has replaced it.
pub(super) async fn end_session(context: &Context<'_>, before: &[Account], now: &Account) {
    let Some(old) = before.iter().find(|one| one.user_id == now.user_id) else {
        return;
    };
    let mut old = old.clone();
    if old.access_token.is_none() || old.device_id == now.device_id {
        return;
    }
    // A private homeserver has another address with each start.
    old.server = now.server.clone();
    let device = old.device_id.clone().unwrap_or_default();
    let is_due = old.is_due(SystemClock::now());
    let session = Session::new(old, context.runner.clone());
    if is_due {
        // Without a valid token, the session cannot be ended. The logout reports the error.
        let _ = session.refresh().await;
    }
    match session.log_out().await {
        Ok(_) => context.output.say(&format!(
            "the earlier session, on device {device}, is ended"
        )),
        Err(error) => {
            let delete =
                context.command(&format!("account devices delete {}", shell_word(&device)));
            context.output.warn(&format!(
                "the earlier session, on device {device}, could not be ended ({error}); end it with \
                 {delete}"
            ));
        }
    }
}

/// Gives a device that was used again the name that was asked for: a server names only new ones.
pub(super) async fn name_device(
    context: &Context<'_>,
    wanted: &Login,
    before: &[Account],
    now: &Account,
) {
    let (Some(name), Some(device)) = (&wanted.device_name, &now.device_id) else {
        return;
    };
    let is_this = |one: &Account| one.user_id == now.user_id && one.device_id == now.device_id;
    let may_be_old = wanted.device_id.is_some() || before.iter().any(is_this);
    // An OAuth 2.0 login has named its device.
    if !may_be_old || now.oauth.is_some() {
        return;
    }
    let session = account_source::in_account(context, now.clone());
    if let Err(error) = session.rename_device(device, name).await {
        context.output.warn(&format!(
            "the device {device} is not called {name}: {error}; account devices rename does it later"
        ));
    }
}
