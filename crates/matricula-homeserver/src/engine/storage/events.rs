//! The tables of rooms, events and transaction ids.

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};

use super::stream;
use crate::engine::util::millis;

/// The maximum number of transaction ids that are stored for a device; the oldest are deleted first.
const MAX_TRANSACTIONS: u32 = 10_000;

/// An event.
pub(crate) struct EventRow {
    /// The position in the order of all events.
    pub(crate) position: i64,
    pub(crate) id: String,
    pub(crate) room: String,
    pub(crate) kind: String,
    pub(crate) state_key: Option<String>,
    pub(crate) sender: String,
    /// JSON.
    pub(crate) content: String,
    pub(crate) sent_at: i64,
    /// The transaction id, where the reader sent the event.
    pub(crate) transaction: Option<String>,
}

/// The columns of an [`EventRow`]: of `events` and, as `mine`, of the reader's transactions.
const COLUMNS: &str = "events.position, events.id, events.room, events.kind, events.state_key,
    events.sender, events.content, events.sent_at, mine.id";

impl EventRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            position: row.get(0)?,
            id: row.get(1)?,
            room: row.get(2)?,
            kind: row.get(3)?,
            state_key: row.get(4)?,
            sender: row.get(5)?,
            content: row.get(6)?,
            sent_at: row.get(7)?,
            transaction: row.get(8)?,
        })
    }
}

/// A device that reads or sends events. Application services have an empty device id.
#[derive(Clone, Copy)]
pub(crate) struct EventDevice<'a> {
    pub(crate) user: i64,
    pub(crate) device: &'a str,
}

/// Reads for the server itself: no transaction ids.
pub(crate) const SERVER: EventDevice<'static> = EventDevice {
    user: 0,
    device: "",
};

impl EventDevice<'_> {
    /// Reads events. `condition` is what follows `WHERE`; its parameters begin at `?3`.
    pub(crate) fn query(
        self,
        tx: &Transaction<'_>,
        condition: &str,
        values: &[&dyn ToSql],
    ) -> rusqlite::Result<Vec<EventRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM events LEFT JOIN transactions AS mine
                 ON mine.event = events.position AND mine.user = ?1 AND mine.device = ?2
             WHERE {condition}"
        );
        let mut statement = tx.prepare_cached(&sql)?;
        let mut all: Vec<&dyn ToSql> = vec![&self.user, &self.device];
        all.extend(values);
        let rows = statement.query_map(&*all, EventRow::read)?;
        rows.collect()
    }

    /// Reads the state events of a room that are current just before a position and came after another.
    pub(crate) fn state_between(
        self,
        tx: &Transaction<'_>,
        room: &str,
        after: i64,
        before: i64,
    ) -> rusqlite::Result<Vec<EventRow>> {
        let condition = "events.position IN (
                SELECT max(position) FROM events
                WHERE room = ?3 AND state_key IS NOT NULL AND position > ?4 AND position < ?5
                GROUP BY kind, state_key
            ) ORDER BY events.position";
        self.query(tx, condition, &[&room, &after, &before])
    }

    /// Reads the current membership event of each user of a room.
    pub(crate) fn room_members(
        self,
        tx: &Transaction<'_>,
        room: &str,
    ) -> rusqlite::Result<Vec<EventRow>> {
        let condition = "events.position IN (
                SELECT max(position) FROM events WHERE room = ?3 AND kind = 'm.room.member'
                    AND state_key IS NOT NULL GROUP BY state_key
            ) ORDER BY events.position";
        self.query(tx, condition, &[&room])
    }

    /// Reads a user's current membership event of each room.
    pub(crate) fn memberships(
        self,
        tx: &Transaction<'_>,
        user_id: &str,
    ) -> rusqlite::Result<Vec<EventRow>> {
        let condition = "events.position IN (
                SELECT max(position) FROM events WHERE kind = 'm.room.member' AND state_key = ?3
                    GROUP BY room
            ) ORDER BY events.position";
        self.query(tx, condition, &[&user_id])
    }

    /// The id of the event that the device sent with this transaction id.
    pub(crate) fn find_transaction(
        self,
        tx: &Transaction<'_>,
        endpoint: &str,
        id: &str,
    ) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT events.id FROM transactions JOIN events ON events.position = event
             WHERE user = ?1 AND device = ?2 AND endpoint = ?3 AND transactions.id = ?4";
        let values = params![self.user, self.device, endpoint, id];
        tx.query_row(sql, values, |row| row.get(0)).optional()
    }

    /// Stores that the event at this position was sent with this transaction id.
    pub(crate) fn save_transaction(
        self,
        tx: &Transaction<'_>,
        event: i64,
        endpoint: &str,
        id: &str,
    ) -> rusqlite::Result<()> {
        tx.execute(
            "INSERT INTO transactions (event, user, device, endpoint, id) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![event, self.user, self.device, endpoint, id],
        )?;
        tx.execute(
            "DELETE FROM transactions WHERE user = ?1 AND device = ?2 AND event <= (
                 SELECT event FROM transactions WHERE user = ?1 AND device = ?2
                 ORDER BY event DESC LIMIT 1 OFFSET ?3
             )",
            params![self.user, self.device, MAX_TRANSACTIONS],
        )?;
        Ok(())
    }
}

/// The current state event of this type and key: its id and its content as JSON.
pub(crate) fn state(
    tx: &Transaction<'_>,
    room: &str,
    kind: &str,
    state_key: &str,
) -> rusqlite::Result<Option<(String, String)>> {
    let sql = "SELECT id, content FROM events
         WHERE room = ?1 AND kind = ?2 AND state_key = ?3 ORDER BY position DESC LIMIT 1";
    let values = [room, kind, state_key];
    tx.query_row(sql, values, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// An event to be stored.
pub(crate) struct NewEventRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) room: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) state_key: Option<&'a str>,
    pub(crate) sender: &'a str,
    pub(crate) content: &'a str,
}

impl NewEventRow<'_> {
    /// Appends the event and returns its position.
    pub(crate) fn insert(&self, tx: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<i64> {
        let position = stream::next(tx)?;
        let sql =
            "INSERT INTO events (position, id, room, kind, state_key, sender, content, sent_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        tx.prepare_cached(sql)?.execute(params![
            position,
            self.id,
            self.room,
            self.kind,
            self.state_key,
            self.sender,
            self.content,
            millis(now)
        ])?;
        let sql = "UPDATE rooms SET changed = ?2 WHERE id = ?1";
        tx.prepare_cached(sql)?
            .execute(params![self.room, position])?;
        Ok(position)
    }
}

/// Whether there is a room with this id.
pub(crate) fn room_exists(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM rooms WHERE id = ?1";
    tx.query_row(sql, [room], |row| row.get(0))
}

/// The number of rooms that a user has created.
pub(crate) fn count_rooms(tx: &Transaction<'_>, creator: i64) -> rusqlite::Result<u32> {
    let sql = "SELECT count(*) FROM rooms WHERE creator = ?1";
    tx.query_row(sql, [creator], |row| row.get(0))
}

/// Stores a new room.
pub(crate) fn insert_room(
    tx: &Transaction<'_>,
    now: Timestamp,
    room: &str,
    creator: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO rooms (id, creator, created_at) VALUES (?1, ?2, ?3)";
    tx.execute(sql, params![room, creator, millis(now)])?;
    Ok(())
}
