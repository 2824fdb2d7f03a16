//! The table of unread events that notify a user.

use rusqlite::{OptionalExtension, Transaction, params};

/// The maximum number of unread events that are counted for a user in a room. The oldest are forgotten first.
const MAX_UNREAD: i64 = 10_000;
/// So many events pass between two looks at [`MAX_UNREAD`].
const TRIM_INTERVAL: i64 = 128;

/// An event that notifies a user.
pub(crate) struct NewNotification<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) room: &'a str,
    /// The position of the event.
    pub(crate) event: i64,
    /// `main` or the root of the thread.
    pub(crate) thread: &'a str,
    pub(crate) sender: &'a str,
    pub(crate) is_highlight: bool,
}

impl NewNotification<'_> {
    /// Stores that the event is unread.
    pub(crate) fn insert(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let sql = "INSERT INTO notifications (user_id, room, event, thread, sender, is_highlight)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        tx.prepare_cached(sql)?.execute(params![
            self.user_id,
            self.room,
            self.event,
            self.thread,
            self.sender,
            self.is_highlight
        ])?;
        if self.event % TRIM_INTERVAL == 0 {
            let sql = "DELETE FROM notifications WHERE user_id = ?1 AND room = ?2 AND event <= (
                     SELECT event FROM notifications WHERE user_id = ?1 AND room = ?2
                     ORDER BY event DESC LIMIT 1 OFFSET ?3
                 )";
            tx.execute(sql, params![self.user_id, self.room, MAX_UNREAD])?;
        }
        Ok(())
    }
}

/// Stores that a user has read a thread, or the whole room, up to a position.
pub(crate) fn clear(
    tx: &Transaction<'_>,
    user_id: &str,
    room: &str,
    thread: Option<&str>,
    up_to: i64,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM notifications WHERE user_id = ?1 AND room = ?2 AND event <= ?4
         AND (?3 IS NULL OR thread = ?3)";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![user_id, room, thread, up_to])?;
    Ok(())
}

/// Stores that an event notifies no one any more.
pub(crate) fn remove_event(tx: &Transaction<'_>, room: &str, event: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM notifications WHERE room = ?1 AND event = ?2
         AND user_id IN (SELECT user_id FROM room_members WHERE room = ?1)";
    tx.execute(sql, params![room, event])?;
    Ok(())
}

/// How many unread events of a sender in a thread there are.
pub(crate) struct UnreadRow {
    pub(crate) thread: String,
    pub(crate) sender: String,
    pub(crate) notifications: u64,
    pub(crate) highlights: u64,
}

/// The unread events of a user in a room, by thread and sender.
pub(crate) fn unread(
    tx: &Transaction<'_>,
    user_id: &str,
    room: &str,
) -> rusqlite::Result<Vec<UnreadRow>> {
    let sql = "SELECT thread, sender, count(*), sum(is_highlight) FROM notifications
         WHERE user_id = ?1 AND room = ?2 GROUP BY thread, sender";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([user_id, room], |row| {
        Ok(UnreadRow {
            thread: row.get(0)?,
            sender: row.get(1)?,
            notifications: row.get::<_, u32>(2)?.into(),
            highlights: row.get::<_, u32>(3)?.into(),
        })
    })?;
    rows.collect()
}

/// A member of a room.
pub(crate) struct NotifiedMember {
    pub(crate) user_id: String,
    /// What the member changed in the default push rules, as JSON.
    pub(crate) rules: Option<String>,
}

/// The members of a room, with their push rules.
pub(crate) fn members(tx: &Transaction<'_>, room: &str) -> rusqlite::Result<Vec<NotifiedMember>> {
    let sql = "SELECT member.user_id, push_rules.rules FROM room_members AS member
         LEFT JOIN push_rules ON push_rules.user_id = member.user_id
         WHERE member.room = ?1 AND member.membership = 'join'";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([room], |row| {
        Ok(NotifiedMember {
            user_id: row.get(0)?,
            rules: row.get(1)?,
        })
    })?;
    rows.collect()
}

/// The display name of a member in a room.
pub(crate) fn display_name(
    tx: &Transaction<'_>,
    room: &str,
    user_id: &str,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT content ->> '$.displayname' FROM events WHERE position = (
             SELECT position FROM room_members WHERE room = ?1 AND user_id = ?2
         ) AND json_type(content, '$.displayname') = 'text'";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row([room, user_id], |row| row.get(0));
    found.optional()
}
