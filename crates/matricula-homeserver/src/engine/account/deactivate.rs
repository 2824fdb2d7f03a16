//! Deactivating an account.

use matricula_api::client::{
    account_deactivation::{DeactivateAccount, DeactivateAccountResponse},
    definitions::UnbindResult,
};
use matricula_core::StepContext;

use crate::engine::{
    auth::{
        reauth::reauthenticate,
        session::{DeviceSelection, end_devices},
    },
    context::RequestContext,
    error::HandlerError,
    handler::Handler,
    keys,
    storage::{profiles, users},
};

impl Handler for DeactivateAccount {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeactivateAccountResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        reauthenticate(context, cx, &requester, self.auth.as_ref())?;
        deactivate(context, requester.user, self.erase.unwrap_or(false))?;
        // No identifier is bound at an identity server.
        Ok(DeactivateAccountResponse::new(UnbindResult::Success))
    }
}

/// Deactivates an account. Its name stays taken, so that no other user can be mistaken for it.
///
/// Erasing deletes the profile: other users see nothing else of an account.
pub(crate) fn deactivate(
    context: &RequestContext<'_>,
    user: i64,
    erase: bool,
) -> Result<(), HandlerError> {
    end_devices(context, user, DeviceSelection::All)?;
    keys::delete_user_keys(context, user)?;
    users::deactivate(context.tx, user, erase)?;
    if erase {
        profiles::delete_all(context.tx, user)?;
    }
    Ok(())
}
