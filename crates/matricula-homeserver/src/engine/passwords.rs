//! Passwords: what they must have, and how they are kept.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use matricula_api::ErrorCode;
use matricula_core::StepContext;

use serde_json::{Value, json};

use super::{
    Homeserver,
    refusal::{ApiError, HandlerError},
    tokens::bounded,
};
use crate::{PasswordCodes, PasswordPolicy};

/// 4 MiB once over, some 3 ms. That is light on purpose: accounts here are for development and
/// offline use, their hashes lie in a file that only their owner reads, and tests register
/// thousands. A hash carries its parameters, so that heavier ones can follow.
fn argon2() -> Result<Argon2<'static>, HandlerError> {
    let params =
        Params::new(4096, 1, 1, None).map_err(|error| HandlerError::Internal(error.into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The password as it is stored.
pub(crate) fn hash(cx: &mut StepContext<'_>, password: &str) -> Result<String, HandlerError> {
    let mut salt = [0; 16];
    cx.entropy.fill(&mut salt);
    let hash = argon2()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| HandlerError::Internal(error.into()))?;
    Ok(hash.to_string())
}

/// Whether the password is the one that was stored. Without a stored one it takes as long, so that
/// time does not tell whether a user exists.
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

impl Homeserver {
    /// The policy as Synapse [tells it], which is nothing where there is none.
    ///
    /// [tells it]: https://github.com/matrix-org/matrix-spec-proposals/pull/2000
    pub(super) fn password_policy(&self) -> Value {
        let policy = &self.config.password_policy;
        if *policy == PasswordPolicy::default() {
            return json!({});
        }
        json!({
            "m.minimum_length": policy.min_length,
            "m.require_digit": policy.digit,
            "m.require_symbol": policy.symbol,
            "m.require_uppercase": policy.uppercase,
            "m.require_lowercase": policy.lowercase,
        })
    }
}

/// Refuses a password that lacks something.
pub(crate) fn check(policy: &PasswordPolicy, password: &str) -> Result<(), ApiError> {
    bounded("password", Some(password))?;
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    let lack = if password.chars().count() < policy.min_length {
        let least = policy.min_length;
        (
            ErrorCode::PasswordTooShort,
            format!("{least} characters or more"),
        )
    } else if policy.digit && !has(|it| it.is_ascii_digit()) {
        (ErrorCode::PasswordNoDigit, "a digit".to_owned())
    } else if policy.symbol && !has(|it| !it.is_alphanumeric()) {
        (ErrorCode::PasswordNoSymbol, "a symbol".to_owned())
    } else if policy.uppercase && !has(char::is_uppercase) {
        (
            ErrorCode::PasswordNoUppercase,
            "a capital letter".to_owned(),
        )
    } else if policy.lowercase && !has(char::is_lowercase) {
        (ErrorCode::PasswordNoLowercase, "a small letter".to_owned())
    } else {
        return Ok(());
    };
    let (code, needed) = lack;
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
