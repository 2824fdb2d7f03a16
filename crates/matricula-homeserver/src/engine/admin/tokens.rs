//! Registration tokens: list, create, update, delete.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{json_body, require_admin};
use crate::{
    config::is_opaque,
    engine::{
        context::RequestContext,
        error::{ApiError, HandlerError},
        util::{ALPHANUMERIC, millis},
    },
};

/// The maximum number of tokens.
const MAX_TOKENS: i64 = 10_000;

/// The longest token, and the length of a generated one by default, in characters.
const MAX_LENGTH: usize = 64;
const DEFAULT_LENGTH: usize = 16;

#[derive(Default, Deserialize)]
#[serde(default)]
/// A token to be created.
struct NewToken {
    token: Option<String>,
    length: Option<usize>,
    uses_allowed: Option<u32>,
    expiry_time: Option<u64>,
}

/// Updated fields. `null` differs from a missing field.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenChange {
    #[serde(deserialize_with = "present")]
    uses_allowed: Option<Option<u32>>,
    #[serde(deserialize_with = "present")]
    expiry_time: Option<Option<u64>>,
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

const SELECT: &str = "SELECT token, uses_allowed, completed, expires_at,
     (SELECT count(*) FROM uia_sessions AS session WHERE registration_token = token
         AND user IS NULL AND session.expires_at > ?1) FROM registration_tokens";

/// A token as JSON, and whether it allows one more account.
fn read(row: &Row<'_>, now: i64) -> rusqlite::Result<(Value, bool)> {
    let token: String = row.get(0)?;
    let allowed: Option<i64> = row.get(1)?;
    let (completed, expires_at): (i64, Option<i64>) = (row.get(2)?, row.get(3)?);
    let pending: i64 = row.get(4)?;
    let is_valid = expires_at.is_none_or(|at| at > now)
        && allowed.is_none_or(|allowed| allowed > completed + pending);
    let shown = json!({ "token": token, "uses_allowed": allowed, "pending": pending,
        "completed": completed, "expiry_time": expires_at });
    Ok((shown, is_valid))
}

/// The path of all tokens, of the creation of one, and of one token.
pub(crate) const PATH: &str = "/_synapse/admin/v1/registration_tokens";
pub(crate) const NEW_PATH: &str = "/_synapse/admin/v1/registration_tokens/new";
pub(crate) const TOKEN_PATH: &str = "/_synapse/admin/v1/registration_tokens/{}";

/// Lists tokens, all or those that are (in)valid.
pub(crate) fn list(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    require_admin(context, cx.now)?;
    let wanted = match context.request.query("valid") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => {
            let error = "valid must be true or false";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
    };
    let now = millis(cx.now);
    let mut statement = context.tx.prepare(&format!("{SELECT} ORDER BY token"))?;
    let all = statement.query_map([now], |row| read(row, now))?;
    let all = all.collect::<Result<Vec<_>, _>>()?.into_iter();
    let tokens = all.filter(|(_, is_valid)| wanted.is_none_or(|it| it == *is_valid));
    let tokens: Vec<_> = tokens.map(|(shown, _)| shown).collect();
    Ok(OutgoingResponse::json(
        &json!({ "registration_tokens": tokens }),
    ))
}

/// Creates a token.
pub(crate) fn create(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    require_admin(context, cx.now)?;
    let new: NewToken = json_body(context)?;
    check_expiry(cx.now, new.expiry_time)?;
    let sql = "SELECT count(*) FROM registration_tokens";
    let count: i64 = context.tx.query_row(sql, [], |row| row.get(0))?;
    if count >= MAX_TOKENS {
        let error = "there are too many registration tokens; delete some";
        return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
    }
    let length = new.length.unwrap_or(DEFAULT_LENGTH);
    let token = match new.token {
        Some(token) if is_opaque(&token, MAX_LENGTH) => token,
        Some(_) => {
            let error = "a token must have 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
        None if (1..=MAX_LENGTH).contains(&length) => cx.entropy.text(ALPHANUMERIC, length),
        None => {
            let error = "the length of a token must be 1 to 64";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
    };
    let made = context.tx.execute(
        "INSERT INTO registration_tokens (token, uses_allowed, expires_at) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
        params![token, new.uses_allowed, stored_expiry(new.expiry_time)],
    )?;
    if made == 0 {
        let error = "this token exists already";
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
    }
    token_reply(context, cx, &token)
}

/// Returns a token.
pub(crate) fn get(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    path: &[String],
) -> Result<OutgoingResponse, HandlerError> {
    let token = &path[0];
    require_admin(context, cx.now)?;
    token_reply(context, cx, token)
}

/// Updates a token.
pub(crate) fn update(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    path: &[String],
) -> Result<OutgoingResponse, HandlerError> {
    let token = &path[0];
    require_admin(context, cx.now)?;
    let change: TokenChange = json_body(context)?;
    check_expiry(cx.now, change.expiry_time.flatten())?;
    if let Some(allowed) = change.uses_allowed {
        let sql = "UPDATE registration_tokens SET uses_allowed = ?2 WHERE token = ?1";
        context.tx.execute(sql, params![token, allowed])?;
    }
    if let Some(expiry) = change.expiry_time {
        let sql = "UPDATE registration_tokens SET expires_at = ?2 WHERE token = ?1";
        context
            .tx
            .execute(sql, params![token, stored_expiry(expiry)])?;
    }
    token_reply(context, cx, token)
}

/// Deletes a token.
pub(crate) fn delete(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    path: &[String],
) -> Result<OutgoingResponse, HandlerError> {
    let token = &path[0];
    require_admin(context, cx.now)?;
    let sql = "DELETE FROM registration_tokens WHERE token = ?1";
    match context.tx.execute(sql, [token])? {
        0 => Err(no_such_token().into()),
        _ => Ok(OutgoingResponse::json(&json!({}))),
    }
}

fn token_reply(
    context: &RequestContext<'_>,
    cx: &StepContext<'_>,
    token: &str,
) -> Result<OutgoingResponse, HandlerError> {
    let now = millis(cx.now);
    let sql = format!("{SELECT} WHERE token = ?2");
    let found = context
        .tx
        .query_row(&sql, params![now, token], |row| read(row, now))
        .optional()?;
    let (shown, _) = found.ok_or_else(no_such_token)?;
    Ok(OutgoingResponse::json(&shown))
}

fn stored_expiry(expiry: Option<u64>) -> Option<i64> {
    expiry.map(|at| i64::try_from(at).unwrap_or(i64::MAX))
}

fn check_expiry(now: Timestamp, expiry: Option<u64>) -> Result<(), ApiError> {
    if expiry.is_some_and(|at| at < now.as_millis()) {
        let error = "expiry_time is in the past";
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
    }
    Ok(())
}

fn no_such_token() -> ApiError {
    let error = "there is no such registration token";
    ApiError::new(404, ErrorCode::NotFound, error)
}
