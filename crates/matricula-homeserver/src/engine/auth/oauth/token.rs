//! Tokens: [issued](https://spec.matrix.org/v1.19/client-server-api/#grant-types), revoked, and
//! introspected by the homeserver that delegates to this one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use matricula_api::{
    oauth::{CodeVerifier, GrantType, OAuthErrorCode, Scope, TokenResponse},
    server::OutgoingResponse,
};
use matricula_core::{Secret, StepContext};
use rusqlite::OptionalExtension;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    OAuthError, access_token_lifetime,
    clients::Client,
    device, grant_error, no_store_json,
    sessions::{self, OAuthSession},
    unauthorized_client,
};
use crate::engine::{
    auth::session,
    context::RequestContext,
    error::HandlerError,
    html::form::FormData,
    storage::tokens,
    util::{digest, is_past, millis},
};

/// The token endpoint.
pub(crate) fn issue(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, OAuthError> {
    let form = super::form(context)?;
    let client = Client::of(context, form.value("client_id"))?;
    let grant = GrantType::from(form.value("grant_type"));
    let redeem = match &grant {
        GrantType::AuthorizationCode => redeem_code,
        GrantType::RefreshToken => refresh,
        GrantType::DeviceCode => device::redeem,
        _ => {
            let code = OAuthErrorCode::UnsupportedGrantType;
            return Err(OAuthError::new(
                code,
                "this server does not support this grant",
            ));
        }
    };
    if !client.may_use(&grant) {
        return Err(unauthorized_client());
    }
    let response = redeem(context, cx, &client, &form)?;
    Ok(no_store_json(200, &response))
}

struct AuthorizationCode {
    client: String,
    user: i64,
    redirect_uri: String,
    challenge: String,
    scope: String,
    spent: bool,
    expires_at: i64,
}

fn redeem_code(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    client: &Client,
    form: &FormData,
) -> Result<TokenResponse, OAuthError> {
    let digest = digest(form.value("code"));
    let Some(code) = find_code(context, &digest)?.filter(|code| code.client == client.id) else {
        return Err(grant_error(
            "this code is not known, or belongs to another client",
        ));
    };
    if code.spent {
        // The code may have been stolen: https://datatracker.ietf.org/doc/html/rfc6749#section-4.1.2
        if let Some(session) = OAuthSession::of_code(context.tx, &digest)? {
            session.end(context)?;
        }
        return Err(grant_error(
            "this code was used before; its session has ended",
        ));
    }
    if code.expires_at <= millis(cx.now) {
        return Err(grant_error("this code has expired"));
    }
    if code.redirect_uri != form.value("redirect_uri") {
        return Err(grant_error(
            "redirect_uri is not the one of the authorization request",
        ));
    }
    if !matches_challenge(form.value("code_verifier"), &code.challenge) {
        return Err(grant_error(
            "code_verifier does not match the code_challenge",
        ));
    }
    let sql = "UPDATE oauth_codes SET spent = 1 WHERE digest = ?1";
    context.tx.execute(sql, [&digest])?;
    let scope = Scope::from(code.scope);
    Ok(sessions::start(
        context,
        cx,
        code.user,
        client,
        &scope,
        Some(&digest),
    )?)
}

fn find_code(
    context: &RequestContext<'_>,
    digest: &[u8],
) -> Result<Option<AuthorizationCode>, HandlerError> {
    let found = context
        .tx
        .query_row(
            "SELECT client, user, redirect_uri, challenge, scope, spent, expires_at
             FROM oauth_codes WHERE digest = ?1",
            [digest],
            |row| {
                Ok(AuthorizationCode {
                    client: row.get(0)?,
                    user: row.get(1)?,
                    redirect_uri: row.get(2)?,
                    challenge: row.get(3)?,
                    scope: row.get(4)?,
                    spent: row.get(5)?,
                    expires_at: row.get(6)?,
                })
            },
        )
        .optional()?;
    Ok(found)
}

fn matches_challenge(verifier: &str, challenge: &str) -> bool {
    let Ok(verifier) = CodeVerifier::new(verifier) else {
        return false;
    };
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose())) == challenge
}

fn refresh(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    client: &Client,
    form: &FormData,
) -> Result<TokenResponse, OAuthError> {
    let found = tokens::find_refresh_token(context.tx, cx.now, form.value("refresh_token"))?;
    let session = match &found {
        Some(token) => OAuthSession::find(context.tx, token.user, &token.device)?,
        None => None,
    };
    let (Some(token), Some(session)) = (found, session) else {
        return Err(grant_error(
            "this refresh token is not known, or was revoked",
        ));
    };
    if session.client != client.id {
        return Err(grant_error("this refresh token belongs to another client"));
    }
    // The session goes on: a client that restores a backup must not sign out the one that is in use.
    if token.is_spent {
        return Err(grant_error(
            "this refresh token was replaced by a newer one",
        ));
    }
    if token.is_expired {
        return Err(grant_error("this refresh token has expired"));
    }
    let lifetime = Some(access_token_lifetime(context.config));
    let tokens = session::refresh(context, cx, &token, lifetime)?;
    Ok(sessions::response(tokens, &session.scope))
}

/// Ends the session of an access token or a refresh token.
pub(crate) fn revoke(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, OAuthError> {
    let form = super::form(context)?;
    let token = form.value("token");
    if token.is_empty() {
        return Err(OAuthError::new(
            OAuthErrorCode::InvalidRequest,
            "token is missing",
        ));
    }
    let of_access = tokens::find_access_token(context.tx, token)?.map(|it| (it.user, it.device));
    let device = match of_access {
        Some(device) => Some(device),
        None => {
            tokens::find_refresh_token(context.tx, cx.now, token)?.map(|it| (it.user, it.device))
        }
    };
    // Without client authentication: knowing a token suffices to revoke it.
    if let Some((user, device)) = device
        && let Some(session) = OAuthSession::find(context.tx, user, &device)?
    {
        session.end(context)?;
    }
    Ok(no_store_json(200, &json!({})))
}

/// Tells the homeserver that delegates to this one whether an access token is active.
pub(crate) fn introspect(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, OAuthError> {
    let secret = context.config.delegation().map(|it| &it.secret);
    if secret.is_none() || secret != context.request.access_token.as_ref() {
        let description = "only the homeserver that delegates to this server may use this endpoint";
        return Err(OAuthError::Response(
            401,
            OAuthErrorCode::InvalidClient,
            description.into(),
        ));
    }
    let form = super::form(context)?;
    let inactive = || Ok(no_store_json(200, &json!({ "active": false })));
    let token: Secret = form.value("token").into();
    let Some(access) = tokens::find_access_token(context.tx, token.expose())? else {
        return inactive();
    };
    let Some(session) = OAuthSession::find(context.tx, access.user, &access.device)? else {
        return inactive();
    };
    if is_past(access.expires_at, cx.now) {
        return inactive();
    }
    if let Some(id) = access.refresh_token {
        tokens::confirm_refresh(context.tx, id)?;
    }
    let expires_in = access.expires_at.map(|at| (at - millis(cx.now)) / 1000);
    let body = json!({
        "active": true,
        "scope": session.scope.as_str(),
        "client_id": session.client,
        "username": access.localpart,
        "sub": access.localpart,
        "device_id": access.device,
        "token_type": "access_token",
        "expires_in": expires_in,
    });
    Ok(no_store_json(200, &body))
}
