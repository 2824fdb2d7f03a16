//! How often one address may do something.

use std::time::Duration;

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    millis,
    refusal::{ApiError, HandlerError},
};
use crate::Limit;

/// How many addresses are remembered; beyond it the one that has recovered most is forgotten.
const MAX_BUCKETS: i64 = 10_000;

/// A limit on one kind of deed.
///
/// It is a bucket that remembers one moment only: when it would be full again (GCRA).
pub(crate) struct Bucket<'a> {
    pub(crate) kind: &'static str,
    pub(crate) limit: Option<Limit>,
    pub(crate) key: &'a str,
}

impl Bucket<'_> {
    /// Refuses if the bucket is empty; takes nothing out of it.
    pub(crate) fn check(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<(), HandlerError> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let now = micros(now);
        let room = spacing(limit).saturating_mul(i64::from(limit.burst) - 1);
        let wait = self.full_at(tx, now, limit)? - now - room;
        if wait <= 0 {
            return Ok(());
        }
        Err(ApiError::rate_limited(Duration::from_micros(wait.unsigned_abs())).into())
    }

    /// Takes one out of the bucket.
    pub(crate) fn take(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<(), HandlerError> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let now = micros(now);
        let full_at = self.full_at(tx, now, limit)?.saturating_add(spacing(limit));
        tx.execute("DELETE FROM limits WHERE full_at <= ?1", [now])?;
        tx.execute(
            "DELETE FROM limits WHERE rowid IN
                 (SELECT rowid FROM limits ORDER BY full_at DESC LIMIT -1 OFFSET ?1)",
            [MAX_BUCKETS - 1],
        )?;
        tx.execute(
            "INSERT OR REPLACE INTO limits (kind, peer, full_at) VALUES (?1, ?2, ?3)",
            params![self.kind, self.key, full_at],
        )?;
        Ok(())
    }

    /// Refuses if the bucket is empty, and else takes one out of it.
    pub(crate) fn check_and_take(
        &self,
        tx: &Transaction<'_>,
        now: Timestamp,
    ) -> Result<(), HandlerError> {
        self.check(tx, now)?;
        self.take(tx, now)
    }

    fn full_at(&self, tx: &Transaction<'_>, now: i64, limit: Limit) -> Result<i64, HandlerError> {
        let stored: Option<i64> = tx
            .query_row(
                "SELECT full_at FROM limits WHERE kind = ?1 AND peer = ?2",
                params![self.kind, self.key],
                |row| row.get(0),
            )
            .optional()?;
        let latest = now.saturating_add(spacing(limit).saturating_mul(i64::from(limit.burst)));
        match stored {
            // Only a clock set back leads here. Forgotten at once, or it would lock its address out
            // until the clock has caught up.
            Some(at) if at > latest => {
                tx.execute(
                    "UPDATE limits SET full_at = ?3 WHERE kind = ?1 AND peer = ?2",
                    params![self.kind, self.key, latest],
                )?;
                Ok(latest)
            }
            stored => Ok(stored.unwrap_or(now).max(now)),
        }
    }
}

/// Microseconds after which one more is let through.
fn spacing(limit: Limit) -> i64 {
    // Saturates: a float becomes the nearest integer there is.
    (1e6 / limit.per_second).ceil() as i64
}

fn micros(at: Timestamp) -> i64 {
    millis(at).saturating_mul(1000)
}
