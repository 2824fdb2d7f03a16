//! The table of stored filters. Filters are JSON.

use rusqlite::{OptionalExtension, Transaction, params};

/// The maximum number of filters of a user; the oldest are deleted first.
const MAX_FILTERS: u32 = 100;

/// The filter with this id.
pub(crate) fn find(tx: &Transaction<'_>, user: i64, id: i64) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT filter FROM filters WHERE user = ?1 AND id = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row([user, id], |row| row.get(0));
    found.optional()
}

/// Stores a filter and returns its id. The same filter has the same id.
pub(crate) fn insert(tx: &Transaction<'_>, user: i64, filter: &str) -> rusqlite::Result<i64> {
    let sql = "SELECT id FROM filters WHERE user = ?1 AND filter = ?2";
    let same = tx.query_row(sql, params![user, filter], |row| row.get(0));
    if let Some(id) = same.optional()? {
        return Ok(id);
    }
    let sql = "INSERT INTO filters (user, id, filter)
         VALUES (?1, (SELECT coalesce(max(id), 0) + 1 FROM filters WHERE user = ?1), ?2)
         RETURNING id";
    let id = tx.query_row(sql, params![user, filter], |row| row.get(0))?;
    let sql = "DELETE FROM filters WHERE user = ?1 AND id <= (
             SELECT id FROM filters WHERE user = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2
         )";
    tx.execute(sql, params![user, MAX_FILTERS])?;
    Ok(id)
}
