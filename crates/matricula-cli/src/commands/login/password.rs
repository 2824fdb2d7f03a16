//! Signing in with a password.

use matricula::{
    Error, SessionStore,
    auth::{Account, AuthError, Login, tables},
    core::{Secret, WriteBatch},
    drive,
};

use super::{Context, Entrance, no_password};
use crate::{error::CommandError, terminal::Terminal};

pub(super) async fn sign_in(
    context: &Context<'_>,
    terminal: &mut Terminal,
    entrance: Entrance,
    given: Option<Secret>,
) -> Result<Account, CommandError> {
    let Entrance {
        facts,
        options,
        known,
        user,
    } = entrance;
    let made = known.as_ref().and_then(|account| account.password.clone());
    let password = match given.or_else(|| made.clone()) {
        Some(password) => password,
        None if terminal.is_there() => terminal.password()?,
        None => return Err(no_password()),
    };
    let made = made.filter(|made| *made == password);
    let mut login = Login::new(&facts, user.unwrap_or_default(), password);
    if let Some(account) = &known {
        login = login.with_data(account.data.clone());
    }
    if let Some(id) = options.device_id {
        login = login.with_device_id(id);
    }
    if let Some(name) = options.device_name {
        login = login.with_device_name(name);
    }
    if options.refresh_token {
        login = login.with_refresh_token();
    }
    if let Some(made) = made {
        login = login.with_generated_password(made);
    }
    let mut accounts = context.home.accounts();
    match drive(&mut login, &context.runner, &mut accounts, terminal).await {
        Err(error) => after_a_change(context, login, known.as_ref(), terminal, error).await,
        Ok(account) => Ok(account),
    }
}

/// Where the password that is kept is wrong, the account may have the one of a change whose answer
/// was lost.
async fn after_a_change(
    context: &Context<'_>,
    login: Login,
    known: Option<&Account>,
    terminal: &mut Terminal,
    error: Error,
) -> Result<Account, CommandError> {
    let mut accounts = context.home.accounts();
    let is_wrong = matches!(error, Error::Auth(AuthError::WrongPassword { .. }));
    let pending = match known {
        Some(account) if is_wrong => accounts.pending_password(&account.user_id)?,
        _ => None,
    };
    let Some(password) = pending.and_then(|pending| pending.password) else {
        return Err(error.into());
    };
    let mut login = login
        .with_password(password.clone())
        .with_generated_password(password);
    let account = drive(&mut login, &context.runner, &mut accounts, terminal).await?;
    let mut patch = WriteBatch::default();
    patch.remove(tables::PASSWORD_CHANGES, account.user_id.as_str());
    accounts.commit(&patch)?;
    Ok(account)
}
