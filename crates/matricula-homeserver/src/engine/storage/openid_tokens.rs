//! The table of OpenID tokens.

use std::time::Duration;

use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::row_limit::RowLimit;
use crate::engine::util::{ALPHANUMERIC, digest, millis};

/// How long a token is valid.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60 * 60);
const LIMIT: RowLimit = RowLimit {
    client: "user",
    ..RowLimit::oldest_first("openid_tokens", 5_000)
};

/// Creates a token of a user.
pub(crate) fn issue(
    cx: &mut StepContext<'_>,
    tx: &Transaction<'_>,
    user: i64,
) -> rusqlite::Result<String> {
    let sql = "DELETE FROM openid_tokens WHERE expires_at <= ?1";
    tx.execute(sql, [millis(cx.now)])?;
    LIMIT.make_room(tx)?;
    let token = format!("mto_{}", cx.entropy.text(ALPHANUMERIC, 43));
    let sql = "INSERT INTO openid_tokens (digest, user, expires_at) VALUES (?1, ?2, ?3)";
    let expires_at = millis(cx.now.plus(LIFETIME));
    tx.execute(sql, params![digest(&token), user, expires_at])?;
    Ok(token)
}

/// The user of a token that is valid.
pub(crate) fn find(
    tx: &Transaction<'_>,
    now: Timestamp,
    token: &str,
) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT user FROM openid_tokens WHERE digest = ?1 AND expires_at > ?2";
    let values = params![digest(token), millis(now)];
    tx.query_row(sql, values, |row| row.get(0)).optional()
}
