//! The table of profile fields. Values are JSON.

use rusqlite::{Transaction, params};

/// The fields of a user's profile: name and value.
pub(crate) fn fields(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT name, value FROM profile_fields WHERE user = ?1";
    let mut statement = tx.prepare(sql)?;
    let rows = statement.query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Sets a field.
pub(crate) fn set(
    tx: &Transaction<'_>,
    user: i64,
    name: &str,
    value: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO profile_fields (user, name, value) VALUES (?1, ?2, ?3)";
    tx.execute(sql, params![user, name, value])?;
    Ok(())
}

/// Deletes a field, if it is there.
pub(crate) fn delete(tx: &Transaction<'_>, user: i64, name: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM profile_fields WHERE user = ?1 AND name = ?2";
    tx.execute(sql, params![user, name])?;
    Ok(())
}

/// Deletes a whole profile.
pub(crate) fn delete_all(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM profile_fields WHERE user = ?1", [user])?;
    Ok(())
}
