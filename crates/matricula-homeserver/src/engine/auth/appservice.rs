//! [Application services](https://spec.matrix.org/v1.19/application-service-api/): they register users
//! of their own namespace and act as them.

use matricula_api::{ErrorCode, client::registration::Register};
use matricula_core::Timestamp;

use super::{localpart, session::DeviceParams};
use crate::{
    ApplicationService, Config,
    engine::{
        context::RequestContext,
        error::{ApiError, HandlerError},
        storage::{
            devices,
            users::{self, NewUser, UserRow},
        },
    },
};

/// Whether a service cannot use the tokens that a login would return.
fn refuses_login(config: &Config, service: &ApplicationService) -> bool {
    service.manages_devices || config.is_oauth_only()
}

fn no_login() -> ApiError {
    let error = "an application service cannot log in here; register with inhibit_login, and act \
                 as the user";
    ApiError::new(400, ErrorCode::AppserviceLoginUnsupported, error)
}

/// The service whose token the request has.
fn require_service<'a>(context: &RequestContext<'a>) -> Result<&'a ApplicationService, ApiError> {
    let Some(token) = context.access_token() else {
        let error = "an application service needs its token";
        return Err(ApiError::missing_token(error));
    };
    let error = "no application service has this token";
    let found = context.config.service_by_token(token);
    found.ok_or_else(|| ApiError::unknown_token(error, false))
}

/// Creates a user of an application service, without password and without authentication stages.
pub(crate) fn register_user(
    context: &RequestContext<'_>,
    now: Timestamp,
    params: &Register,
) -> Result<i64, HandlerError> {
    let service = require_service(context)?;
    let Some(username) = &params.username else {
        return Err(ApiError::missing_param("username").into());
    };
    DeviceParams::new(
        params.device_id.as_deref(),
        params.initial_device_display_name.as_deref(),
        params.refresh_token,
    )?;
    if !params.inhibit_login.unwrap_or(false) && refuses_login(context.config, service) {
        return Err(no_login().into());
    }
    let localpart = localpart::service_localpart(context.config, service, username)?;
    if users::find(context.tx, &localpart)?.is_some() {
        let error = "this username is taken; choose another";
        return Err(ApiError::new(400, ErrorCode::UserInUse, error).into());
    }
    Ok(insert(context, now, &localpart)?)
}

fn insert(context: &RequestContext<'_>, now: Timestamp, localpart: &str) -> rusqlite::Result<i64> {
    let user = NewUser {
        localpart: Some(localpart),
        ..NewUser::default()
    };
    user.insert(context.tx, now)
}

/// The user as whom an application service logs in.
pub(crate) fn login_user(
    context: &RequestContext<'_>,
    user: Option<&str>,
) -> Result<UserRow, HandlerError> {
    let service = require_service(context)?;
    if refuses_login(context.config, service) {
        return Err(no_login().into());
    }
    let localpart = user.and_then(|it| localpart::existing_localpart(context.config, it));
    let Some(localpart) = localpart.filter(|it| service.owns(it)) else {
        return Err(not_owned().into());
    };
    active_user(context, &localpart)
}

/// The user and device as whom an application service acts: its own user, unless the request names
/// another.
pub(crate) fn masqueraded_user(
    context: &RequestContext<'_>,
    now: Timestamp,
    service: &ApplicationService,
) -> Result<(UserRow, Option<String>), HandlerError> {
    let localpart = match context.request.query("user_id") {
        None => service.sender.clone(),
        Some(user) => {
            let localpart = localpart::existing_localpart(context.config, user);
            let own = localpart.filter(|it| service.owns(it));
            own.ok_or_else(not_owned)?
        }
    };
    if localpart == service.sender && users::find(context.tx, &localpart)?.is_none() {
        insert(context, now, &localpart)?;
    }
    let user = active_user(context, &localpart)?;
    let device = context.request.query("device_id").map(str::to_owned);
    if let Some(device) = &device
        && devices::find(context.tx, user.id, device)?.is_none()
    {
        let error = "the user has no such device";
        return Err(ApiError::new(400, ErrorCode::UnknownDevice, error).into());
    }
    Ok((user, device))
}

fn active_user(context: &RequestContext<'_>, localpart: &str) -> Result<UserRow, HandlerError> {
    match users::find(context.tx, localpart)? {
        Some(user) if user.is_deactivated => Err(ApiError::user_deactivated().into()),
        Some(user) => Ok(user),
        None => {
            let error = "the application service has not registered this user";
            Err(ApiError::new(403, ErrorCode::Forbidden, error).into())
        }
    }
}

fn not_owned() -> ApiError {
    let error = "this user does not belong to the application service";
    ApiError::new(403, ErrorCode::Forbidden, error)
}
