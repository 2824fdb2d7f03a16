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
         ON CONFLICT DO UPDATE SET membership = excluded.membership, position = excluded.position,
             is_forgotten = 0";
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

/// Stores that a user who left a room wants to see no more of it.
pub(crate) fn forget(tx: &Transaction<'_>, room: &str, user_id: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE room_members SET is_forgotten = 1 WHERE room = ?1 AND user_id = ?2";
    tx.execute(sql, [room, user_id])?;
    Ok(())
}

/// Whether a user who left a room wants to see no more of it.
pub(crate) fn is_forgotten(
    tx: &Transaction<'_>,
    room: &str,
    user_id: &str,
) -> rusqlite::Result<bool> {
    let sql = "SELECT is_forgotten FROM room_members WHERE room = ?1 AND user_id = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row([room, user_id], |row| row.get(0));
    Ok(found.optional()?.unwrap_or(false))
}

/// A user's membership of one room.
pub(crate) struct RoomOfMember {
    pub(crate) room: String,
    pub(crate) membership: String,
    /// The position of its event.
    pub(crate) position: i64,
}

/// The rooms that a user is or was a member of and that have changes for the user after a position:
/// joined rooms with any change, others with a change of the membership.
pub(crate) fn changed_rooms(
    tx: &Transaction<'_>,
    user_id: &str,
    since: i64,
) -> rusqlite::Result<Vec<RoomOfMember>> {
    let sql = "SELECT room, membership, position FROM room_members JOIN rooms ON rooms.id = room
         WHERE user_id = ?1 AND NOT is_forgotten
             AND (position > ?2 OR (membership = 'join' AND rooms.changed > ?2))
         ORDER BY position";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![user_id, since], |row| {
        Ok(RoomOfMember {
            room: row.get(0)?,
            membership: row.get(1)?,
            position: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// The numbers of joined and of invited users of a room.
pub(crate) fn counts(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<(u32, u32)> {
    let sql =
        "SELECT coalesce(sum(membership = 'join'), 0), coalesce(sum(membership = 'invite'), 0)
         FROM room_members WHERE room = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row([room], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The first users of a room, without one, by the order of their memberships: those who are joined or
/// invited, or where there are none, those who were.
pub(crate) fn heroes(
    tx: &Transaction<'_>,
    room: &str,
    without: &str,
    max: u32,
) -> rusqlite::Result<Vec<String>> {
    for memberships in ["('join', 'invite')", "('leave', 'ban')"] {
        let sql = format!(
            "SELECT user_id FROM room_members WHERE room = ?1 AND user_id <> ?2
                 AND membership IN {memberships} ORDER BY position LIMIT ?3"
        );
        let mut statement = tx.prepare_cached(&sql)?;
        let rows = statement.query_map(params![room, without, max], |row| row.get(0))?;
        let found = rows.collect::<rusqlite::Result<Vec<String>>>()?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
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
