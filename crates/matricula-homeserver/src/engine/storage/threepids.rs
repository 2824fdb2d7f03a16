//! The table of third-party identifiers: email addresses and telephone numbers of accounts.

use rusqlite::{OptionalExtension, Transaction, params};

/// A third-party identifier of an account. Times are in milliseconds.
pub(crate) struct ThreepidRow {
    pub(crate) medium: String,
    pub(crate) address: String,
    pub(crate) validated_at: i64,
    pub(crate) added_at: i64,
}

/// The user whom an identifier belongs to.
pub(crate) fn owner(
    tx: &Transaction<'_>,
    medium: &str,
    address: &str,
) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT user FROM threepids WHERE medium = ?1 AND address = ?2";
    tx.query_row(sql, [medium, address], |row| row.get(0))
        .optional()
}

/// All identifiers of a user.
pub(crate) fn list(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<Vec<ThreepidRow>> {
    let sql = "SELECT medium, address, validated_at, added_at FROM threepids
         WHERE user = ?1 ORDER BY added_at, medium, address";
    let mut statement = tx.prepare(sql)?;
    let rows = statement.query_map([user], |row| {
        Ok(ThreepidRow {
            medium: row.get(0)?,
            address: row.get(1)?,
            validated_at: row.get(2)?,
            added_at: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// The number of identifiers of a user.
pub(crate) fn count(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT count(*) FROM threepids WHERE user = ?1";
    tx.query_row(sql, [user], |row| row.get(0))
}

/// Adds an identifier to a user, or replaces it.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    user: i64,
    threepid: &ThreepidRow,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT OR REPLACE INTO threepids (medium, address, user, validated_at, added_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            threepid.medium,
            threepid.address,
            user,
            threepid.validated_at,
            threepid.added_at
        ],
    )?;
    Ok(())
}

/// Removes an identifier from a user.
pub(crate) fn delete(
    tx: &Transaction<'_>,
    user: i64,
    medium: &str,
    address: &str,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM threepids WHERE medium = ?1 AND address = ?2 AND user = ?3";
    tx.execute(sql, params![medium, address, user])?;
    Ok(())
}
