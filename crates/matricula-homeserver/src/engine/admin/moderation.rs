//! [Locking and suspending accounts](https://spec.matrix.org/v1.19/client-server-api/#account-locking).

use matricula_api::{
    ErrorCode, UserId,
    client::admin::{
        GetAdminLockUser, GetAdminLockUserResponse, GetAdminSuspendUser,
        GetAdminSuspendUserResponse, SetAdminLockUser, SetAdminLockUserResponse,
        SetAdminSuspendUser, SetAdminSuspendUserResponse,
    },
};
use matricula_core::{StepContext, Timestamp};

use super::users::no_such_user;
use crate::engine::{
    login::{self, UserRow},
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext},
};

impl Handler for GetAdminLockUser {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetAdminLockUserResponse, HandlerError> {
        let (user, _) = call.moderated(cx.now, &self.user_id)?;
        Ok(GetAdminLockUserResponse::new(user.is_locked))
    }
}

impl Handler for SetAdminLockUser {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetAdminLockUserResponse, HandlerError> {
        let user = call.moderated_other(cx.now, &self.user_id)?;
        call.set_flag(user.id, "is_locked", self.locked)?;
        Ok(SetAdminLockUserResponse::new(self.locked))
    }
}

impl Handler for GetAdminSuspendUser {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetAdminSuspendUserResponse, HandlerError> {
        let (user, _) = call.moderated(cx.now, &self.user_id)?;
        Ok(GetAdminSuspendUserResponse::new(user.is_suspended))
    }
}

impl Handler for SetAdminSuspendUser {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetAdminSuspendUserResponse, HandlerError> {
        let user = call.moderated_other(cx.now, &self.user_id)?;
        call.set_flag(user.id, "is_suspended", self.suspended)?;
        Ok(SetAdminSuspendUserResponse::new(self.suspended))
    }
}

impl RequestContext<'_> {
    /// The user whom an administrator asks about, and whether it is the administrator.
    fn moderated(&self, now: Timestamp, user_id: &UserId) -> Result<(UserRow, bool), HandlerError> {
        let admin = self.require_admin(now)?;
        let localpart = self.localpart_of_id(user_id.as_str())?;
        let user = login::find_user(self.tx, &localpart)?.ok_or_else(no_such_user)?;
        let is_self = user.id == admin.user;
        Ok((user, is_self))
    }

    fn moderated_other(&self, now: Timestamp, user_id: &UserId) -> Result<UserRow, HandlerError> {
        match self.moderated(now, user_id)? {
            (user, false) => Ok(user),
            (_, true) => {
                let error = "an administrator cannot do this to themselves";
                Err(ApiError::new(403, ErrorCode::Forbidden, error).into())
            }
        }
    }
}
