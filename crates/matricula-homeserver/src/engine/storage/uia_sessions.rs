//! The table of user-interactive authentication sessions.

use std::time::Duration;

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::rate_limit::LimitError;
use crate::engine::util::{digest, millis};

/// How long a session lives until it is finished.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a finished session repeats its result, for clients whose response was lost.
const REPLAY: Duration = Duration::from_secs(10 * 60);

/// The maximum number of unfinished sessions of an address, which may be a whole office.
const MAX_OF_PEER: i64 = 500;
/// A session this old makes room for another of its address. Before that, the other is rejected: a
/// person may still be confirming an address for the older one.
const MIN_AGE: Duration = Duration::from_secs(15 * 60);
/// The maximum number of unfinished sessions. Beyond it, the address that has most loses one.
const MAX_UNFINISHED: i64 = 5_000;
/// The maximum number of finished sessions. The oldest is deleted first.
const MAX_FINISHED: i64 = 2_000;

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
    /// The device of that user.
    pub(crate) device: Option<String>,
    /// The method and path of that operation; none where the session registers an account.
    pub(crate) endpoint: Option<String>,
    /// The digest of the body without `auth`: of an operation's first request, of a registration's last.
    pub(crate) body_digest: Option<Vec<u8>>,
    /// The first body of an operation, encrypted.
    pub(crate) body: Option<Vec<u8>>,
    /// The response, encrypted, once the session is finished.
    pub(crate) result: Option<Vec<u8>>,
}

/// Looks up a session that has not expired.
pub(crate) fn find(
    tx: &Transaction<'_>,
    now: Timestamp,
    id: &str,
) -> rusqlite::Result<Option<UiaSessionRow>> {
    let sql = "SELECT params, completed, presented_policies, registration_token, threepids, user,
             owner, device, endpoint, body_digest, body, result
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
            device: row.get(7)?,
            endpoint: row.get(8)?,
            body_digest: row.get(9)?,
            body: row.get(10)?,
            result: row.get(11)?,
        })
    })
    .optional()
}

/// Makes room for a new session of this address; fails where the address has its share of new ones.
pub(crate) fn make_room(
    tx: &Transaction<'_>,
    now: Timestamp,
    peer: &str,
) -> Result<(), LimitError> {
    let sql = "DELETE FROM uia_sessions WHERE expires_at <= ?1";
    tx.execute(sql, [millis(now)])?;
    let sql = "SELECT count(*) FROM uia_sessions WHERE result IS NULL AND peer = ?1";
    let of_peer: i64 = tx.query_row(sql, [peer], |row| row.get(0))?;
    if of_peer >= MAX_OF_PEER {
        let wait = delete_of_peer(tx, now, peer)?;
        return wait.map_or(Ok(()), |wait| Err(LimitError::Exceeded(wait)));
    }
    let sql = "SELECT count(*) FROM uia_sessions WHERE result IS NULL";
    let count: i64 = tx.query_row(sql, [], |row| row.get(0))?;
    if count >= MAX_UNFINISHED {
        tx.execute(
            "DELETE FROM uia_sessions WHERE rowid = (
                 SELECT rowid FROM uia_sessions WHERE result IS NULL AND peer = (
                     SELECT peer FROM uia_sessions WHERE result IS NULL
                     GROUP BY peer ORDER BY count(*) DESC LIMIT 1)
                 ORDER BY completed != '[]', expires_at LIMIT 1)",
            [],
        )?;
    }
    Ok(())
}

/// Deletes an old session of an address, one without progress first. Returns how long it takes until
/// one is old enough, if none is.
fn delete_of_peer(
    tx: &Transaction<'_>,
    now: Timestamp,
    peer: &str,
) -> rusqlite::Result<Option<Duration>> {
    let oldest_allowed = millis(now.plus(LIFETIME)) - millis_of(MIN_AGE);
    let sql = "DELETE FROM uia_sessions WHERE rowid = (
             SELECT rowid FROM uia_sessions
             WHERE result IS NULL AND peer = ?1 AND expires_at <= ?2
             ORDER BY completed != '[]', expires_at LIMIT 1)";
    if tx.execute(sql, params![peer, oldest_allowed])? > 0 {
        return Ok(None);
    }
    let sql = "SELECT min(expires_at) FROM uia_sessions WHERE result IS NULL AND peer = ?1";
    let oldest: Option<i64> = tx.query_row(sql, [peer], |row| row.get(0))?;
    let wait = oldest.unwrap_or(oldest_allowed) - oldest_allowed;
    Ok(Some(Duration::from_millis(wait.unsigned_abs())))
}

fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Creates or updates a session that is not finished. Its expiry, owner and endpoint never change.
pub(crate) fn save(
    tx: &Transaction<'_>,
    now: Timestamp,
    peer: &str,
    id: &str,
    session: &UiaSessionRow,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO uia_sessions (digest, params, completed, presented_policies,
             registration_token, user, expires_at, owner, endpoint, threepids, device, body_digest,
             body, peer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT DO UPDATE SET params = excluded.params, completed = excluded.completed,
             presented_policies = excluded.presented_policies,
             registration_token = excluded.registration_token, user = excluded.user,
             threepids = excluded.threepids, body_digest = excluded.body_digest",
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
            session.device,
            session.body_digest,
            session.body,
            peer,
        ],
    )?;
    Ok(())
}

/// Stores the result of a session. From now on it authorizes nothing, and only repeats its result.
pub(crate) fn finish(
    tx: &Transaction<'_>,
    now: Timestamp,
    id: &str,
    result: &[u8],
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM uia_sessions WHERE result IS NOT NULL AND rowid IN (
             SELECT rowid FROM uia_sessions WHERE result IS NOT NULL
             ORDER BY expires_at DESC LIMIT -1 OFFSET ?1)";
    tx.execute(sql, [MAX_FINISHED - 1])?;
    let sql = "UPDATE uia_sessions SET result = ?2, expires_at = ?3 WHERE digest = ?1";
    tx.execute(sql, params![digest(id), result, millis(now.plus(REPLAY))])?;
    Ok(())
}

/// Deletes the sessions of a user, except the one with this id.
pub(crate) fn delete_of_user(
    tx: &Transaction<'_>,
    user: i64,
    except: Option<&str>,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM uia_sessions WHERE (user = ?1 OR owner = ?1) AND digest IS NOT ?2";
    tx.execute(sql, params![user, except.map(digest)])?;
    Ok(())
}
