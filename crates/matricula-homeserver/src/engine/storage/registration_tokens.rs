//! The table of registration tokens.

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::engine::util::millis;

/// Whether a token allows one more account. Sessions that have used it and are not finished count.
pub(crate) fn is_valid(
    tx: &Transaction<'_>,
    now: Timestamp,
    token: &str,
) -> rusqlite::Result<bool> {
    let sql = "SELECT (expires_at IS NULL OR expires_at > ?2)
            AND (uses_allowed IS NULL OR uses_allowed > completed +
                (SELECT count(*) FROM uia_sessions AS session
                 WHERE registration_token = ?1 AND user IS NULL AND session.expires_at > ?2))
         FROM registration_tokens WHERE token = ?1";
    let valid = tx.query_row(sql, params![token, millis(now)], |row| row.get(0));
    Ok(valid.optional()?.unwrap_or(false))
}

/// Counts an account that was created with a token.
pub(crate) fn count_use(tx: &Transaction<'_>, token: Option<&str>) -> rusqlite::Result<()> {
    let sql = "UPDATE registration_tokens SET completed = completed + 1 WHERE token = ?1";
    tx.execute(sql, [token])?;
    Ok(())
}
