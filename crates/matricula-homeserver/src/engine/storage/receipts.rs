//! The table of receipts: up to which event a user has read a room or a thread.

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::stream;
use crate::engine::util::millis;

/// The maximum number of receipts of a user in a room, of each type. Those of the oldest events are deleted
/// first.
const MAX_THREADS: u32 = 1_000;
/// The maximum number of receipts that are read at once. The newest are read.
const MAX_CHANGES: u32 = 10_000;

/// A receipt.
pub(crate) struct ReceiptRow {
    pub(crate) user_id: String,
    /// `m.read` or `m.read.private`.
    pub(crate) kind: String,
    /// Empty for the whole room, `main`, or the root of a thread.
    pub(crate) thread: String,
    /// The event that was read.
    pub(crate) event: String,
    pub(crate) sent_at: i64,
}

/// A receipt to be stored.
pub(crate) struct NewReceipt<'a> {
    pub(crate) room: &'a str,
    pub(crate) user_id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) thread: &'a str,
    pub(crate) event: &'a str,
    /// The position of that event.
    pub(crate) event_position: i64,
}

impl NewReceipt<'_> {
    /// Stores the receipt, unless there is one of the same event or of a later one. Returns whether it did.
    pub(crate) fn insert(&self, tx: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<bool> {
        let sql = "SELECT event_position FROM receipts
             WHERE room = ?1 AND user_id = ?2 AND kind = ?3 AND thread = ?4";
        let key = params![self.room, self.user_id, self.kind, self.thread];
        let mut statement = tx.prepare_cached(sql)?;
        let known: Option<i64> = statement.query_row(key, |row| row.get(0)).optional()?;
        if known >= Some(self.event_position) {
            return Ok(false);
        }
        let sql = "INSERT OR REPLACE INTO receipts
                 (room, user_id, kind, thread, event, event_position, sent_at, position)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let position = stream::next(tx)?;
        tx.prepare_cached(sql)?.execute(params![
            self.room,
            self.user_id,
            self.kind,
            self.thread,
            self.event,
            self.event_position,
            millis(now),
            position
        ])?;
        stream::set_room_changed(tx, self.room, position)?;
        if known.is_none() {
            let sql = "DELETE FROM receipts WHERE room = ?1 AND user_id = ?2 AND kind = ?3
                 AND event_position <= (
                     SELECT event_position FROM receipts
                     WHERE room = ?1 AND user_id = ?2 AND kind = ?3
                     ORDER BY event_position DESC LIMIT 1 OFFSET ?4
                 )";
            let values = params![self.room, self.user_id, self.kind, MAX_THREADS];
            tx.prepare_cached(sql)?.execute(values)?;
        }
        Ok(true)
    }
}

/// Whether a user read something of a room after a position.
pub(crate) fn has_read_since(
    tx: &Transaction<'_>,
    room: &str,
    user_id: &str,
    after: i64,
) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM receipts
         WHERE room = ?1 AND position > ?3 AND user_id = ?2)";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row(params![room, user_id, after], |row| row.get(0))
}

/// The receipts that changed after a position and that this user may see: the private ones of others are
/// left out.
pub(crate) fn changes(
    tx: &Transaction<'_>,
    room: &str,
    reader: &str,
    after: i64,
) -> rusqlite::Result<Vec<ReceiptRow>> {
    let sql = "SELECT user_id, kind, thread, event, sent_at FROM receipts
         WHERE room = ?1 AND position > ?2 AND (kind = 'm.read' OR user_id = ?3)
         ORDER BY position DESC LIMIT ?4";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![room, after, reader, MAX_CHANGES], |row| {
        Ok(ReceiptRow {
            user_id: row.get(0)?,
            kind: row.get(1)?,
            thread: row.get(2)?,
            event: row.get(3)?,
            sent_at: row.get(4)?,
        })
    })?;
    rows.collect()
}
