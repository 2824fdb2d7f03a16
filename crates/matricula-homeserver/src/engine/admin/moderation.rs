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
    login::{self, Known},
    refusal::{Fault, Refusal},
    routes::{Call, Serve},
};

impl Serve for GetAdminLockUser {
    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetAdminLockUserResponse, Fault> {
        let (user, _) = call.moderated(cx.now, &self.user_id)?;
        Ok(GetAdminLockUserResponse::new(user.is_locked))
    }
}

impl Serve for SetAdminLockUser {
    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetAdminLockUserResponse, Fault> {
        let user = call.moderated_other(cx.now, &self.user_id)?;
        call.set_flag(user.id, "is_locked", self.locked)?;
        Ok(SetAdminLockUserResponse::new(self.locked))
    }
}

impl Serve for GetAdminSuspendUser {
    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetAdminSuspendUserResponse, Fault> {
        let (user, _) = call.moderated(cx.now, &self.user_id)?;
        Ok(GetAdminSuspendUserResponse::new(user.is_suspended))
    }
}

impl Serve for SetAdminSuspendUser {
    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetAdminSuspendUserResponse, Fault> {
        let user = call.moderated_other(cx.now, &self.user_id)?;
        call.set_flag(user.id, "is_suspended", self.suspended)?;
        Ok(SetAdminSuspendUserResponse::new(self.suspended))
    }
}

impl Call<'_> {
    /// The user whom an administrator asks about, and whether it is the administrator.
    fn moderated(&self, now: Timestamp, user_id: &UserId) -> Result<(Known, bool), Fault> {
        let admin = self.administrator(now)?;
        let localpart = self.local(user_id.as_str())?;
        let user = login::account(self.tx, &localpart)?.ok_or_else(no_such_user)?;
        let is_self = user.id == admin.user;
        Ok((user, is_self))
    }

    fn moderated_other(&self, now: Timestamp, user_id: &UserId) -> Result<Known, Fault> {
        match self.moderated(now, user_id)? {
            (user, false) => Ok(user),
            (_, true) => {
                let error = "an administrator cannot do this to themselves";
                Err(Refusal::new(403, ErrorCode::Forbidden, error).into())
            }
        }
    }
}
