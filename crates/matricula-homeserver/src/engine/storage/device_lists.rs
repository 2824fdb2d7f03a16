//! Which users' keys changed when, and who shared a room when. The columns belong to several tables.

use rusqlite::{OptionalExtension, Transaction, params};

/// Stores that the keys of a user changed at this position, which those who share a room see.
pub(crate) fn set_changed(tx: &Transaction<'_>, user: i64, position: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE users SET device_list_changed = ?2 WHERE id = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![user, position])?;
    Ok(())
}

/// The localparts of all users whose keys changed after a position.
pub(crate) fn changed(tx: &Transaction<'_>, since: i64) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT localpart FROM users WHERE device_list_changed > ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([since], |row| row.get(0))?;
    rows.collect()
}

/// The localparts of the users of whom this user alone sees a change: whose master key the user has signed,
/// and the user's own where the user-signing key changed.
pub(crate) fn changed_for(
    tx: &Transaction<'_>,
    user: i64,
    since: i64,
) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT localpart FROM users WHERE id IN (
             SELECT target FROM key_signatures WHERE signer = ?1 AND position > ?2
             UNION
             SELECT user FROM cross_signing_keys
             WHERE user = ?1 AND usage = 'user_signing' AND position > ?2
         )";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![user, since], |row| row.get(0))?;
    rows.collect()
}

/// The rooms and users of all membership events after a position. A pair can be repeated.
pub(crate) fn membership_changes(
    tx: &Transaction<'_>,
    since: i64,
) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT room, state_key FROM events INDEXED BY membership_changes
         WHERE kind = 'm.room.member' AND position > ?1 AND state_key IS NOT NULL";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([since], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Whether a user was joined to a room at a position.
pub(crate) fn was_joined(
    tx: &Transaction<'_>,
    room: &str,
    user_id: &str,
    at: i64,
) -> rusqlite::Result<bool> {
    let sql = "SELECT content ->> '$.membership' = 'join' FROM events
         WHERE room = ?1 AND kind = 'm.room.member' AND state_key = ?2 AND position <= ?3
         ORDER BY position DESC LIMIT 1";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row(params![room, user_id, at], |row| {
        row.get::<_, Option<bool>>(0)
    });
    Ok(found.optional()?.flatten().unwrap_or(false))
}

/// The users who were joined to a room at a position.
pub(crate) fn joined_at(
    tx: &Transaction<'_>,
    room: &str,
    at: i64,
) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT state_key, content ->> '$.membership' AS membership, max(position)
         FROM events INDEXED BY state_of_room
         WHERE room = ?1 AND kind = 'm.room.member' AND state_key IS NOT NULL AND position <= ?2
         GROUP BY state_key HAVING membership = 'join'";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![room, at], |row| row.get(0))?;
    rows.collect()
}

/// Whether two users are joined to the same room.
pub(crate) fn share_a_room(
    tx: &Transaction<'_>,
    user_id: &str,
    other: &str,
) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (
             SELECT 1 FROM room_members AS mine
             JOIN room_members AS other ON other.room = mine.room AND other.membership = 'join'
             WHERE mine.user_id = ?1 AND mine.membership = 'join' AND other.user_id = ?2
         )";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row([user_id, other], |row| row.get(0))
}
