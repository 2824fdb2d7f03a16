//! The table of the current members of rooms.

use rusqlite::{OptionalExtension, Transaction, params};

/// Stores a user's membership of a room, which an event at this position states.
pub(crate) fn set(
    tx: &Transaction<'_>,
    room: &str,
    user_id: &str,
    membership: &str,
    position: i64,
) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO room_members (room, user_id, membership, position) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET membership = excluded.membership, position = excluded.position";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![room, user_id, membership, position])?;
    Ok(())
}

/// A user's current membership of a room; none where there never was one.
pub(crate) fn membership(
    tx: &Transaction<'_>,
    room: &str,
    user_id: &str,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT membership FROM room_members WHERE room = ?1 AND user_id = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row([room, user_id], |row| row.get(0));
    found.optional()
}

/// The ids of the users who are joined to a room.
pub(crate) fn joined(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT user_id FROM room_members WHERE room = ?1 AND membership = 'join'";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([room], |row| row.get(0))?;
    rows.collect()
}

/// The ids of the rooms that a user is joined to.
pub(crate) fn joined_rooms(tx: &Transaction<'_>, user_id: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT room FROM room_members WHERE user_id = ?1 AND membership = 'join'";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([user_id], |row| row.get(0))?;
    rows.collect()
}

/// The ids of the users who are joined to a room that this user is joined to, this user included if so.
pub(crate) fn sharing_a_room(tx: &Transaction<'_>, user_id: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT other.user_id FROM room_members AS mine
         JOIN room_members AS other ON other.room = mine.room AND other.membership = 'join'
         WHERE mine.user_id = ?1 AND mine.membership = 'join'";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([user_id], |row| row.get(0))?;
    rows.collect()
}

/// Whether a user is joined to a room.
pub(crate) fn is_joined(tx: &Transaction<'_>, room: &str, user_id: &str) -> rusqlite::Result<bool> {
    Ok(membership(tx, room, user_id)?.as_deref() == Some("join"))
}

/// Whether two users are joined to the same room.
pub(crate) fn share_a_room(
    tx: &Transaction<'_>,
    user_id: &str,
    other: &str,
) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM room_members AS mine JOIN room_members AS theirs
         ON theirs.room = mine.room AND theirs.user_id = ?2 AND theirs.membership = 'join'
         WHERE mine.user_id = ?1 AND mine.membership = 'join')";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row([user_id, other], |row| row.get(0))
}
