//! Tokens: [given](https://spec.matrix.org/v1.19/client-server-api/#grant-types), taken back, and
//! explained to the homeserver that delegates to this one.

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
    OAuthError,
    clients::Client,
    device, no_store_json,
    sessions::{self, OAuthSession},
};
use crate::engine::{
    entrance::Form,
    millis,
    refusal::HandlerError,
    routes::RequestContext,
    tokens::{self, RefreshToken, digest, find_requester},
};

pub(super) fn grant_error(description: &'static str) -> OAuthError {
    OAuthError::new(OAuthErrorCode::InvalidGrant, description)
}

pub(super) fn issue(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, OAuthError> {
    let form = super::form(call)?;
    let client = Client::of(call, form.value("client_id"))?;
    let grant = GrantType::from(form.value("grant_type"));
    let redeem = match &grant {
        GrantType::AuthorizationCode => redeem_code,
        GrantType::RefreshToken => refresh,
        GrantType::DeviceCode => device::redeem,
        _ => {
            let code = OAuthErrorCode::UnsupportedGrantType;
            return Err(OAuthError::new(code, "this server has no such grant"));
        }
    };
    if !client.may_use(&grant) {
        let code = OAuthErrorCode::UnauthorizedClient;
        return Err(OAuthError::new(
            code,
            "the client did not register for this grant",
        ));
    }
    let response = redeem(call, cx, &client, &form)?;
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
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    client: &Client,
    form: &Form,
) -> Result<TokenResponse, OAuthError> {
    let digest = digest(form.value("code"));
    let Some(code) = find_code(call, &digest)?.filter(|code| code.client == client.id) else {
        return Err(grant_error(
            "this code is not known, or is another client's",
        ));
    };
    if code.spent {
        // Somebody else may have it: https://datatracker.ietf.org/doc/html/rfc6749#section-4.1.2
        if let Some(session) = OAuthSession::of_code(call.tx, &digest)? {
            session.end(call)?;
        }
        return Err(grant_error(
            "this code was used before; its session is over",
        ));
    }
    if code.expires_at <= millis(cx.now) {
        return Err(grant_error("this code has expired"));
    }
    if code.redirect_uri != form.value("redirect_uri") {
        return Err(grant_error(
            "redirect_uri is not the one that the code was sent to",
        ));
    }
    if !matches_challenge(form.value("code_verifier"), &code.challenge) {
        return Err(grant_error(
            "code_verifier is not what the challenge was made of",
        ));
    }
    let sql = "UPDATE oauth_codes SET spent = 1 WHERE digest = ?1";
    call.tx.execute(sql, [&digest])?;
    let scope = Scope::from(code.scope);
    Ok(sessions::start(
        call,
        cx,
        code.user,
        client,
        &scope,
        Some(&digest),
    )?)
}

fn find_code(
    call: &RequestContext<'_>,
    digest: &[u8],
) -> Result<Option<AuthorizationCode>, HandlerError> {
    let found = call
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
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    client: &Client,
    form: &Form,
) -> Result<TokenResponse, OAuthError> {
    let found = RefreshToken::find(call.tx, cx.now, form.value("refresh_token"))?;
    let session = match &found {
        Some(token) => OAuthSession::find(call.tx, token.user, &token.device)?,
        None => None,
    };
    let (Some(token), Some(session)) = (found, session) else {
        return Err(grant_error(
            "this refresh token is not known, or was revoked",
        ));
    };
    if session.client != client.id {
        return Err(grant_error("this refresh token is another client's"));
    }
    if token.spent {
        session.end(call)?;
        return Err(grant_error(
            "this refresh token was replaced; its session is over",
        ));
    }
    if token.expired {
        return Err(grant_error("this refresh token has expired"));
    }
    let lifetime = Some(call.homeserver.oauth_lifetime());
    let tokens = token.replace(call.homeserver, cx, call.tx, lifetime)?;
    Ok(sessions::response(tokens, &session.scope))
}

/// Ends the session of a token, whichever of its two it is.
pub(super) fn revoke(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, OAuthError> {
    let form = super::form(call)?;
    let token = form.value("token");
    if token.is_empty() {
        return Err(OAuthError::new(
            OAuthErrorCode::InvalidRequest,
            "token is missing",
        ));
    }
    let of_access =
        find_requester(call.tx, cx.now, token)?.and_then(|(it, _)| Some((it.user, it.device?)));
    let device = match of_access {
        Some(device) => Some(device),
        None => RefreshToken::find(call.tx, cx.now, token)?.map(|it| (it.user, it.device)),
    };
    // Whoever it is that gives it back: a token that others have is better dead.
    if let Some((user, device)) = device
        && let Some(session) = OAuthSession::find(call.tx, user, &device)?
    {
        session.end(call)?;
    }
    Ok(no_store_json(200, &json!({})))
}

/// Tells the homeserver that delegates to this one what a token is worth.
pub(super) fn introspect(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, OAuthError> {
    let secret = call.homeserver.delegation().map(|it| &it.secret);
    if secret.is_none() || secret != call.request.access_token.as_ref() {
        let description = "only the homeserver that delegates to this server may ask";
        return Err(OAuthError::Response(
            401,
            OAuthErrorCode::InvalidClient,
            description.into(),
        ));
    }
    let form = super::form(call)?;
    let inactive = || Ok(no_store_json(200, &json!({ "active": false })));
    let token: Secret = form.value("token").into();
    let Some((bearer, refresh_id)) = find_requester(call.tx, cx.now, token.expose())? else {
        return inactive();
    };
    let device = bearer.device.unwrap_or_default();
    let Some(session) = OAuthSession::find(call.tx, bearer.user, &device)? else {
        return inactive();
    };
    if bearer.expired {
        return inactive();
    }
    if let Some(id) = refresh_id {
        tokens::confirm_refresh(call.tx, id)?;
    }
    let left = bearer.expires_at.map(|at| (at - millis(cx.now)) / 1000);
    let body = json!({
        "active": true,
        "scope": session.scope.as_str(),
        "client_id": session.client,
        "username": bearer.localpart,
        "sub": bearer.localpart,
        "device_id": device,
        "token_type": "access_token",
        "expires_in": left,
    });
    Ok(no_store_json(200, &body))
}
