//! What a client is let in to: a device of a user, with tokens.

use std::time::Duration;

use matricula_api::oauth::{OAuthErrorCode, Scope, TokenResponse};
use matricula_core::StepContext;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{OAuthError, clients::Client};
use crate::engine::{
    Homeserver,
    refusal::HandlerError,
    routes::RequestContext,
    tokens::{DeviceParams, Tokens},
};

/// Where nothing else is configured: an access token has to be short-lived.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// In characters; [so many] are enough to be unique.
///
/// [so many]: https://spec.matrix.org/v1.19/client-server-api/#device-id-allocation
const DEVICE_ID_LENGTH: std::ops::RangeInclusive<usize> = 10..=255;

/// What of a scope is granted: the API, and one device. The rest is passed over.
pub(super) fn granted_scope(asked: &str) -> Result<Scope, OAuthError> {
    let refused = |description| Err(OAuthError::new(OAuthErrorCode::InvalidScope, description));
    let scope = Scope::from(asked.to_owned());
    if !scope.allows_api() {
        return refused("the scope does not ask for the API: urn:matrix:client:api:*");
    }
    let device = |token: &&str| Scope::from((*token).to_owned()).device_id().is_some();
    let mut devices = scope.tokens().filter(device);
    let (Some(_), None) = (devices.next(), devices.next()) else {
        return refused("the scope does not name one device: urn:matrix:client:device:…");
    };
    let id = scope.device_id().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !DEVICE_ID_LENGTH.contains(&id.len()) || !id.bytes().all(fits) {
        return refused("a device id is at least ten of the characters A-Z a-z 0-9 - . _ ~");
    }
    let known = |token: &str| {
        let token = Scope::from(token.to_owned());
        token.allows_api() || token.device_id().is_some()
    };
    let granted: Vec<_> = scope.tokens().filter(|token| known(token)).collect();
    Ok(Scope::from(granted.join(" ")))
}

/// A session as it is stored.
pub(super) struct OAuthSession {
    pub(super) user: i64,
    pub(super) device: String,
    pub(super) client: String,
    pub(super) scope: Scope,
}

impl OAuthSession {
    /// The session that a device has, if OAuth 2.0 gave it its tokens.
    pub(super) fn find(
        tx: &Transaction<'_>,
        user: i64,
        device: &str,
    ) -> Result<Option<Self>, HandlerError> {
        let row: Option<(String, String)> = tx
            .query_row(
                "SELECT client, scope FROM oauth_sessions WHERE user = ?1 AND device = ?2",
                params![user, device],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        Ok(row.map(|(client, scope)| Self {
            user,
            device: device.to_owned(),
            client,
            scope: Scope::from(scope),
        }))
    }

    /// The session that came of a code.
    pub(super) fn of_code(tx: &Transaction<'_>, code: &[u8]) -> Result<Option<Self>, HandlerError> {
        let row: Option<(i64, String)> = tx
            .query_row(
                "SELECT user, device FROM oauth_sessions WHERE code = ?1",
                [code],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        match row {
            Some((user, device)) => Self::find(tx, user, &device),
            None => Ok(None),
        }
    }

    /// Ends it: the device and its tokens are no more.
    pub(super) fn end(&self, call: &RequestContext<'_>) -> Result<(), HandlerError> {
        end_device(call, self.user, &self.device)
    }
}

/// Signs a device out, whoever signed it in.
pub(in crate::engine) fn end_device(
    call: &RequestContext<'_>,
    user: i64,
    device: &str,
) -> Result<(), HandlerError> {
    let localpart = call.localpart_of(user)?;
    let ended = call.tx.execute(
        "DELETE FROM devices WHERE user = ?1 AND id = ?2",
        params![user, device],
    )?;
    match ended {
        0 => Ok(()),
        _ => call
            .homeserver
            .enqueue_delete_device(call.tx, &localpart, device),
    }
}

/// Whether OAuth 2.0 gave this device its tokens: then only it renews them.
pub(in crate::engine) fn is_oauth(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
) -> Result<bool, HandlerError> {
    Ok(OAuthSession::find(tx, user, device)?.is_some())
}

/// Lets a client in as the device that the scope names.
pub(super) fn start(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: i64,
    client: &Client,
    scope: &Scope,
    code: Option<&[u8]>,
) -> Result<TokenResponse, HandlerError> {
    let device = scope.device_id();
    let wish = DeviceParams {
        device_id: device,
        display_name: Some(client.name()),
        refresh_token: true,
        lifetime: Some(call.homeserver.oauth_lifetime()),
    };
    let (device, tokens) = call.homeserver.sign_in(cx, call.tx, user, wish)?;
    call.tx.execute(
        "INSERT INTO oauth_sessions (user, device, client, scope, code) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![user, device, client.id, scope.as_str(), code],
    )?;
    let localpart = call.localpart_of(user)?;
    call.homeserver
        .enqueue_upsert_device(call.tx, &localpart, &device, Some(client.name()))?;
    Ok(response(tokens, scope))
}

impl Homeserver {
    pub(super) fn oauth_lifetime(&self) -> Duration {
        self.config.access_token_lifetime.unwrap_or(LIFETIME)
    }
}

pub(super) fn response(tokens: Tokens, scope: &Scope) -> TokenResponse {
    let mut response = TokenResponse::new(tokens.access, "Bearer").scope(scope.as_str().to_owned());
    response.refresh_token = tokens.refresh;
    response.expires_in = tokens.lifetime;
    response
}
