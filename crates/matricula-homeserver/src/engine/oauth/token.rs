//! Tokens: [given](https://spec.matrix.org/v1.19/client-server-api/#grant-types), taken back, and
//! explained to the homeserver that delegates to this one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use matricula_api::{
    oauth::{CodeVerifier, GrantType, OAuthErrorCode, Scope, TokenResponse},
    server::Reply,
};
use matricula_core::{Secret, StepContext};
use rusqlite::OptionalExtension;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Failure,
    clients::Client,
    device,
    sessions::{self, Session},
    unstored,
};
use crate::engine::{
    entrance::Form,
    millis,
    refusal::Fault,
    routes::Call,
    tokens::{self, RefreshToken, bearer_of, digest},
};

pub(super) fn grant_error(description: &'static str) -> Failure {
    Failure::new(OAuthErrorCode::InvalidGrant, description)
}

pub(super) fn issue(call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<Reply, Failure> {
    let form = super::form(call)?;
    let client = Client::of(call, form.value("client_id"))?;
    let grant = GrantType::from(form.value("grant_type"));
    let redeem = match &grant {
        GrantType::AuthorizationCode => redeem_code,
        GrantType::RefreshToken => refresh,
        GrantType::DeviceCode => device::redeem,
        _ => {
            let code = OAuthErrorCode::UnsupportedGrantType;
            return Err(Failure::new(code, "this server has no such grant"));
        }
    };
    if !client.may_use(&grant) {
        let code = OAuthErrorCode::UnauthorizedClient;
        return Err(Failure::new(
            code,
            "the client did not register for this grant",
        ));
    }
    let response = redeem(call, cx, &client, &form)?;
    Ok(unstored(200, &response))
}

struct Code {
    client: String,
    user: i64,
    redirect_uri: String,
    challenge: String,
    scope: String,
    spent: bool,
    expires_at: i64,
}

fn redeem_code(
    call: &Call<'_>,
    cx: &mut StepContext<'_>,
    client: &Client,
    form: &Form,
) -> Result<TokenResponse, Failure> {
    let digest = digest(form.value("code"));
    let Some(code) = find_code(call, &digest)?.filter(|code| code.client == client.id) else {
        return Err(grant_error(
            "this code is not known, or is another client's",
        ));
    };
    if code.spent {
        // Somebody else may have it: https://datatracker.ietf.org/doc/html/rfc6749#section-4.1.2
        if let Some(session) = Session::of_code(call.tx, &digest)? {
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
    if !fits(form.value("code_verifier"), &code.challenge) {
        return Err(grant_error(
            "code_verifier is not what the challenge was made of",
        ));
    }
    let sql = "UPDATE oauth_codes SET spent = 1 WHERE digest = ?1";
    call.tx.execute(sql, [&digest])?;
    let scope = Scope::from(code.scope);
    Ok(sessions::begin(
        call,
        cx,
        code.user,
        client,
        &scope,
        Some(&digest),
    )?)
}

fn find_code(call: &Call<'_>, digest: &[u8]) -> Result<Option<Code>, Fault> {
    let found = call
        .tx
        .query_row(
            "SELECT client, user, redirect_uri, challenge, scope, spent, expires_at
             FROM oauth_codes WHERE digest = ?1",
            [digest],
            |row| {
                Ok(Code {
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

fn fits(verifier: &str, challenge: &str) -> bool {
    let Ok(verifier) = CodeVerifier::new(verifier) else {
        return false;
    };
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose())) == challenge
}

fn refresh(
    call: &Call<'_>,
    cx: &mut StepContext<'_>,
    client: &Client,
    form: &Form,
) -> Result<TokenResponse, Failure> {
    let found = RefreshToken::find(call.tx, cx.now, form.value("refresh_token"))?;
    let session = match &found {
        Some(token) => Session::find(call.tx, token.user, &token.device)?,
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
    let lifetime = Some(call.home.oauth_lifetime());
    let tokens = token.replace(call.home, cx, call.tx, lifetime)?;
    Ok(sessions::response(tokens, &session.scope))
}

/// Ends the session of a token, whichever of its two it is.
pub(super) fn revoke(call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<Reply, Failure> {
    let form = super::form(call)?;
    let token = form.value("token");
    if token.is_empty() {
        return Err(Failure::new(
            OAuthErrorCode::InvalidRequest,
            "token is missing",
        ));
    }
    let of_access =
        bearer_of(call.tx, cx.now, token)?.and_then(|(it, _)| Some((it.user, it.device?)));
    let device = match of_access {
        Some(device) => Some(device),
        None => RefreshToken::find(call.tx, cx.now, token)?.map(|it| (it.user, it.device)),
    };
    // Whoever it is that gives it back: a token that others have is better dead.
    if let Some((user, device)) = device
        && let Some(session) = Session::find(call.tx, user, &device)?
    {
        session.end(call)?;
    }
    Ok(unstored(200, &json!({})))
}

/// Tells the homeserver that delegates to this one what a token is worth.
pub(super) fn introspect(call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<Reply, Failure> {
    let secret = call.home.delegation().map(|it| &it.secret);
    if secret.is_none() || secret != call.request.bearer.as_ref() {
        let description = "only the homeserver that delegates to this server may ask";
        return Err(Failure::Refused(
            401,
            OAuthErrorCode::InvalidClient,
            description.into(),
        ));
    }
    let form = super::form(call)?;
    let inactive = || Ok(unstored(200, &json!({ "active": false })));
    let token: Secret = form.value("token").into();
    let Some((bearer, refresh_id)) = bearer_of(call.tx, cx.now, token.expose())? else {
        return inactive();
    };
    let device = bearer.device.unwrap_or_default();
    let Some(session) = Session::find(call.tx, bearer.user, &device)? else {
        return inactive();
    };
    if bearer.expired {
        return inactive();
    }
    if let Some(id) = refresh_id {
        tokens::confirm(call.tx, id)?;
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
    Ok(unstored(200, &body))
}
