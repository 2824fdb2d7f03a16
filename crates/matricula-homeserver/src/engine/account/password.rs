//! Changing a password.

use matricula_api::client::password_management::{ChangePassword, ChangePasswordResponse};
use matricula_job::Cx;
use rusqlite::params;

use crate::engine::{
    account::devices::{Which, end_devices},
    passwords,
    refusal::Fault,
    routes::{Call, Serve},
};

impl Serve for ChangePassword {
    fn serve(self, call: &Call<'_>, cx: &mut Cx<'_>) -> Result<ChangePasswordResponse, Fault> {
        let bearer = call.user(cx.now)?;
        let password = self.new_password.expose();
        passwords::check(&call.home.config.password_policy, password)?;
        call.confirm(cx, &bearer, self.auth.as_ref())?;
        let hash = passwords::hash(cx, password)?;
        call.tx.execute(
            "UPDATE users SET password_hash = ?2 WHERE id = ?1",
            params![bearer.user, hash],
        )?;
        if self.logout_devices.unwrap_or(true) {
            end_devices(call, bearer.user, Which::AllBut(&bearer.device))?;
        }
        Ok(ChangePasswordResponse::default())
    }
}
