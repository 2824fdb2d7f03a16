//! The table of rooms.

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::engine::util::millis;

/// Stores a new room.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    now: Timestamp,
    room: &str,
    version: &str,
    creator: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO rooms (id, version, creator, created_at) VALUES (?1, ?2, ?3, ?4)";
    tx.execute(sql, params![room, version, creator, millis(now)])?;
    Ok(())
}

/// The version of a room; none if there is no such room.
pub(crate) fn version(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = tx.prepare_cached("SELECT version FROM rooms WHERE id = ?1")?;
    statement.query_row([room], |row| row.get(0)).optional()
}

/// The number of rooms that a user has created.
pub(crate) fn count_of(tx: &Transaction<'_>, creator: i64) -> rusqlite::Result<u32> {
    let sql = "SELECT count(*) FROM rooms WHERE creator = ?1";
    tx.query_row(sql, [creator], |row| row.get(0))
}

/// Stores that the members of a room see a change at this position.
pub(crate) fn set_changed(tx: &Transaction<'_>, room: &str, position: i64) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached("UPDATE rooms SET changed = ?2 WHERE id = ?1")?;
    statement.execute(params![room, position])?;
    Ok(())
}

/// Whether a room is in the directory of public rooms; none if there is no such room.
pub(crate) fn is_listed(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<Option<bool>> {
    let sql = "SELECT is_listed FROM rooms WHERE id = ?1";
    tx.query_row(sql, [room], |row| row.get(0)).optional()
}

/// Adds a room to the directory of public rooms, or removes it.
pub(crate) fn set_listed(
    tx: &Transaction<'_>,
    room: &str,
    is_listed: bool,
) -> rusqlite::Result<()> {
    let sql = "UPDATE rooms SET is_listed = ?2 WHERE id = ?1";
    tx.execute(sql, params![room, is_listed])?;
    Ok(())
}

/// The rooms of the directory with the numbers of their joined members, the largest first.
pub(crate) fn listed(tx: &Transaction<'_>) -> rusqlite::Result<Vec<(String, u32)>> {
    let mut statement = tx.prepare(
        "SELECT id, (SELECT count(*) FROM room_members WHERE room = id AND membership = 'join')
             AS members FROM rooms WHERE is_listed ORDER BY members DESC, id",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
