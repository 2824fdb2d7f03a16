//! The table of room aliases.

use rusqlite::{OptionalExtension, Transaction, params};

/// The room of an alias and the user who made it.
pub(crate) fn find(
    tx: &Transaction<'_>,
    alias: &str,
) -> rusqlite::Result<Option<(String, String)>> {
    let sql = "SELECT room, creator FROM aliases WHERE alias = ?1";
    let found = tx.query_row(sql, [alias], |row| Ok((row.get(0)?, row.get(1)?)));
    found.optional()
}

/// Stores an alias, unless it exists. Returns whether it was stored.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    alias: &str,
    room: &str,
    creator: &str,
) -> rusqlite::Result<bool> {
    let sql = "INSERT OR IGNORE INTO aliases (alias, room, creator) VALUES (?1, ?2, ?3)";
    Ok(tx.execute(sql, params![alias, room, creator])? == 1)
}

/// Deletes an alias.
pub(crate) fn delete(tx: &Transaction<'_>, alias: &str) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM aliases WHERE alias = ?1", [alias])?;
    Ok(())
}

/// Makes the aliases of a room those of another.
pub(crate) fn move_all(tx: &Transaction<'_>, from: &str, to: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE aliases SET room = ?2 WHERE room = ?1";
    tx.execute(sql, [from, to])?;
    Ok(())
}

/// The aliases of a room, in order.
pub(crate) fn of_room(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = tx.prepare("SELECT alias FROM aliases WHERE room = ?1 ORDER BY alias")?;
    let rows = statement.query_map([room], |row| row.get(0))?;
    rows.collect()
}

/// The number of aliases that a user made.
pub(crate) fn count_of(tx: &Transaction<'_>, creator: &str) -> rusqlite::Result<u32> {
    let sql = "SELECT count(*) FROM aliases WHERE creator = ?1";
    tx.query_row(sql, [creator], |row| row.get(0))
}
