//! The tables of access tokens and refresh tokens.

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::engine::util::{digest, is_past};

/// An access token, with the user and device that it belongs to.
pub(crate) struct AccessTokenRow {
    pub(crate) user: i64,
    pub(crate) localpart: String,
    pub(crate) device: String,
    pub(crate) is_guest: bool,
    pub(crate) is_admin: bool,
    pub(crate) is_locked: bool,
    pub(crate) is_suspended: bool,
    pub(crate) expires_at: Option<i64>,
    /// The refresh token that was issued with it.
    pub(crate) refresh_token: Option<i64>,
}

/// Looks up an access token, expired or not.
pub(crate) fn find_access_token(
    tx: &Transaction<'_>,
    token: &str,
) -> rusqlite::Result<Option<AccessTokenRow>> {
    let sql = "SELECT users.id, localpart, device, is_guest, is_admin, is_locked, is_suspended,
             expires_at, refresh_token
         FROM access_tokens JOIN users ON users.id = user WHERE digest = ?1";
    tx.query_row(sql, [digest(token)], |row| {
        Ok(AccessTokenRow {
            user: row.get(0)?,
            localpart: row.get(1)?,
            device: row.get(2)?,
            is_guest: row.get(3)?,
            is_admin: row.get(4)?,
            is_locked: row.get(5)?,
            is_suspended: row.get(6)?,
            expires_at: row.get(7)?,
            refresh_token: row.get(8)?,
        })
    })
    .optional()
}

/// Stores an access token of a device.
pub(crate) fn insert_access_token(
    tx: &Transaction<'_>,
    token: &str,
    (user, device): (i64, &str),
    refresh_token: Option<i64>,
    expires_at: Option<i64>,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO access_tokens (digest, user, device, refresh_token, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![digest(token), user, device, refresh_token, expires_at],
    )?;
    Ok(())
}

/// A refresh token of a device.
pub(crate) struct RefreshTokenRow {
    pub(crate) id: i64,
    pub(crate) user: i64,
    pub(crate) device: String,
    /// Whether its successor has been used.
    pub(crate) is_spent: bool,
    pub(crate) is_expired: bool,
}

/// Looks up a refresh token, expired or not.
pub(crate) fn find_refresh_token(
    tx: &Transaction<'_>,
    now: Timestamp,
    token: &str,
) -> rusqlite::Result<Option<RefreshTokenRow>> {
    let sql = "SELECT id, user, device, spent, expires_at FROM refresh_tokens WHERE digest = ?1";
    tx.query_row(sql, [digest(token)], |row| {
        Ok(RefreshTokenRow {
            id: row.get(0)?,
            user: row.get(1)?,
            device: row.get(2)?,
            is_spent: row.get(3)?,
            is_expired: is_past(row.get(4)?, now),
        })
    })
    .optional()
}

/// Stores a refresh token, which replaces `parent` once it is used. Returns its id.
pub(crate) fn insert_refresh_token(
    tx: &Transaction<'_>,
    token: &str,
    (user, device): (i64, &str),
    parent: Option<i64>,
    expires_at: Option<i64>,
) -> rusqlite::Result<i64> {
    tx.execute(
        "INSERT INTO refresh_tokens (digest, user, device, parent, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![digest(token), user, device, parent, expires_at],
    )?;
    Ok(tx.last_insert_rowid())
}

/// Deletes the successors of a refresh token that were never used, with their access tokens.
pub(crate) fn delete_unused_successors(
    tx: &Transaction<'_>,
    refresh_token: i64,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM refresh_tokens WHERE parent = ?1";
    tx.execute(sql, [refresh_token])?;
    Ok(())
}

/// Marks a pair of tokens as used: the pair that it replaces stops working.
pub(crate) fn confirm_refresh(tx: &Transaction<'_>, refresh_token: i64) -> rusqlite::Result<()> {
    let sql = "SELECT parent FROM refresh_tokens WHERE id = ?1";
    let parent: Option<i64> = tx.query_row(sql, [refresh_token], |row| row.get(0))?;
    let Some(parent) = parent else {
        return Ok(());
    };
    // One spent token stays for each device. It shows a client that uses it too late that its session
    // still exists.
    tx.execute(
        "DELETE FROM refresh_tokens WHERE spent AND (user, device) =
             (SELECT user, device FROM refresh_tokens WHERE id = ?1)",
        [refresh_token],
    )?;
    let sql = "DELETE FROM access_tokens WHERE refresh_token = ?1";
    tx.execute(sql, [parent])?;
    let sql = "UPDATE refresh_tokens SET spent = 1 WHERE id = ?1";
    tx.execute(sql, [parent])?;
    let sql = "UPDATE refresh_tokens SET parent = NULL WHERE id = ?1";
    tx.execute(sql, [refresh_token])?;
    Ok(())
}

/// Deletes all tokens of a device, and what is known about its OAuth 2.0 session.
pub(crate) fn delete_of_device(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
) -> rusqlite::Result<()> {
    for table in ["access_tokens", "refresh_tokens", "oauth_sessions"] {
        let sql = format!("DELETE FROM {table} WHERE user = ?1 AND device = ?2");
        tx.execute(&sql, params![user, device])?;
    }
    Ok(())
}

/// Whether the tokens of a device were issued by the OAuth 2.0 server.
pub(crate) fn is_oauth(tx: &Transaction<'_>, user: i64, device: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM oauth_sessions WHERE user = ?1 AND device = ?2";
    tx.query_row(sql, params![user, device], |row| row.get(0))
}
