//! [Login](https://spec.matrix.org/v1.19/client-server-api/#login) and logout.

use matricula_api::{
    ErrorCode,
    client::{
        login::{Login, LoginResponse},
        logout::{Logout, LogoutAll, LogoutAllResponse, LogoutResponse},
    },
};
use matricula_core::{StepContext, Timestamp};

use super::{
    appservice, localpart, passwords,
    session::{DeviceParams, delete_device, end_uia_sessions, sign_in},
    uia::APPLICATION_SERVICE,
    user_lookup::{identifier_name, user_by_identifier, user_by_name, user_by_threepid},
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    keys,
    storage::{
        devices, one_time_tokens,
        users::{self, UserRow},
    },
};

impl Handler for Login {
    fn precheck(context: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        Ok(context.login_bucket().check_and_take(context.tx, now)?)
    }

    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<LoginResponse, HandlerError> {
        let params = DeviceParams::new(
            self.device_id.as_deref(),
            self.initial_device_display_name.as_deref(),
            self.refresh_token,
        )?;
        let user = match self.login_type.as_str() {
            "m.login.password" => by_password(&self, context, cx)?,
            APPLICATION_SERVICE => appservice::login_user(context, login_name(&self)?)?,
            "m.login.token" if context.config.sso.is_some() => by_token(&self, context, cx)?,
            _ => {
                let error = "this server does not support this type of login; GET /login lists \
                             the supported types";
                return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
            }
        };
        let user_id = localpart::user_id(context.config, &user.localpart)?;
        let (device_id, tokens) = sign_in(context, cx, user.id, params)?;
        Ok(LoginResponse {
            refresh_token: tokens.refresh,
            expires_in_ms: tokens.lifetime,
            ..LoginResponse::new(user_id, tokens.access, device_id)
        })
    }
}

fn by_password(
    login: &Login,
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<UserRow, HandlerError> {
    let Some(password) = &login.password else {
        return Err(ApiError::missing_param("password").into());
    };
    let user = match &login.identifier {
        Some(identifier) => user_by_identifier(context, identifier)?,
        None if login.user.is_some() => user_by_name(context, login.user.as_deref())?,
        None => match login.medium.as_deref().zip(login.address.as_deref()) {
            Some((medium, address)) => user_by_threepid(context, medium, address)?,
            None if login.address.is_some() => None,
            None => return Err(ApiError::missing_param("identifier").into()),
        },
    };
    passwords::verify_login(cx, user, password.expose())
}

fn by_token(
    login: &Login,
    context: &RequestContext<'_>,
    cx: &StepContext<'_>,
) -> Result<UserRow, HandlerError> {
    let Some(token) = &login.token else {
        return Err(ApiError::missing_param("token").into());
    };
    let redeemed = one_time_tokens::LOGIN.redeem(context.tx, cx.now, "", token.expose())?;
    let Some(user) = redeemed.flatten() else {
        let error = "this login token is not known, was used, or has expired; sign in again";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
    };
    Ok(users::get(context.tx, user)?)
}

/// Expired tokens may log out too.
impl Handler for Logout {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<LogoutResponse, HandlerError> {
        let requester = context.requester(cx.now)?.deny_guest()?;
        if let Some(device) = &requester.device {
            delete_device(context, requester.user, device)?;
        }
        Ok(LogoutResponse::default())
    }
}

impl Handler for LogoutAll {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<LogoutAllResponse, HandlerError> {
        let requester = context.requester(cx.now)?.deny_guest()?;
        keys::delete_all_device_keys(context, requester.user)?;
        devices::delete_all(context.tx, requester.user)?;
        end_uia_sessions(context, requester.user)?;
        Ok(LogoutAllResponse::default())
    }
}

/// The localpart or user id that the request names, in the current or the deprecated way. None for a
/// third-party identifier, which application services do not log in with.
fn login_name(login: &Login) -> Result<Option<&str>, ApiError> {
    match &login.identifier {
        Some(identifier) => identifier_name(identifier),
        None if login.user.is_none() && login.address.is_none() => {
            Err(ApiError::missing_param("identifier"))
        }
        None => Ok(login.user.as_deref()),
    }
}
