//! The table of what users changed in the default push rules.

use rusqlite::{OptionalExtension, Transaction, params};

use super::stream;

/// A user's changes, as JSON, and the position of the newest; none where the user changed nothing.
pub(crate) fn find(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<Option<(String, i64)>> {
    let sql = "SELECT rules, position FROM push_rules WHERE user = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row([user], |row| Ok((row.get(0)?, row.get(1)?)));
    found.optional()
}

/// Stores a user's changes.
pub(crate) fn set(
    tx: &Transaction<'_>,
    user: i64,
    user_id: &str,
    rules: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO push_rules (user, user_id, rules, position)
         VALUES (?1, ?2, ?3, ?4)";
    tx.execute(sql, params![user, user_id, rules, stream::next(tx)?])?;
    Ok(())
}
