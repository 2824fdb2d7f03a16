//! The table of account data. Contents are JSON objects. An empty room means the account itself.

use rusqlite::{OptionalExtension, Transaction, params};

use super::stream;

/// Account data: its type and its content as JSON.
pub(crate) struct AccountDataRow {
    pub(crate) kind: String,
    pub(crate) content: String,
}

/// The content of this type.
pub(crate) fn find(
    tx: &Transaction<'_>,
    user: i64,
    room: &str,
    kind: &str,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT content FROM account_data WHERE user = ?1 AND room = ?2 AND kind = ?3";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row(params![user, room, kind], |row| row.get(0));
    found.optional()
}

/// Stores the content of this type. A room counts as changed, so that a sync of the user looks at it.
pub(crate) fn set(
    tx: &Transaction<'_>,
    user: i64,
    room: &str,
    kind: &str,
    content: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO account_data (user, room, kind, content, position)
         VALUES (?1, ?2, ?3, ?4, ?5)";
    let position = stream::next(tx)?;
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![user, room, kind, content, position])?;
    stream::set_room_changed(tx, room, position)
}

/// The rows of a user, and their contents' bytes.
pub(crate) fn usage(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT count(*), coalesce(sum(octet_length(content)), 0) FROM account_data
         WHERE user = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row([user], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// What changed after a position, in the order of the changes.
pub(crate) fn changes(
    tx: &Transaction<'_>,
    user: i64,
    room: &str,
    after: i64,
) -> rusqlite::Result<Vec<AccountDataRow>> {
    let sql = "SELECT kind, content FROM account_data
         WHERE user = ?1 AND room = ?2 AND position > ?3 ORDER BY position";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![user, room, after], |row| {
        Ok(AccountDataRow {
            kind: row.get(0)?,
            content: row.get(1)?,
        })
    })?;
    rows.collect()
}
