//! The tables of events and transaction ids.

use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};

use super::{rooms, stream};

/// The maximum number of transaction ids that are stored for a device; the oldest are deleted first.
const MAX_TRANSACTIONS: u32 = 10_000;

/// An event.
pub(crate) struct EventRow {
    /// The position in the order of all changes.
    pub(crate) position: i64,
    /// The place in the history of the room: see `place` in the schema.
    pub(crate) place: f64,
    pub(crate) id: String,
    pub(crate) room: String,
    pub(crate) kind: String,
    pub(crate) state_key: Option<String>,
    pub(crate) sender: String,
    /// JSON.
    pub(crate) content: String,
    pub(crate) sent_at: i64,
    /// The rest of the format of federation: JSON.
    pub(crate) envelope: Option<String>,
    pub(crate) depth: i64,
    /// The position of the event that redacted this one.
    pub(crate) redacted_by: Option<i64>,
    /// The transaction id, where the reader sent the event.
    pub(crate) transaction: Option<String>,
}

/// The columns of an [`EventRow`]: of `events` and, as `mine`, of the reader's transactions.
const COLUMNS: &str = "events.position, events.id, events.room, events.kind, events.state_key,
    events.sender, events.content, events.sent_at, events.envelope, events.depth, events.redacted_by,
    mine.id, events.place";

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
            envelope: row.get(8)?,
            depth: row.get(9)?,
            redacted_by: row.get(10)?,
            transaction: row.get(11)?,
            place: row.get(12)?,
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

    /// The event with this id, if it is in this room.
    pub(crate) fn find(
        self,
        tx: &Transaction<'_>,
        room: &str,
        id: &str,
    ) -> rusqlite::Result<Option<EventRow>> {
        let condition = "events.id = ?3 AND events.room = ?4";
        Ok(self.query(tx, condition, &[&id, &room])?.pop())
    }

    /// The event at this position.
    pub(crate) fn at(
        self,
        tx: &Transaction<'_>,
        position: i64,
    ) -> rusqlite::Result<Option<EventRow>> {
        Ok(self.query(tx, "events.position = ?3", &[&position])?.pop())
    }

    /// The state event of this type and key that is current just after a position.
    pub(crate) fn state(
        self,
        tx: &Transaction<'_>,
        room: &str,
        kind: &str,
        state_key: &str,
        up_to: i64,
    ) -> rusqlite::Result<Option<EventRow>> {
        let condition = "events.room = ?3 AND events.kind = ?4 AND events.state_key = ?5
             AND events.position <= ?6 ORDER BY events.position DESC LIMIT 1";
        let found = self.query(tx, condition, &[&room, &kind, &state_key, &up_to])?;
        Ok(found.into_iter().next())
    }

    /// The state events of a room that are current just after a position and came after another one.
    pub(crate) fn state_between(
        self,
        tx: &Transaction<'_>,
        room: &str,
        after: i64,
        up_to: i64,
    ) -> rusqlite::Result<Vec<EventRow>> {
        let condition = "events.position IN (
                SELECT max(position) FROM events
                WHERE room = ?3 AND state_key IS NOT NULL AND position > ?4 AND position <= ?5
                GROUP BY kind, state_key
            ) ORDER BY events.position";
        self.query(tx, condition, &[&room, &after, &up_to])
    }

    /// All state events of a type of a room that are current just after a position, one for each key.
    pub(crate) fn state_of_kind(
        self,
        tx: &Transaction<'_>,
        room: &str,
        kind: &str,
        up_to: i64,
    ) -> rusqlite::Result<Vec<EventRow>> {
        let condition = "events.position IN (
                SELECT max(position) FROM events WHERE room = ?3 AND kind = ?4
                    AND state_key IS NOT NULL AND position <= ?5 GROUP BY state_key
            ) ORDER BY events.position";
        self.query(tx, condition, &[&room, &kind, &up_to])
    }

    /// The events of a type and state key of a room, in order.
    pub(crate) fn history_of_state(
        self,
        tx: &Transaction<'_>,
        room: &str,
        kind: &str,
        state_key: &str,
    ) -> rusqlite::Result<Vec<EventRow>> {
        let condition = "events.room = ?3 AND events.kind = ?4 AND events.state_key = ?5
             ORDER BY events.position";
        self.query(tx, condition, &[&room, &kind, &state_key])
    }

    /// The newest event of a room.
    pub(crate) fn newest(
        self,
        tx: &Transaction<'_>,
        room: &str,
    ) -> rusqlite::Result<Option<EventRow>> {
        let condition = "events.room = ?3 ORDER BY events.position DESC LIMIT 1";
        Ok(self.query(tx, condition, &[&room])?.pop())
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

/// An event to be stored.
pub(crate) struct NewEventRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) room: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) state_key: Option<&'a str>,
    pub(crate) sender: &'a str,
    pub(crate) content: &'a str,
    pub(crate) sent_at: i64,
    pub(crate) envelope: &'a str,
    pub(crate) depth: i64,
    /// `rel_type` and `event_id` of `m.relates_to`.
    pub(crate) relation: Option<(&'a str, &'a str)>,
}

impl NewEventRow<'_> {
    /// Appends the event and returns its position.
    pub(crate) fn insert(&self, tx: &Transaction<'_>) -> rusqlite::Result<i64> {
        let position = stream::next(tx)?;
        let sql =
            "INSERT INTO events (position, id, room, kind, state_key, sender, content, sent_at,
                 envelope, depth, rel_type, relates_to, place)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?1)";
        tx.prepare_cached(sql)?.execute(params![
            position,
            self.id,
            self.room,
            self.kind,
            self.state_key,
            self.sender,
            self.content,
            self.sent_at,
            self.envelope,
            self.depth,
            self.relation.map(|it| it.0),
            self.relation.map(|it| it.1),
        ])?;
        rooms::set_changed(tx, self.room, position)?;
        Ok(position)
    }
}

/// Moves an event to another place in the history of its room, or hides it from /sync.
pub(crate) fn displace(
    tx: &Transaction<'_>,
    position: i64,
    place: Option<f64>,
    is_hole: bool,
) -> rusqlite::Result<()> {
    let sql = "UPDATE events SET place = coalesce(?2, place), is_hole = ?3 WHERE position = ?1";
    tx.execute(sql, params![position, place, is_hole])?;
    Ok(())
}

/// The place of the event that comes after a place in the history of a room, if there is one.
pub(crate) fn next_place(
    tx: &Transaction<'_>,
    room: &str,
    after: f64,
) -> rusqlite::Result<Option<f64>> {
    let sql = "SELECT min(place) FROM events WHERE room = ?1 AND place > ?2";
    tx.query_row(sql, params![room, after], |row| row.get(0))
}

/// Replaces the content of an event that another one redacts.
pub(crate) fn redact(
    tx: &Transaction<'_>,
    position: i64,
    content: &str,
    by: i64,
) -> rusqlite::Result<()> {
    let sql = "UPDATE events SET content = ?2, redacted_by = ?3, rel_type = NULL, relates_to = NULL
         WHERE position = ?1";
    tx.execute(sql, params![position, content, by])?;
    Ok(())
}
