//! The order of all changes that a sync reports: events, account data, receipts, keys and the like share
//! one counter, so that a sync token is one number.

use rusqlite::Transaction;

/// The position of the newest change; 0 if there was none.
pub(crate) fn newest(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    let mut statement = tx.prepare_cached("SELECT newest FROM stream")?;
    statement.query_row([], |row| row.get(0))
}

/// The position of a new change.
pub(crate) fn next(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    let sql = "UPDATE stream SET newest = newest + 1 RETURNING newest";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row([], |row| row.get(0))
}

/// Stores the position of the newest change that the members of a room see.
pub(crate) fn set_room_changed(
    tx: &Transaction<'_>,
    room: &str,
    position: i64,
) -> rusqlite::Result<()> {
    let sql = "UPDATE rooms SET changed = ?2 WHERE id = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(rusqlite::params![room, position])?;
    Ok(())
}
