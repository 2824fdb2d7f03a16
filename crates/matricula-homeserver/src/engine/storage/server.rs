//! The table of the server itself: one row.

use rusqlite::Transaction;

/// The seed of the key that signs events, if there is one.
pub(crate) fn signing_key(tx: &Transaction<'_>) -> rusqlite::Result<Option<[u8; 32]>> {
    let mut statement = tx.prepare_cached("SELECT signing_key FROM server")?;
    statement.query_row([], |row| row.get(0))
}

/// Stores the seed of the key that signs events.
pub(crate) fn set_signing_key(tx: &Transaction<'_>, seed: &[u8; 32]) -> rusqlite::Result<()> {
    tx.execute("UPDATE server SET signing_key = ?1", [seed.as_slice()])?;
    Ok(())
}
