//! Tokens that sign in once: [`m.login.token`].
//!
//! [`m.login.token`]: https://spec.matrix.org/v1.19/client-server-api/#token-based

use std::time::Duration;

use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    bounds::RowLimit,
    millis,
    refusal::HandlerError,
    tokens::{ALPHANUMERIC, digest},
};

/// How long a token may take from the browser to the client and back.
const LIFETIME: Duration = Duration::from_secs(2 * 60);

/// Tokens under way: the oldest is forgotten first.
const BOUND: RowLimit = RowLimit {
    table: "login_tokens",
    max: 5_000,
    evictable: "true",
    order_by: "expires_at",
};

/// A new token for this user.
pub(super) fn issue(
    cx: &mut StepContext<'_>,
    tx: &Transaction<'_>,
    user: i64,
) -> Result<String, HandlerError> {
    tx.execute(
        "DELETE FROM login_tokens WHERE expires_at <= ?1",
        [millis(cx.now)],
    )?;
    BOUND.make_room(tx)?;
    let token = format!("mtl_{}", cx.entropy.text(ALPHANUMERIC, 43));
    tx.execute(
        "INSERT INTO login_tokens (digest, user, expires_at) VALUES (?1, ?2, ?3)",
        params![digest(&token), user, millis(cx.now.plus(LIFETIME))],
    )?;
    Ok(token)
}

/// Whom a token signs in. It is spent.
pub(super) fn redeem(
    tx: &Transaction<'_>,
    now: Timestamp,
    token: &str,
) -> Result<Option<i64>, HandlerError> {
    let user = tx
        .query_row(
            "DELETE FROM login_tokens WHERE digest = ?1 AND expires_at > ?2 RETURNING user",
            params![digest(token), millis(now)],
            |row| row.get(0),
        )
        .optional()?;
    Ok(user)
}
