//! The user and device that a request comes from.

use matricula_api::{
    ErrorCode, UserId,
    client::whoami::{WhoAmI, WhoAmIResponse},
};
use matricula_core::{StepContext, Timestamp};

use super::{appservice, localpart};
use crate::{
    Config,
    engine::{
        context::RequestContext,
        error::{ApiError, HandlerError},
        handler::Handler,
        storage::{
            devices,
            events::EventDevice,
            tokens::{self, AccessTokenRow},
            users::UserRow,
        },
        util::is_past,
    },
};

/// The user, and the device if there is one, that an access token belongs to.
pub(crate) struct Requester {
    pub(crate) user: i64,
    pub(crate) localpart: String,
    /// None where an application service acts as the user.
    pub(crate) device: Option<String>,
    pub(crate) is_guest: bool,
    pub(crate) is_admin: bool,
    pub(crate) is_locked: bool,
    pub(crate) is_suspended: bool,
    is_expired: bool,
}

impl Requester {
    fn new(token: AccessTokenRow, now: Timestamp) -> Self {
        Self {
            is_expired: is_past(token.expires_at, now),
            user: token.user,
            localpart: token.localpart,
            device: Some(token.device),
            is_guest: token.is_guest,
            is_admin: token.is_admin,
            is_locked: token.is_locked,
            is_suspended: token.is_suspended,
        }
    }

    /// A user as whom an application service acts.
    fn of_service(user: UserRow, device: Option<String>) -> Self {
        Self {
            user: user.id,
            localpart: user.localpart,
            device,
            is_guest: false,
            is_admin: false,
            is_locked: user.is_locked,
            is_suspended: user.is_suspended,
            is_expired: false,
        }
    }

    /// Rejects a [guest](https://spec.matrix.org/v1.19/client-server-api/#guest-access).
    pub(crate) fn deny_guest(self) -> Result<Self, ApiError> {
        if self.is_guest {
            let error = "guests cannot do this; register first";
            return Err(ApiError::new(403, ErrorCode::GuestAccessForbidden, error));
        }
        Ok(self)
    }

    /// The requester's user id.
    pub(crate) fn user_id(&self, config: &Config) -> Result<UserId, HandlerError> {
        Ok(localpart::user_id(config, &self.localpart)?)
    }

    /// The device as the tables of rooms know it.
    pub(crate) fn event_device(&self) -> EventDevice<'_> {
        EventDevice {
            user: self.user,
            device: self.device.as_deref().unwrap_or_default(),
        }
    }
}

impl RequestContext<'_> {
    /// The requester, whose access token must be valid.
    pub(crate) fn authenticate(&self, now: Timestamp) -> Result<Requester, HandlerError> {
        let requester = self.requester(now)?;
        if requester.is_expired {
            let error = "this access token has expired; refresh it or log in again";
            return Err(ApiError::unknown_token(error, true).into());
        }
        if requester.is_locked {
            let error = "this account is locked; an administrator may unlock it later";
            return Err(ApiError::user_locked(error).into());
        }
        Ok(requester)
    }

    /// The requester, whose access token must be valid and not a guest's.
    pub(crate) fn authenticate_user(&self, now: Timestamp) -> Result<Requester, HandlerError> {
        Ok(self.authenticate(now)?.deny_guest()?)
    }

    /// The requester, whose access token must be valid. It may be a guest's where the specification lets
    /// guests call the operation.
    pub(crate) fn authenticate_caller(&self, now: Timestamp) -> Result<Requester, HandlerError> {
        let requester = self.authenticate(now)?;
        if self.allows_guests.get() {
            return Ok(requester);
        }
        Ok(requester.deny_guest()?)
    }

    /// The requester, who must be this user and no guest.
    pub(crate) fn authenticate_as(
        &self,
        now: Timestamp,
        user_id: &UserId,
    ) -> Result<Requester, HandlerError> {
        let requester = self.authenticate_user(now)?;
        if requester.user_id(self.config)? != *user_id {
            let error = format!("this access token belongs to another user than {user_id}");
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        Ok(requester)
    }

    /// The requester, even if the access token has expired.
    pub(crate) fn requester(&self, now: Timestamp) -> Result<Requester, HandlerError> {
        let Some(token) = self.access_token() else {
            let error = "this endpoint needs an access token";
            return Err(ApiError::missing_token(error).into());
        };
        let mut requester = match self.config.service_by_token(token) {
            Some(service) => {
                let (user, device) = appservice::masqueraded_user(self, now, service)?;
                Requester::of_service(user, device)
            }
            None => {
                let Some(token) = tokens::find_access_token(self.tx, token)? else {
                    let error = "this access token is not known, or was logged out";
                    return Err(ApiError::unknown_token(error, false).into());
                };
                let refresh_token = token.refresh_token;
                let requester = Requester::new(token, now);
                if let (Some(id), false) = (refresh_token, requester.is_expired) {
                    tokens::confirm_refresh(self.tx, id)?;
                }
                requester
            }
        };
        let (device, peer) = (requester.device.as_deref(), &self.request.peer);
        devices::touch(self.tx, now, requester.user, device, peer)?;
        requester.is_admin |= self.config.admins.contains(&requester.localpart);
        Ok(requester)
    }
}

impl Handler for WhoAmI {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<WhoAmIResponse, HandlerError> {
        let requester = context.authenticate(cx.now)?;
        let user_id = localpart::user_id(context.config, &requester.localpart)?;
        Ok(WhoAmIResponse {
            device_id: requester.device,
            ..WhoAmIResponse::new(user_id).is_guest(requester.is_guest)
        })
    }
}
