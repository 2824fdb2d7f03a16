//! Changing a password, by the old one or, where that is forgotten, by an address.

use matricula_api::client::password_management::{ChangePassword, ChangePasswordResponse};
use matricula_core::StepContext;
use rusqlite::params;

use crate::engine::{
    account::devices::{DeviceSelection, end_devices},
    passwords,
    refusal::HandlerError,
    routes::{Handler, RequestContext},
};

impl Handler for ChangePassword {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ChangePasswordResponse, HandlerError> {
        let is_reset = call.token().is_none() && call.homeserver.config.mail.is_some();
        let bearer = match is_reset {
            true => None,
            false => Some(call.authenticate_user(cx.now)?),
        };
        let password = self.new_password.expose();
        passwords::check(&call.homeserver.config.password_policy, password)?;
        let auth = self.auth.as_ref();
        let (user, device) = match bearer {
            Some(bearer) => {
                call.reauthenticate(cx, &bearer, auth)?;
                (bearer.user, bearer.device)
            }
            None => (call.reauthenticate_by_threepid(cx, auth)?, None),
        };
        let hash = passwords::hash(cx, password)?;
        call.tx.execute(
            "UPDATE users SET password_hash = ?2 WHERE id = ?1",
            params![user, hash],
        )?;
        if self.logout_devices.unwrap_or(true) {
            let which = device
                .as_deref()
                .map_or(DeviceSelection::All, DeviceSelection::AllBut);
            end_devices(call, user, which)?;
        }
        Ok(ChangePasswordResponse::default())
    }
}
