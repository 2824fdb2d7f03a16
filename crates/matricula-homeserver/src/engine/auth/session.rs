//! Sessions: a device of a user with its access and refresh tokens.

use std::time::Duration;

use matricula_api::{
    ErrorCode,
    client::refresh::{Refresh, RefreshResponse},
};
use matricula_core::{Secret, StepContext};

use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::{Handler, check_text_length},
    keys,
    outbox::delegation,
    storage::{
        devices,
        tokens::{self, RefreshTokenRow},
        uia_sessions, users,
    },
    util::{ALPHANUMERIC, millis},
};

/// What a client asks for its device.
#[derive(Clone, Copy, Default)]
pub(crate) struct DeviceParams<'a> {
    pub(crate) device_id: Option<&'a str>,
    pub(crate) display_name: Option<&'a str>,
    pub(crate) refresh_token: bool,
    /// The lifetime of access tokens, where it differs from the configured one.
    pub(crate) lifetime: Option<Duration>,
}

impl<'a> DeviceParams<'a> {
    /// Checks the parameters of a request.
    pub(crate) fn new(
        device_id: Option<&'a str>,
        display_name: Option<&'a str>,
        refresh_token: Option<bool>,
    ) -> Result<Self, ApiError> {
        if device_id == Some("") {
            let error = "device_id is empty; leave it out to get a new one";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
        }
        check_text_length("device_id", device_id)?;
        check_text_length("initial_device_display_name", display_name)?;
        Ok(Self {
            device_id,
            display_name,
            refresh_token: refresh_token.unwrap_or(false),
            lifetime: None,
        })
    }
}

/// New tokens of a device.
pub(crate) struct Tokens {
    pub(crate) access: Secret,
    pub(crate) refresh: Option<Secret>,
    /// The lifetime of the access token; unlimited if absent.
    pub(crate) lifetime: Option<Duration>,
}

/// Signs a user in: creates the device if it is new, and issues tokens. Earlier tokens of the device
/// stop working.
pub(crate) fn sign_in(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: i64,
    params: DeviceParams<'_>,
) -> Result<(String, Tokens), HandlerError> {
    let device = match params.device_id {
        Some(id) => {
            keys::check_device_id(context, user, id)?;
            id.to_owned()
        }
        None => new_device_id(context, cx, user)?,
    };
    devices::insert_if_missing(context.tx, cx.now, user, &device, params.display_name)?;
    tokens::delete_of_device(context.tx, user, &device)?;
    let lifetime = params.lifetime.or(context.config.access_token_lifetime);
    let refresh = params.refresh_token.then_some(None);
    let tokens = issue_tokens(context, cx, (user, &device), refresh, lifetime)?;
    Ok((device, tokens))
}

/// Issues an access token and, if `refresh` is given, a refresh token that replaces this one.
fn issue_tokens(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    device: (i64, &str),
    refresh: Option<Option<i64>>,
    lifetime: Option<Duration>,
) -> Result<Tokens, HandlerError> {
    let expiry = |lifetime| Some(millis(cx.now.plus(lifetime?)));
    let refresh_expiry = expiry(context.config.refresh_token_lifetime);
    let access_expiry = expiry(lifetime);
    let (mut refresh_token, mut refresh_id) = (None, None);
    if let Some(parent) = refresh {
        let token = format!("mtr_{}", cx.entropy.text(ALPHANUMERIC, 43));
        let id = tokens::insert_refresh_token(context.tx, &token, device, parent, refresh_expiry)?;
        refresh_id = Some(id);
        refresh_token = Some(token.into());
    }
    let token = format!("mta_{}", cx.entropy.text(ALPHANUMERIC, 43));
    tokens::insert_access_token(context.tx, &token, device, refresh_id, access_expiry)?;
    Ok(Tokens {
        access: token.into(),
        refresh: refresh_token,
        lifetime,
    })
}

fn new_device_id(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: i64,
) -> Result<String, HandlerError> {
    loop {
        let id = cx.entropy.text(&ALPHANUMERIC[..26], 10);
        if devices::find(context.tx, user, &id)?.is_none() {
            return Ok(id);
        }
    }
}

/// Issues a new pair of tokens for a refresh token. The old pair works until the new one is first used,
/// so that a client whose response was lost can ask again.
pub(crate) fn refresh(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    token: &RefreshTokenRow,
    lifetime: Option<Duration>,
) -> Result<Tokens, HandlerError> {
    tokens::confirm_refresh(context.tx, token.id)?;
    tokens::delete_unused_successors(context.tx, token.id)?;
    let device = (token.user, token.device.as_str());
    issue_tokens(context, cx, device, Some(Some(token.id)), lifetime)
}

impl Handler for Refresh {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RefreshResponse, HandlerError> {
        let token = self.refresh_token.expose();
        let Some(token) = tokens::find_refresh_token(context.tx, cx.now, token)? else {
            let error = "this refresh token is not known, or was logged out";
            return Err(ApiError::unknown_token(error, false).into());
        };
        if tokens::is_oauth(context.tx, token.user, &token.device)? {
            let error = "this refresh token was issued by OAuth 2.0; refresh it there";
            return Err(ApiError::unknown_token(error, false).into());
        }
        if token.is_spent {
            let error = "this refresh token was replaced by a newer one";
            return Err(ApiError::unknown_token(error, true).into());
        }
        if token.is_expired {
            let error = "this refresh token has expired; log in again";
            return Err(ApiError::unknown_token(error, true).into());
        }
        let lifetime = context.config.access_token_lifetime;
        let tokens = refresh(context, cx, &token, lifetime)?;
        Ok(RefreshResponse {
            refresh_token: tokens.refresh,
            expires_in_ms: tokens.lifetime,
            ..RefreshResponse::new(tokens.access)
        })
    }
}

/// Deletes a device with its tokens and keys. Returns whether it existed.
pub(crate) fn delete_device(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
) -> Result<bool, HandlerError> {
    keys::delete_device_keys(context, user, device)?;
    Ok(devices::delete(context.tx, user, device)?)
}

/// Signs a device out, and notifies the homeserver that delegates to this one.
pub(crate) fn end_device(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
) -> Result<(), HandlerError> {
    if delete_device(context, user, device)? {
        let localpart = users::get(context.tx, user)?.localpart;
        delegation::enqueue_delete_device(context, &localpart, device)?;
    }
    Ok(())
}

/// Which devices of a user.
pub(crate) enum DeviceSelection<'a> {
    All,
    AllBut(&'a str),
}

/// Signs devices of a user out.
pub(crate) fn end_devices(
    context: &RequestContext<'_>,
    user: i64,
    selection: DeviceSelection<'_>,
) -> Result<(), HandlerError> {
    for device in devices::list(context.tx, user)? {
        if !matches!(selection, DeviceSelection::AllBut(kept) if kept == device.id) {
            end_device(context, user, &device.id)?;
        }
    }
    Ok(())
}

/// Ends what a user has authenticated, or is about to: a new password or a logout everywhere ends it all.
/// Only the session of this very request stays, to repeat its response.
pub(crate) fn end_uia_sessions(
    context: &RequestContext<'_>,
    user: i64,
) -> Result<(), HandlerError> {
    let current = context.finished_session.borrow();
    Ok(uia_sessions::delete_of_user(
        context.tx,
        user,
        current.as_deref(),
    )?)
}
