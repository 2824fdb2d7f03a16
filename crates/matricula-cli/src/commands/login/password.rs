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
    let password = match given.or(generated) {
        Some(password) => password,
        None if terminal.has_person() => terminal.password()?,
        None => return Err(no_password()),
    };
    let mut flow = target
        .builder(context, terminal)
        .password(password)
        .start()
        .await?;
    match flow.run().await {
        Ok(account) => Ok(account),
        Err(error) => match pending_password(context, target, &error)? {
            Some(pending) => with_pending_password(context, terminal, target, pending).await,
            None => Err(error.into()),
        },
    }
}

/// The password of a change whose response was lost. The account may have it if the stored one is
/// wrong.
fn pending_password(
    context: &Context<'_>,
    target: &Target,
    error: &Error,
) -> Result<Option<Secret>, CommandError> {
    let is_wrong = matches!(
        error,
        Error::Auth(AuthError::Login(LoginError::WrongPassword { .. }))
    );
    let Some(account) = target.stored.as_ref().filter(|_| is_wrong) else {
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
