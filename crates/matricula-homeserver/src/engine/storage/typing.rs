//! The table of who is typing.

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::stream;
use crate::engine::util::millis;

/// Stores that a user is typing. Returns whether that is a change.
pub(crate) fn start(
    tx: &Transaction<'_>,
    room: &str,
    user_id: &str,
    expires_at: Timestamp,
) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM typing WHERE room = ?1 AND user_id = ?2";
    let was_typing: bool = tx.query_row(sql, [room, user_id], |row| row.get(0))?;
    let sql = "INSERT OR REPLACE INTO typing (room, user_id, expires_at) VALUES (?1, ?2, ?3)";
    tx.execute(sql, params![room, user_id, millis(expires_at)])?;
    if !was_typing {
        set_changed(tx, room)?;
    }
    Ok(!was_typing)
}

/// Stores that a user is not typing any more. Returns whether that is a change.
pub(crate) fn stop(tx: &Transaction<'_>, room: &str, user_id: &str) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM typing WHERE room = ?1 AND user_id = ?2";
    let was_typing = tx.prepare_cached(sql)?.execute([room, user_id])? > 0;
    if was_typing {
        set_changed(tx, room)?;
    }
    Ok(was_typing)
}

/// Ends what has expired, and what would expire later than is possible: the clock was set back. Returns the
/// rooms in which that is a change.
pub(crate) fn expire(
    tx: &Transaction<'_>,
    now: Timestamp,
    latest: Timestamp,
) -> rusqlite::Result<Vec<String>> {
    let sql = "DELETE FROM typing WHERE expires_at <= ?1 OR expires_at > ?2 RETURNING room";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([millis(now), millis(latest)], |row| row.get(0))?;
    let mut rooms = rows.collect::<rusqlite::Result<Vec<String>>>()?;
    rooms.sort();
    rooms.dedup();
    for room in &rooms {
        set_changed(tx, room)?;
    }
    Ok(rooms)
}

/// When the first notification of the user's rooms expires, in milliseconds since the Unix epoch.
pub(crate) fn next_expiry(tx: &Transaction<'_>, user_id: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT min(typing.expires_at) FROM typing CROSS JOIN room_members AS mine
             ON mine.room = typing.room AND mine.user_id = ?1 AND mine.membership = 'join'";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row([user_id], |row| row.get(0))
}

/// The position of the newest change of who is typing in a room.
pub(crate) fn changed(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<i64> {
    let sql = "SELECT typing_changed FROM rooms WHERE id = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row([room], |row| row.get(0));
    Ok(found.optional()?.unwrap_or(0))
}

/// The ids of the users who are typing in a room.
pub(crate) fn users(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT user_id FROM typing WHERE room = ?1 ORDER BY user_id";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([room], |row| row.get(0))?;
    rows.collect()
}

fn set_changed(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<()> {
    let position = stream::next(tx)?;
    let sql = "UPDATE rooms SET typing_changed = ?2 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute(params![room, position])?;
    stream::set_room_changed(tx, room, position)
}
