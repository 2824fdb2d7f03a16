//! Row limits of tables that grow with requests.

use rusqlite::Transaction;

/// The maximum number of rows of a table, and which row is deleted to make room: one of the client that has
/// most, so that one client cannot delete the rows of others.
pub(crate) struct RowLimit {
    pub(crate) table: &'static str,
    pub(crate) max: i64,
    /// An SQL condition: the rows that may be deleted.
    pub(crate) evictable: &'static str,
    /// An SQL `ORDER BY` list: the first row of the client is deleted.
    pub(crate) order_by: &'static str,
    /// The column that names the client: a network address or a user.
    pub(crate) client: &'static str,
}

impl RowLimit {
    /// A limit for the rows of each network address, at which the row that expires first is deleted.
    pub(crate) const fn oldest_first(table: &'static str, max: i64) -> Self {
        Self {
            table,
            max,
            evictable: "true",
            order_by: "expires_at",
            client: "peer",
        }
    }

    /// Makes room for one more row.
    pub(crate) fn make_room(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let Self {
            table,
            max,
            evictable,
            order_by,
            client,
        } = self;
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = tx.query_row(&sql, [], |row| row.get(0))?;
        let sql = format!(
            "DELETE FROM {table} WHERE rowid = (SELECT rowid FROM {table}
                 WHERE {evictable} AND {client} = (SELECT {client} FROM {table} WHERE {evictable}
                     GROUP BY {client} ORDER BY count(*) DESC LIMIT 1)
                 ORDER BY {order_by} LIMIT 1)"
        );
        // Prepared in any case: a column that is missing must not show at the limit only.
        let mut delete = tx.prepare_cached(&sql)?;
        if count >= *max {
            delete.execute([])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::RowLimit;

    #[test]
    fn largest_address_loses_its_oldest_row() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        let sql = "CREATE TABLE things (peer TEXT NOT NULL, expires_at INTEGER NOT NULL)";
        tx.execute(sql, []).unwrap();
        let limit = RowLimit::oldest_first("things", 4);
        let add = |peer: &str, expires_at: i64| {
            limit.make_room(&tx).unwrap();
            let sql = "INSERT INTO things VALUES (?1, ?2)";
            tx.execute(sql, (peer, expires_at)).unwrap();
        };
        add("mine", 1);
        for expires_at in 2..20 {
            add("theirs", expires_at);
        }
        let sql = "SELECT group_concat(peer || expires_at, ' ') FROM things";
        let left: String = tx.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(left, "mine1 theirs17 theirs18 theirs19");
    }
}
