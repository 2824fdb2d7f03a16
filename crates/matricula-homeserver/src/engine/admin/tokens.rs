//! Registration tokens, as administrators make, list, change and end them.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::{
    config::is_opaque,
    engine::{
        millis,
        refusal::{ApiError, HandlerError},
        routes::RequestContext,
        tokens::ALPHANUMERIC,
    },
};

/// How many there may be.
const MAX_TOKENS: i64 = 10_000;

/// The longest one, in characters, and the one that is made where none is asked for.
const MAX_LENGTH: usize = 64;
const USUAL_LENGTH: usize = 16;

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewToken {
    token: Option<String>,
    length: Option<usize>,
    uses_allowed: Option<u32>,
    expiry_time: Option<u64>,
}

/// What `null` says of a thing is not what its absence says.
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

/// A token as it is shown, and whether it is good for one more account.
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

impl RequestContext<'_> {
    pub(super) fn list_tokens(
        &self,
        cx: &StepContext<'_>,
    ) -> Result<OutgoingResponse, HandlerError> {
        self.require_admin(cx.now)?;
        let wanted = match self.request.query("valid") {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => {
                let error = "valid is true or false";
                return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
            }
        };
        let now = millis(cx.now);
        let mut statement = self.tx.prepare(&format!("{SELECT} ORDER BY token"))?;
        let all = statement.query_map([now], |row| read(row, now))?;
        let all = all.collect::<Result<Vec<_>, _>>()?.into_iter();
        let tokens = all.filter(|(_, is_valid)| wanted.is_none_or(|it| it == *is_valid));
        let tokens: Vec<_> = tokens.map(|(shown, _)| shown).collect();
        Ok(OutgoingResponse::json(
            &json!({ "registration_tokens": tokens }),
        ))
    }

    pub(super) fn new_token(
        &self,
        cx: &mut StepContext<'_>,
    ) -> Result<OutgoingResponse, HandlerError> {
        self.require_admin(cx.now)?;
        let new: NewToken = self.json_body()?;
        check_expiry(cx.now, new.expiry_time)?;
        let sql = "SELECT count(*) FROM registration_tokens";
        let count: i64 = self.tx.query_row(sql, [], |row| row.get(0))?;
        if count >= MAX_TOKENS {
            let error = "there are too many registration tokens; delete some";
            return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
        }
        let length = new.length.unwrap_or(USUAL_LENGTH);
        let token = match new.token {
            Some(token) if is_opaque(&token, MAX_LENGTH) => token,
            Some(_) => {
                let error = "a token has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -";
                return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
            }
            None if (1..=MAX_LENGTH).contains(&length) => cx.entropy.text(ALPHANUMERIC, length),
            None => {
                let error = "the length of a token is 1 to 64";
                return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
            }
        };
        let made = self.tx.execute(
            "INSERT INTO registration_tokens (token, uses_allowed, expires_at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
            params![token, new.uses_allowed, stored_expiry(new.expiry_time)],
        )?;
        if made == 0 {
            let error = "there is this token already";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
        self.token_reply(cx, &token)
    }

    pub(super) fn get_token(
        &self,
        cx: &StepContext<'_>,
        token: &str,
    ) -> Result<OutgoingResponse, HandlerError> {
        self.require_admin(cx.now)?;
        self.token_reply(cx, token)
    }

    pub(super) fn change_token(
        &self,
        cx: &StepContext<'_>,
        token: &str,
    ) -> Result<OutgoingResponse, HandlerError> {
        self.require_admin(cx.now)?;
        let change: TokenChange = self.json_body()?;
        check_expiry(cx.now, change.expiry_time.flatten())?;
        if let Some(allowed) = change.uses_allowed {
            let sql = "UPDATE registration_tokens SET uses_allowed = ?2 WHERE token = ?1";
            self.tx.execute(sql, params![token, allowed])?;
        }
        if let Some(expiry) = change.expiry_time {
            let sql = "UPDATE registration_tokens SET expires_at = ?2 WHERE token = ?1";
            self.tx
                .execute(sql, params![token, stored_expiry(expiry)])?;
        }
        self.token_reply(cx, token)
    }

    pub(super) fn delete_token(
        &self,
        cx: &StepContext<'_>,
        token: &str,
    ) -> Result<OutgoingResponse, HandlerError> {
        self.require_admin(cx.now)?;
        let sql = "DELETE FROM registration_tokens WHERE token = ?1";
        match self.tx.execute(sql, [token])? {
            0 => Err(no_such_token().into()),
            _ => Ok(OutgoingResponse::json(&json!({}))),
        }
    }

    fn token_reply(
        &self,
        cx: &StepContext<'_>,
        token: &str,
    ) -> Result<OutgoingResponse, HandlerError> {
        let now = millis(cx.now);
        let sql = format!("{SELECT} WHERE token = ?2");
        let found = self
            .tx
            .query_row(&sql, params![now, token], |row| read(row, now))
            .optional()?;
        let (shown, _) = found.ok_or_else(no_such_token)?;
        Ok(OutgoingResponse::json(&shown))
    }
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
