//! OAuth 2.0 sessions: devices whose tokens were issued to a client.

use matricula_api::oauth::{OAuthErrorCode, Scope, TokenResponse};
use matricula_core::StepContext;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{OAuthError, access_token_lifetime, clients::Client};
use crate::engine::{
    auth::session::{DeviceParams, Tokens, end_device, sign_in},
    context::RequestContext,
    error::HandlerError,
    outbox::delegation,
    storage::users,
};

/// The [length of a device id](https://spec.matrix.org/v1.19/client-server-api/#device-id-allocation), in characters.
const DEVICE_ID_LENGTH: std::ops::RangeInclusive<usize> = 10..=255;

/// The granted part of a scope: the API, one device, and `openid`, which clients of OpenID Connect ask for.
/// Other tokens are ignored.
pub(super) fn granted_scope(asked: &str) -> Result<Scope, OAuthError> {
    let refused = |description| Err(OAuthError::new(OAuthErrorCode::InvalidScope, description));
    let scope = Scope::from(asked.to_owned());
    if !scope.allows_api() {
        return refused("the scope must contain urn:matrix:client:api:*");
    }
    let device = |token: &&str| Scope::from((*token).to_owned()).device_id().is_some();
    let mut devices = scope.tokens().filter(device);
    let (Some(_), None) = (devices.next(), devices.next()) else {
        return refused("the scope must name one device: urn:matrix:client:device:…");
    };
    let id = scope.device_id().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !DEVICE_ID_LENGTH.contains(&id.len()) || !id.bytes().all(fits) {
        return refused("a device id must have at least ten of the characters A-Z a-z 0-9 - . _ ~");
    }
    let known = |token: &str| {
        let scope = Scope::from(token.to_owned());
        scope.allows_api() || scope.device_id().is_some() || token == "openid"
    };
    let granted: Vec<_> = scope.tokens().filter(|token| known(token)).collect();
    Ok(Scope::from(granted.join(" ")))
}

/// A session.
pub(super) struct OAuthSession {
    pub(super) user: i64,
    pub(super) device: String,
    pub(super) client: String,
    pub(super) scope: Scope,
}

impl OAuthSession {
    /// The session of a device, if its tokens were issued by OAuth 2.0.
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

    /// The session that a code has started.
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

    /// Ends the session: deletes the device and its tokens.
    pub(super) fn end(&self, context: &RequestContext<'_>) -> Result<(), HandlerError> {
        end_device(context, self.user, &self.device)
    }
}

/// Signs a client in as the device in the scope.
pub(super) fn start(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: i64,
    client: &Client,
    scope: &Scope,
    code: Option<&[u8]>,
) -> Result<TokenResponse, HandlerError> {
    let device = scope.device_id();
    let params = DeviceParams {
        device_id: device,
        display_name: Some(client.name()),
        refresh_token: true,
        lifetime: Some(access_token_lifetime(context.config)),
    };
    let (device, tokens) = sign_in(context, cx, user, params)?;
    context.tx.execute(
        "INSERT INTO oauth_sessions (user, device, client, scope, code) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![user, device, client.id, scope.as_str(), code],
    )?;
    let localpart = users::get(context.tx, user)?.localpart;
    delegation::enqueue_upsert_device(context, &localpart, &device, Some(client.name()))?;
    Ok(response(tokens, scope))
}

/// The response with new tokens.
pub(super) fn response(tokens: Tokens, scope: &Scope) -> TokenResponse {
    let mut response = TokenResponse::new(tokens.access)
        .token_type("Bearer")
        .scope(scope.as_str().to_owned());
    response.refresh_token = tokens.refresh;
    response.expires_in = tokens.lifetime;
    response
}
