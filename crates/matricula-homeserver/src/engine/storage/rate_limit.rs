//! Rate limits: a leaky bucket per kind of request and client address or account.

use std::time::Duration;

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::{Limit, engine::util::millis};

/// The maximum number of buckets. Beyond it the fullest buckets are deleted first.
const MAX_BUCKETS: i64 = 10_000;

/// Why a bucket does not let a request through.
pub(crate) enum LimitError {
    /// The bucket is empty; the request may be repeated after this time.
    Exceeded(Duration),
    /// The database failed.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for LimitError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// The rate limit of one kind of request.
///
/// The generic cell rate algorithm (GCRA): a bucket is stored as the time at which it is full again.
pub(crate) struct Bucket<'a> {
    pub(crate) kind: &'static str,
    pub(crate) limit: Option<Limit>,
    /// The client address or the account that is limited.
    pub(crate) key: &'a str,
}

impl Bucket<'_> {
    /// Fails if the bucket is empty; takes nothing out of it.
    pub(crate) fn check(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<(), LimitError> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let now = micros(now);
        let room = spacing(limit).saturating_mul(i64::from(limit.burst) - 1);
        let wait = self.full_at(tx, now, limit)? - now - room;
        if wait <= 0 {
            return Ok(());
        }
        Err(LimitError::Exceeded(Duration::from_micros(
            wait.unsigned_abs(),
        )))
    }

    /// Takes one request out of the bucket.
    pub(crate) fn take(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<(), LimitError> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let now = micros(now);
        let full_at = self.full_at(tx, now, limit)?.saturating_add(spacing(limit));
        tx.execute("DELETE FROM rate_limits WHERE full_at <= ?1", [now])?;
        tx.execute(
            "DELETE FROM rate_limits WHERE rowid IN
                 (SELECT rowid FROM rate_limits ORDER BY full_at DESC LIMIT -1 OFFSET ?1)",
            [MAX_BUCKETS - 1],
        )?;
        tx.execute(
            "INSERT OR REPLACE INTO rate_limits (kind, key, full_at) VALUES (?1, ?2, ?3)",
            params![self.kind, self.key, full_at],
        )?;
        Ok(())
    }

    /// Takes one request out of the bucket; fails if it is empty.
    pub(crate) fn check_and_take(
        &self,
        tx: &Transaction<'_>,
        now: Timestamp,
    ) -> Result<(), LimitError> {
        self.check(tx, now)?;
        self.take(tx, now)
    }

    fn full_at(&self, tx: &Transaction<'_>, now: i64, limit: Limit) -> rusqlite::Result<i64> {
        let stored: Option<i64> = tx
            .query_row(
                "SELECT full_at FROM rate_limits WHERE kind = ?1 AND key = ?2",
                params![self.kind, self.key],
                |row| row.get(0),
            )
            .optional()?;
        let latest = now.saturating_add(spacing(limit).saturating_mul(i64::from(limit.burst)));
        match stored {
            // The clock was set back. Without the correction the bucket would stay empty until the
            // clock has caught up.
            Some(at) if at > latest => {
                tx.execute(
                    "UPDATE rate_limits SET full_at = ?3 WHERE kind = ?1 AND key = ?2",
                    params![self.kind, self.key, latest],
                )?;
                Ok(latest)
            }
            stored => Ok(stored.unwrap_or(now).max(now)),
        }
    }
}

/// Microseconds between two requests in the long run.
fn spacing(limit: Limit) -> i64 {
    // The cast saturates.
    (1e6 / limit.per_second).ceil() as i64
}

fn micros(at: Timestamp) -> i64 {
    millis(at).saturating_mul(1000)
}
