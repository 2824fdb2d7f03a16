//! The session that a login has replaced in the store. Without its token, no command could end it.

use matricula::{Account, Session, runner::SystemClock};

use crate::{commands::Context, error::CommandError, shell::shell_word};

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
