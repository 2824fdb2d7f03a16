//! Signing in with a password.

use matricula::{
    Error, Store,
    auth::{Account, AuthError, DeviceOptions, Login, tables},
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
        None if terminal.has_person() => terminal.password()?,
        None => return Err(no_password()),
    };
    let made = made.filter(|made| *made == password);
    let device = DeviceOptions {
        device_id: options.device_id,
        device_name: options.device_name,
        refresh_token: options.refresh_token,
        data: known
            .as_ref()
            .map(|account| account.data.clone())
            .unwrap_or_default(),
    };
    let mut login = Login::new(&facts, user.unwrap_or_default(), password).device(device);
    if let Some(made) = made {
        login = login.generated_password(made);
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
        .password(password.clone())
        .generated_password(password);
    let account = drive(&mut login, &context.runner, &mut accounts, terminal).await?;
    let mut patch = WriteBatch::default();
    patch.remove(tables::PASSWORD_CHANGES, account.user_id.as_str());
    accounts.commit(&patch)?;
    Ok(account)
}
