//! The table of user-interactive authentication sessions.

use std::time::Duration;

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::row_limit::RowLimit;
use crate::engine::util::{digest, millis};

/// How long a session lives. A finished session repeats its result for as long.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The session that has made the least progress is evicted first.
const LIMIT: RowLimit = RowLimit {
    table: "uia_sessions",
    max: 5_000,
    evictable: "true",
    order_by: "user IS NOT NULL, completed != '[]', expires_at",
};

/// A session. `params`, `completed`, `presented_policies` and `threepids` are JSON.
pub(crate) struct UiaSessionRow {
    pub(crate) params: String,
    pub(crate) completed: String,
    pub(crate) presented_policies: Option<String>,
    pub(crate) registration_token: Option<String>,
    pub(crate) threepids: String,
    /// The account that was created in the session.
    pub(crate) user: Option<i64>,
    /// The user whose operation the session protects.
    pub(crate) owner: Option<i64>,
    /// The method and path of that operation; none where the session registers an account.
    pub(crate) endpoint: Option<String>,
}

/// Looks up a session that has not expired.
pub(crate) fn find(
    tx: &Transaction<'_>,
    now: Timestamp,
    id: &str,
) -> rusqlite::Result<Option<UiaSessionRow>> {
    let sql = "SELECT params, completed, presented_policies, registration_token, threepids, user,
             owner, endpoint
         FROM uia_sessions WHERE digest = ?1 AND expires_at > ?2";
    tx.query_row(sql, params![digest(id), millis(now)], |row| {
        Ok(UiaSessionRow {
            params: row.get(0)?,
            completed: row.get(1)?,
            presented_policies: row.get(2)?,
            registration_token: row.get(3)?,
            threepids: row.get(4)?,
            user: row.get(5)?,
            owner: row.get(6)?,
            endpoint: row.get(7)?,
        })
    })
    .optional()
}

/// Makes room for a new session.
pub(crate) fn make_room(tx: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "DELETE FROM uia_sessions WHERE expires_at <= ?1";
    tx.execute(sql, [millis(now)])?;
    LIMIT.make_room(tx)
}

/// Creates or updates a session. Its expiry, owner and endpoint never change.
pub(crate) fn save(
    tx: &Transaction<'_>,
    now: Timestamp,
    id: &str,
    session: &UiaSessionRow,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO uia_sessions (digest, params, completed, presented_policies,
             registration_token, user, expires_at, owner, endpoint, threepids)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT DO UPDATE SET params = excluded.params, completed = excluded.completed,
             presented_policies = excluded.presented_policies,
             registration_token = excluded.registration_token, user = excluded.user,
             threepids = excluded.threepids",
        params![
            digest(id),
            session.params,
            session.completed,
            session.presented_policies,
            session.registration_token,
            session.user,
            millis(now.plus(LIFETIME)),
            session.owner,
            session.endpoint,
            session.threepids,
        ],
    )?;
    Ok(())
}
