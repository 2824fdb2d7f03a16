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

use super::{require_admin, users};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::users::{Flag, UserRow, find, set_flag},
};

impl Handler for GetAdminLockUser {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetAdminLockUserResponse, HandlerError> {
        let (user, _) = moderated(context, cx.now, &self.user_id)?;
        Ok(GetAdminLockUserResponse::new(user.is_locked))
    }
}

impl Handler for SetAdminLockUser {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetAdminLockUserResponse, HandlerError> {
        let user = moderated_other(context, cx.now, &self.user_id)?;
        set_flag(context.tx, user.id, Flag::Locked, self.locked)?;
        Ok(SetAdminLockUserResponse::new(self.locked))
    }
}

impl Handler for GetAdminSuspendUser {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetAdminSuspendUserResponse, HandlerError> {
        let (user, _) = moderated(context, cx.now, &self.user_id)?;
        Ok(GetAdminSuspendUserResponse::new(user.is_suspended))
    }
}

impl Handler for SetAdminSuspendUser {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetAdminSuspendUserResponse, HandlerError> {
        let user = moderated_other(context, cx.now, &self.user_id)?;
        set_flag(context.tx, user.id, Flag::Suspended, self.suspended)?;
        Ok(SetAdminSuspendUserResponse::new(self.suspended))
    }
}

/// The user in a request of an administrator, and whether it is the administrator.
fn moderated(
    context: &RequestContext<'_>,
    now: Timestamp,
    user_id: &UserId,
) -> Result<(UserRow, bool), HandlerError> {
    let admin = require_admin(context, now)?;
    let localpart = users::localpart_of_id(context, user_id.as_str())?;
    let user = find(context.tx, &localpart)?.ok_or_else(users::no_such_user)?;
    let is_self = user.id == admin.user;
    Ok((user, is_self))
}

/// The same, which must not be the administrator.
fn moderated_other(
    context: &RequestContext<'_>,
    now: Timestamp,
    user_id: &UserId,
) -> Result<UserRow, HandlerError> {
    match moderated(context, now, user_id)? {
        (user, false) => Ok(user),
        (_, true) => {
            let error = "administrators cannot do this to themselves";
            Err(ApiError::new(403, ErrorCode::Forbidden, error).into())
        }
    }
}
