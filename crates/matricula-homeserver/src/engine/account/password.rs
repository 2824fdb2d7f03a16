//! Changing a password, or resetting it with a third-party identifier.

use matricula_api::client::password_management::{ChangePassword, ChangePasswordResponse};
use matricula_core::StepContext;

use crate::engine::{
    auth::{
        passwords,
        reauth::{reauthenticate, reauthenticate_by_threepid},
        session::{DeviceSelection, end_devices, end_uia_sessions},
    },
    context::RequestContext,
    error::HandlerError,
    handler::Handler,
    storage::users,
};

impl Handler for ChangePassword {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ChangePasswordResponse, HandlerError> {
        let config = context.config;
        let is_reset = context.access_token().is_none() && config.mail.is_some();
        let requester = if is_reset {
            None
        } else {
            Some(context.authenticate_user(cx.now)?)
        };
        let password = self.new_password.expose();
        passwords::check(&config.password_policy, password)?;
        let auth = self.auth.as_ref();
        let (user, device) = match requester {
            Some(requester) => {
                reauthenticate(context, cx, &requester, auth)?;
                (requester.user, requester.device)
            }
            None => (reauthenticate_by_threepid(context, cx, auth)?, None),
        };
        let hash = passwords::hash(cx, password)?;
        users::set_password_hash(context.tx, user, &hash)?;
        end_uia_sessions(context, user)?;
        if self.logout_devices.unwrap_or(true) {
            let device = device.as_deref();
            let selection = device.map_or(DeviceSelection::All, DeviceSelection::AllBut);
            end_devices(context, user, selection)?;
        }
        Ok(ChangePasswordResponse::default())
    }
}
