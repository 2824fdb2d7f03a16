//! Ending an account.

use matricula_api::client::{
    account_deactivation::{DeactivateAccount, DeactivateAccountResponse},
    definitions::UnbindResult,
};
use matricula_core::StepContext;

use crate::engine::{
    account::devices::{DeviceSelection, end_devices},
    refusal::HandlerError,
    routes::{Handler, RequestContext},
};

impl Handler for DeactivateAccount {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeactivateAccountResponse, HandlerError> {
        let bearer = call.authenticate_user(cx.now)?;
        call.reauthenticate(cx, &bearer, self.auth.as_ref())?;
        call.deactivate(bearer.user, self.erase.unwrap_or(false))?;
        // No address is bound anywhere.
        Ok(DeactivateAccountResponse::new(UnbindResult::Success))
    }
}

impl RequestContext<'_> {
    /// Ends an account. Its name stays taken, so that nobody else is ever mistaken for its user.
    ///
    /// There is nothing else here that erasing could hide: what others see of it is the profile.
    pub(in crate::engine) fn deactivate(&self, user: i64, erase: bool) -> Result<(), HandlerError> {
        end_devices(self, user, DeviceSelection::All)?;
        self.tx.execute(
            "UPDATE users SET password_hash = NULL, is_deactivated = 1 WHERE id = ?1",
            [user],
        )?;
        for table in [
            "login_tokens",
            "visits",
            "oauth_codes",
            "oauth_device_codes",
            "addresses",
        ] {
            let sql = format!("DELETE FROM {table} WHERE user = ?1");
            self.tx.execute(&sql, [user])?;
        }
        self.tx.execute(
            "DELETE FROM uia_sessions WHERE user = ?1 OR owner = ?1",
            [user],
        )?;
        if erase {
            self.tx
                .execute("DELETE FROM profile_fields WHERE user = ?1", [user])?;
        }
        Ok(())
    }
}
