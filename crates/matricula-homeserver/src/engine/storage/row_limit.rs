//! Row limits of tables that grow with unauthenticated requests.

use rusqlite::Transaction;

/// The maximum number of rows of a table, and which row is deleted to make room.
pub(crate) struct RowLimit {
    pub(crate) table: &'static str,
    pub(crate) max: i64,
    /// An SQL condition: the rows that may be deleted.
    pub(crate) evictable: &'static str,
    /// An SQL `ORDER BY` list: the first row is deleted.
    pub(crate) order_by: &'static str,
}

impl RowLimit {
    /// A limit at which the row that expires first is deleted.
    pub(crate) const fn oldest_first(table: &'static str, max: i64) -> Self {
        Self {
            table,
            max,
            evictable: "true",
            order_by: "expires_at",
        }
    }

    /// Makes room for one more row.
    pub(crate) fn make_room(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let Self {
            table,
            max,
            evictable,
            order_by,
        } = self;
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = tx.query_row(&sql, [], |row| row.get(0))?;
        if count >= *max {
            let sql = format!(
                "DELETE FROM {table} WHERE rowid = (SELECT rowid FROM {table}
                     WHERE {evictable} ORDER BY {order_by} LIMIT 1)"
            );
            tx.execute(&sql, [])?;
        }
        Ok(())
    }
}
