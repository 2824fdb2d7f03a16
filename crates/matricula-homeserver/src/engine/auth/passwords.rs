//! Password hashing and the password policy.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::StepContext;
use serde_json::json;

use crate::{
    PasswordCodes, PasswordPolicy,
    engine::{
        context::RequestContext,
        error::{ApiError, HandlerError},
        handler::check_text_length,
        storage::users::UserRow,
    },
};

/// One message for an unknown user and for a wrong password, so that it does not reveal which users
/// exist.
pub(crate) const WRONG_CREDENTIALS: &str = "there is no such user, or the password is wrong";

/// One pass over 4 MiB, about 3 ms. The parameters are weak on purpose: accounts are for development and
/// offline use, the file with their hashes is readable by its owner only, and tests register
/// thousands of accounts. A hash contains its parameters, so that stronger ones can follow.
fn argon2() -> Result<Argon2<'static>, HandlerError> {
    let params =
        Params::new(4096, 1, 1, None).map_err(|error| HandlerError::Internal(error.into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes a password.
pub(crate) fn hash(cx: &mut StepContext<'_>, password: &str) -> Result<String, HandlerError> {
    let mut salt = [0; 16];
    cx.entropy.fill(&mut salt);
    let hash = argon2()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| HandlerError::Internal(error.into()))?;
    Ok(hash.to_string())
}

/// Whether a password matches a stored hash. Without a hash it takes as long, so that the response time
/// does not reveal whether a user exists.
pub(crate) fn verify(
    cx: &mut StepContext<'_>,
    stored: Option<&str>,
    password: &str,
) -> Result<bool, HandlerError> {
    let Some(stored) = stored else {
        hash(cx, password)?;
        return Ok(false);
    };
    let stored = PasswordHash::new(stored).map_err(|error| HandlerError::Internal(error.into()))?;
    Ok(argon2()?
        .verify_password(password.as_bytes(), &stored)
        .is_ok())
}

/// The user, if there is one with this password.
pub(crate) fn verify_user(
    cx: &mut StepContext<'_>,
    user: Option<UserRow>,
    password: &str,
) -> Result<Option<UserRow>, HandlerError> {
    let stored = user.as_ref().and_then(|it| it.password_hash.as_deref());
    let is_right = verify(cx, stored, password)?;
    Ok(user.filter(|user| is_right && !user.is_deactivated))
}

/// The same for a login: one with the right password learns that the account is deactivated.
pub(crate) fn verify_login(
    cx: &mut StepContext<'_>,
    user: Option<UserRow>,
    password: &str,
) -> Result<UserRow, HandlerError> {
    let stored = user.as_ref().and_then(|it| it.password_hash.as_deref());
    let is_right = verify(cx, stored, password)?;
    match user.filter(|_| is_right) {
        Some(user) if user.is_deactivated => Err(ApiError::user_deactivated().into()),
        Some(user) => Ok(user),
        None => Err(ApiError::new(403, ErrorCode::Forbidden, WRONG_CREDENTIALS).into()),
    }
}

/// The path of the password policy.
pub(crate) const POLICY_PATH: &str = "/_matrix/client/r0/password_policy";

/// The policy as Synapse publishes it ([MSC2000]); empty where there are no rules.
///
/// [MSC2000]: https://github.com/matrix-org/matrix-spec-proposals/pull/2000
pub(crate) fn policy(
    context: &RequestContext<'_>,
    _: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let policy = &context.config.password_policy;
    if *policy == PasswordPolicy::default() {
        return Ok(OutgoingResponse::json(&json!({})));
    }
    Ok(OutgoingResponse::json(&json!({
        "m.minimum_length": policy.min_length,
        "m.require_digit": policy.digit,
        "m.require_symbol": policy.symbol,
        "m.require_uppercase": policy.uppercase,
        "m.require_lowercase": policy.lowercase,
    })))
}

/// Rejects a password that violates the policy.
pub(crate) fn check(policy: &PasswordPolicy, password: &str) -> Result<(), ApiError> {
    check_text_length("password", Some(password))?;
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    let (code, needed) = if password.chars().count() < policy.min_length {
        let least = policy.min_length;
        (
            ErrorCode::PasswordTooShort,
            format!("at least {least} characters"),
        )
    } else if policy.digit && !has(|it| it.is_ascii_digit()) {
        (ErrorCode::PasswordNoDigit, "a digit".to_owned())
    } else if policy.symbol && !has(|it| !it.is_alphanumeric()) {
        (ErrorCode::PasswordNoSymbol, "a symbol".to_owned())
    } else if policy.uppercase && !has(char::is_uppercase) {
        (
            ErrorCode::PasswordNoUppercase,
            "an uppercase letter".to_owned(),
        )
    } else if policy.lowercase && !has(char::is_lowercase) {
        (
            ErrorCode::PasswordNoLowercase,
            "a lowercase letter".to_owned(),
        )
    } else {
        return Ok(());
    };
    let code = match policy.codes {
        PasswordCodes::Named => code,
        PasswordCodes::Weak => ErrorCode::WeakPassword,
    };
    Err(ApiError::new(
        400,
        code,
        format!("a password needs {needed}"),
    ))
}
