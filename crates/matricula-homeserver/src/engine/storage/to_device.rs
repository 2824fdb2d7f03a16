//! The tables of messages to devices, and of the transaction ids with which they were sent.

use rusqlite::{Transaction, params};

use super::stream;

/// The maximum number of transaction ids that are stored for a device; the oldest are deleted first.
const MAX_TRANSACTIONS: u32 = 10_000;

/// The length of the queue of a device: the number of its messages, and their bytes.
pub(crate) fn queue_length(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT count(*), coalesce(sum(size), 0) FROM to_device_messages
         WHERE user = ?1 AND device = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row(params![user, device], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Appends a message, as JSON, to the queue of a device.
pub(crate) fn append(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
    event: &str,
) -> rusqlite::Result<()> {
    let position = stream::next(tx)?;
    let size = event.len() as i64;
    let sql = "INSERT INTO to_device_messages (position, user, device, size, event)
         VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![position, user, device, size, event])?;
    Ok(())
}

/// Deletes the messages that were sent with a token up to this one, which the device has received.
pub(crate) fn delete_received(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
    token: i64,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM to_device_messages WHERE user = ?1 AND device = ?2 AND sent_in <= ?3";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![user, device, token])?;
    Ok(())
}

/// A queued message. `event` is JSON.
pub(crate) struct MessageRow {
    pub(crate) position: i64,
    pub(crate) event: String,
    /// The position of the first token that followed the message; none where it was not sent yet.
    pub(crate) sent_in: Option<i64>,
}

/// The oldest messages of a device, at most `max`, and at most so many bytes where there is more than one.
pub(crate) fn oldest(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
    max: u32,
    max_bytes: usize,
) -> rusqlite::Result<Vec<MessageRow>> {
    let sql = "SELECT position, event, sent_in FROM to_device_messages
         WHERE user = ?1 AND device = ?2 ORDER BY position LIMIT ?3";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![user, device, max], |row| {
        Ok(MessageRow {
            position: row.get(0)?,
            event: row.get(1)?,
            sent_in: row.get(2)?,
        })
    })?;
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let row = row?;
        bytes += row.event.len();
        if bytes > max_bytes && !messages.is_empty() {
            break;
        }
        messages.push(row);
    }
    Ok(messages)
}

/// Stores that the messages of a device up to a position were sent before this token.
pub(crate) fn set_sent(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
    up_to: i64,
    token: i64,
) -> rusqlite::Result<()> {
    let sql = "UPDATE to_device_messages SET sent_in = ?4
         WHERE user = ?1 AND device = ?2 AND position <= ?3 AND sent_in IS NULL";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![user, device, up_to, token])?;
    Ok(())
}

/// A transaction id with which a device sends messages. Application services have an empty device id.
pub(crate) struct SendTransaction<'a> {
    pub(crate) user: i64,
    pub(crate) device: &'a str,
    /// The type of the messages.
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
}

impl SendTransaction<'_> {
    /// Whether the device has used the transaction id.
    pub(crate) fn exists(&self, tx: &Transaction<'_>) -> rusqlite::Result<bool> {
        let sql = "SELECT count(*) FROM to_device_transactions
             WHERE user = ?1 AND device = ?2 AND kind = ?3 AND id = ?4";
        let mut statement = tx.prepare_cached(sql)?;
        let values = params![self.user, self.device, self.kind, self.id];
        statement.query_row(values, |row| row.get(0))
    }

    /// Stores the transaction id, which the device has not used.
    pub(crate) fn insert(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let sql = "INSERT INTO to_device_transactions (user, device, kind, id)
             VALUES (?1, ?2, ?3, ?4)";
        let values = params![self.user, self.device, self.kind, self.id];
        tx.prepare_cached(sql)?.execute(values)?;
        let sql = "DELETE FROM to_device_transactions
             WHERE user = ?1 AND device = ?2 AND position <= (
                 SELECT position FROM to_device_transactions WHERE user = ?1 AND device = ?2
                 ORDER BY position DESC LIMIT 1 OFFSET ?3
             )";
        let values = params![self.user, self.device, MAX_TRANSACTIONS];
        tx.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}
