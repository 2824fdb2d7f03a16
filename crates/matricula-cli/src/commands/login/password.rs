//! Logging in with a password.

use matricula::{
    Account, AuthError, Error, Secret, Store,
    auth::{LoginError, tables},
    core::WriteBatch,
};

use super::{Target, no_password};
use crate::{
    commands::{Context, resume},
    error::CommandError,
    terminal::Terminal,
};

pub(super) async fn log_in(
    context: &Context<'_>,
    terminal: &Terminal,
    target: &Target,
    given: Option<Secret>,
) -> Result<Account, CommandError> {
    let stored = target.stored.as_ref();
    let generated = stored.and_then(|account| account.password.clone());
    let mut password = match given.or(generated) {
        Some(password) => password,
        None if terminal.has_person() => terminal.password(question(target)).await?,
        None => return Err(no_password()),
    };
    let mut is_first = true;
    loop {
        let builder = target.builder(context, terminal).password(password);
        let error = match builder.start().await?.run().await {
            Ok(account) => return Ok(account),
            Err(error) => error,
        };
        if !is_wrong_password(&error) {
            return Err(error.into());
        }
        if let Some(pending) = pending_password(context, target)?.filter(|_| is_first) {
            return with_pending_password(context, terminal, target, pending).await;
        }
        if !terminal.has_person() {
            return Err(error.into());
        }
        context.output.warn(&error.to_string());
        password = terminal.password(question(target)).await?;
        is_first = false;
    }
}

fn question(target: &Target) -> String {
    let user = match (&target.stored, &target.user) {
        (Some(account), _) => account.user_id.to_string(),
        (None, Some(user)) if user.starts_with('@') => user.clone(),
        // The name of the server may differ from the host of its address.
        (None, user) => format!(
            "{} on {}",
            user.as_deref().unwrap_or_default(),
            target.server.server
        ),
    };
    format!("Password of {user}:")
}

fn is_wrong_password(error: &Error) -> bool {
    matches!(
        error,
        Error::Auth(AuthError::Login(LoginError::WrongPassword { .. }))
    )
}

/// The password of a change whose response was lost. The account may have it if the stored one is
/// wrong.
fn pending_password(
    context: &Context<'_>,
    target: &Target,
) -> Result<Option<Secret>, CommandError> {
    let Some(account) = &target.stored else {
        return Ok(None);
    };
    let pending = context.home.accounts().pending_password(&account.user_id)?;
    Ok(pending.and_then(|pending| pending.password))
}

async fn with_pending_password(
    context: &Context<'_>,
    terminal: &Terminal,
    target: &Target,
    password: Secret,
) -> Result<Account, CommandError> {
    let mut builder = target.builder(context, terminal);
    if let Some(mut account) = target.stored.clone() {
        account.password = Some(password);
        builder = builder.account(account);
    }
    let mut flow = builder.start().await?;
    let account = resume::finish(context, &mut flow, terminal).await?;
    let mut writes = WriteBatch::default();
    writes.remove(tables::PASSWORD_CHANGES, account.user_id.as_str());
    context.home.accounts().commit(&writes)?;
    Ok(account)
}
