//! Whether standard input holds something that was meant for this command.

use std::{
    io::{IsTerminal, Read},
    time::Duration,
};

use crate::{commands::Context, error::CommandError};

/// How long the end of the input is awaited.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Fails if standard input is not empty: what is in it may be answers to the questions of this command,
/// and does not ask for an account on a private homeserver.
pub(super) async fn check_unused(context: &Context<'_>) -> Result<(), CommandError> {
    if context.no_input || is_empty().await {
        return Ok(());
    }
    Err(CommandError::Usage(format!(
        "no homeserver is named, and none can be asked for here; name one, as in {}, or give --no-input \
         for an account on a private homeserver on this machine",
        context.command("register example.org")
    )))
}

/// Whether standard input ends before its first byte.
async fn is_empty() -> bool {
    if std::io::stdin().is_terminal() {
        return false;
    }
    let read = tokio::task::spawn_blocking(|| std::io::stdin().lock().read(&mut [0]));
    matches!(
        tokio::time::timeout(TIMEOUT, read).await,
        Ok(Ok(Ok(0) | Err(_)))
    )
}
