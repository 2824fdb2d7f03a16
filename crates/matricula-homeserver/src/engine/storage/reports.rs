//! The table of reports.

use matricula_core::Timestamp;
use rusqlite::{Transaction, params};

use super::row_limit::RowLimit;
use crate::engine::util::millis;

/// The newest reports are stored.
const LIMIT: RowLimit = RowLimit {
    order_by: "id",
    client: "reporter",
    ..RowLimit::oldest_first("reports", 10_000)
};

/// A report of a room, of an event of a room, or of a user.
#[derive(Default)]
pub(crate) struct NewReport<'a> {
    pub(crate) reporter: &'a str,
    pub(crate) room: Option<&'a str>,
    pub(crate) event: Option<&'a str>,
    pub(crate) user_id: Option<&'a str>,
    pub(crate) reason: &'a str,
}

impl NewReport<'_> {
    /// Stores the report.
    pub(crate) fn insert(&self, tx: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
        LIMIT.make_room(tx)?;
        tx.execute(
            "INSERT INTO reports (reporter, room, event, user_id, reason, reported_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                self.reporter,
                self.room,
                self.event,
                self.user_id,
                self.reason,
                millis(now)
            ],
        )?;
        Ok(())
    }
}
