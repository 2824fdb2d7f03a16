//! Registration with the shared secret of the server, which works where registration is closed, too.

use hmac::{Hmac, KeyInit, Mac};
use matricula_api::{
    ErrorCode,
    server::{OutgoingResponse, read_body},
    synapse::{GetNonceResponse, RegisterBySecret},
};
use matricula_core::{Secret, StepContext};
use sha1::Sha1;

use super::body_error;
use crate::engine::{
    account::profile::{check_display_name, set_display_name},
    auth::{
        passwords,
        register::{available_localpart, registration_response},
        uia::RegistrationParams,
    },
    context::RequestContext,
    error::{ApiError, HandlerError},
    storage::{
        one_time_tokens::REGISTRATION_NONCE,
        users::{Flag, NewUser, set_flag},
    },
};

/// The path of the endpoint.
pub(crate) const PATH: &str = "/_synapse/admin/v1/register";

fn shared_secret<'a>(context: &RequestContext<'a>) -> Result<&'a Secret, ApiError> {
    let secret = context.config.registration_shared_secret.as_ref();
    secret.ok_or_else(|| {
        let error = "this server has no shared secret for registration";
        ApiError::new(400, ErrorCode::Unknown, error)
    })
}

/// Issues a nonce.
pub(crate) fn nonce(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    shared_secret(context)?;
    let nonce = REGISTRATION_NONCE.issue(cx, context.tx, &context.request.peer, "", None)?;
    Ok(OutgoingResponse::json(&GetNonceResponse::new(nonce)))
}

/// Creates an account.
pub(crate) fn register(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let secret = shared_secret(context)?;
    let request: RegisterBySecret =
        read_body(&context.request.body).map_err(|error| body_error(&error))?;
    let redeemed = REGISTRATION_NONCE.redeem(context.tx, cx.now, "", &request.nonce)?;
    if redeemed.is_none() {
        let error = "this nonce is not known, was used or has expired; request another";
        return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
    }
    // NUL separates the signed strings.
    if request.username.contains('\0') || request.password.expose().contains('\0') {
        let error = "a username and a password must not contain NUL";
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
    }
    if !is_signed(secret, &request) {
        let error = "the mac is wrong; check the shared secret";
        return Err(ApiError::new(403, ErrorCode::Unknown, error).into());
    }
    let localpart = available_localpart(context, &request.username, None)?;
    let password = request.password.expose();
    passwords::check(&context.config.password_policy, password)?;
    if let Some(name) = &request.displayname {
        check_display_name(name)?;
    }
    let hash = passwords::hash(cx, password)?;
    let account = NewUser {
        localpart: Some(&localpart),
        password_hash: Some(&hash),
        ..NewUser::default()
    };
    let user = account.insert(context.tx, cx.now)?;
    if request.admin == Some(true) {
        set_flag(context.tx, user, Flag::Admin, true)?;
    }
    if let Some(name) = &request.displayname {
        set_display_name(context, cx, user, name)?;
    }
    let response = registration_response(context, cx, user, &RegistrationParams::default())?;
    Ok(OutgoingResponse::json(&response))
}

fn is_signed(secret: &Secret, request: &RegisterBySecret) -> bool {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()) else {
        return false;
    };
    let is_admin = request.admin == Some(true);
    let admin = if is_admin { "admin" } else { "notadmin" };
    let texts = [
        request.nonce.as_str(),
        &request.username,
        request.password.expose(),
        admin,
    ];
    mac.update(texts.join("\0").as_bytes());
    let given = from_hexadecimal(request.mac.expose());
    given.is_some_and(|given| mac.verify_slice(&given).is_ok())
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|it| it.len() == 2)?;
            let is_plain = pair.bytes().all(|it| it.is_ascii_hexdigit());
            is_plain
                .then(|| u8::from_str_radix(pair, 16).ok())
                .flatten()
        })
        .collect()
}
