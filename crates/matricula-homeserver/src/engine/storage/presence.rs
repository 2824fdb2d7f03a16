//! The table of presence.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::stream;

/// A user's presence. Times are milliseconds since the Unix epoch.
#[derive(Clone)]
pub(crate) struct PresenceRow {
    pub(crate) user_id: String,
    /// `online`, `unavailable` or `offline`.
    pub(crate) state: String,
    pub(crate) status: Option<String>,
    /// Whether the server, and not a client, made the user unavailable.
    pub(crate) is_idle: bool,
    /// When the user last did something.
    pub(crate) active_at: i64,
    /// When a client of the user last asked for changes.
    pub(crate) seen_at: i64,
}

const COLUMNS: &str =
    "them.user_id, them.state, them.status, them.is_idle, them.active_at, them.seen_at";

impl PresenceRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            user_id: row.get(0)?,
            state: row.get(1)?,
            status: row.get(2)?,
            is_idle: row.get(3)?,
            active_at: row.get(4)?,
            seen_at: row.get(5)?,
        })
    }

    /// Stores the presence as a change that others see.
    pub(crate) fn save(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO presence
                 (user_id, state, status, is_idle, active_at, seen_at, position)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        tx.prepare_cached(sql)?.execute(params![
            self.user_id,
            self.state,
            self.status,
            self.is_idle,
            self.active_at,
            self.seen_at,
            stream::next(tx)?
        ])?;
        Ok(())
    }
}

/// A user's presence; none where it was never set.
pub(crate) fn find(tx: &Transaction<'_>, user_id: &str) -> rusqlite::Result<Option<PresenceRow>> {
    let sql = format!("SELECT {COLUMNS} FROM presence AS them WHERE user_id = ?1");
    let mut statement = tx.prepare_cached(&sql)?;
    let found = statement.query_row([user_id], PresenceRow::read);
    found.optional()
}

/// Stores when the user was seen and active. Others do not see that as a change.
pub(crate) fn set_times(
    tx: &Transaction<'_>,
    user_id: &str,
    active_at: i64,
    seen_at: i64,
) -> rusqlite::Result<()> {
    let sql = "UPDATE presence SET active_at = ?2, seen_at = ?3 WHERE user_id = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![user_id, active_at, seen_at])?;
    Ok(())
}

/// Stores that a user's profile changed, which others see beside the presence.
pub(crate) fn set_changed(tx: &Transaction<'_>, user_id: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE presence SET position = ?2 WHERE user_id = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![user_id, stream::next(tx)?])?;
    Ok(())
}

/// The users who were last seen, or were last active, too long ago to be what they are.
pub(crate) fn outdated(
    tx: &Transaction<'_>,
    seen_before: i64,
    active_before: i64,
) -> rusqlite::Result<Vec<PresenceRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM presence AS them WHERE state <> 'offline' AND seen_at <= ?1
         UNION SELECT {COLUMNS} FROM presence AS them WHERE state = 'online' AND active_at <= ?2"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map([seen_before, active_before], PresenceRow::read)?;
    rows.collect()
}

/// The presence that changed after a position, of the user and of those who share a room with the user; and
/// that of users who have shared a room only since then.
pub(crate) fn changes(
    tx: &Transaction<'_>,
    user_id: &str,
    after: i64,
) -> rusqlite::Result<Vec<PresenceRow>> {
    let changed = format!(
        "SELECT {COLUMNS} FROM presence AS them
             WHERE them.position > ?2 AND (them.user_id = ?1 OR EXISTS (
                 SELECT 1 FROM room_members AS theirs JOIN room_members AS mine
                     ON mine.room = theirs.room AND mine.user_id = ?1 AND mine.membership = 'join'
                 WHERE theirs.user_id = them.user_id AND theirs.membership = 'join'
             ))"
    );
    // Each begins with the newest memberships, which are few: a CROSS JOIN is done in this order.
    let newly_shared = format!(
        "SELECT {COLUMNS} FROM room_members AS theirs INDEXED BY member_changes
             CROSS JOIN room_members AS mine
                 ON mine.room = theirs.room AND mine.user_id = ?1 AND mine.membership = 'join'
             CROSS JOIN presence AS them ON them.user_id = theirs.user_id
             WHERE theirs.position > ?2 AND theirs.membership = 'join'
         UNION SELECT {COLUMNS} FROM room_members AS mine INDEXED BY member_changes
             CROSS JOIN room_members AS theirs
                 ON theirs.room = mine.room AND theirs.membership = 'join'
             CROSS JOIN presence AS them ON them.user_id = theirs.user_id
             WHERE mine.position > ?2 AND mine.user_id = ?1 AND mine.membership = 'join'"
    );
    let sql = match after {
        // All that there is was changed since then.
        0 => changed,
        _ => format!("{changed} UNION {newly_shared}"),
    };
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map(params![user_id, after], PresenceRow::read)?;
    rows.collect()
}
