//! How tables stay below their bounds.

use rusqlite::Transaction;

use super::refusal::HandlerError;

/// A table that grows with what strangers send.
pub(super) struct RowLimit {
    pub(super) table: &'static str,
    /// How many rows it has at most.
    pub(super) max: i64,
    /// Which rows may be forgotten, as SQL.
    pub(super) evictable: &'static str,
    /// Which of them goes first, as SQL.
    pub(super) order_by: &'static str,
}

impl RowLimit {
    /// Makes room for one more row.
    pub(super) fn make_room(&self, tx: &Transaction<'_>) -> Result<(), HandlerError> {
        let Self {
            table,
            max,
            evictable: may_go,
            order_by: first,
        } = self;
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = tx.query_row(&sql, [], |row| row.get(0))?;
        if count >= *max {
            let sql = format!(
                "DELETE FROM {table} WHERE rowid = (SELECT rowid FROM {table}
                     WHERE {may_go} ORDER BY {first} LIMIT 1)"
            );
            tx.execute(&sql, [])?;
        }
        Ok(())
    }
}
