//! Changing a password, by the old one or, where that is forgotten, by an address.

use matricula_api::client::password_management::{ChangePassword, ChangePasswordResponse};
use matricula_core::StepContext;
use rusqlite::params;

use crate::engine::{
    account::devices::{Which, end_devices},
    passwords,
    refusal::Fault,
    routes::{Call, Serve},
};

impl Serve for ChangePassword {
    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ChangePasswordResponse, Fault> {
        let is_reset = call.token().is_none() && call.home.config.messages.is_some();
        let bearer = match is_reset {
            true => None,
            false => Some(call.user(cx.now)?),
        };
        let password = self.new_password.expose();
        passwords::check(&call.home.config.password_policy, password)?;
        let auth = self.auth.as_ref();
        let (user, device) = match bearer {
            Some(bearer) => {
                call.confirm(cx, &bearer, auth)?;
                (bearer.user, bearer.device)
            }
            None => (call.confirm_by_address(cx, auth)?, None),
        };
        let hash = passwords::hash(cx, password)?;
        call.tx.execute(
            "UPDATE users SET password_hash = ?2 WHERE id = ?1",
            params![user, hash],
        )?;
        if self.logout_devices.unwrap_or(true) {
            let which = device.as_deref().map_or(Which::All, Which::AllBut);
            end_devices(call, user, which)?;
        }
        Ok(ChangePasswordResponse::default())
    }
}
