//! The tables of one-time keys and fallback keys.

use rusqlite::{OptionalExtension, Transaction, params};

/// The maximum number of claimed keys of a device that are stored, so that a repeated upload does not
/// offer them again; the oldest are deleted first.
const MAX_CLAIMED: u32 = 1_000;

/// A device with an algorithm of its keys.
#[derive(Clone, Copy)]
pub(crate) struct KeyOwner<'a> {
    pub(crate) user: i64,
    pub(crate) device: &'a str,
    pub(crate) algorithm: &'a str,
}

/// A stored one-time key. `json` is a text or an object.
pub(crate) struct OneTimeKeyRow {
    pub(crate) json: String,
    pub(crate) is_claimed: bool,
}

impl KeyOwner<'_> {
    /// The one-time key with this id, claimed or not.
    pub(crate) fn find(
        self,
        tx: &Transaction<'_>,
        id: &str,
    ) -> rusqlite::Result<Option<OneTimeKeyRow>> {
        let sql = "SELECT json, is_claimed FROM one_time_keys
             WHERE user = ?1 AND device = ?2 AND algorithm = ?3 AND id = ?4";
        let mut statement = tx.prepare_cached(sql)?;
        let values = params![self.user, self.device, self.algorithm, id];
        let found = statement.query_row(values, |row| {
            Ok(OneTimeKeyRow {
                json: row.get(0)?,
                is_claimed: row.get(1)?,
            })
        });
        found.optional()
    }

    /// Stores a one-time key. A claimed key with the same id is replaced.
    pub(crate) fn insert(self, tx: &Transaction<'_>, id: &str, json: &str) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO one_time_keys (user, device, algorithm, id, json)
             VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut statement = tx.prepare_cached(sql)?;
        statement.execute(params![self.user, self.device, self.algorithm, id, json])?;
        Ok(())
    }

    /// Takes the one-time key that was uploaded first: its id and JSON.
    pub(crate) fn claim(self, tx: &Transaction<'_>) -> rusqlite::Result<Option<(String, String)>> {
        let sql = "UPDATE one_time_keys SET is_claimed = 1 WHERE position = (
                 SELECT position FROM one_time_keys
                 WHERE user = ?1 AND device = ?2 AND is_claimed = 0 AND algorithm = ?3
                 ORDER BY position LIMIT 1
             ) RETURNING id, json";
        let mut statement = tx.prepare_cached(sql)?;
        let values = params![self.user, self.device, self.algorithm];
        let claimed = statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)));
        let claimed = claimed.optional()?;
        if claimed.is_some() {
            let sql = "DELETE FROM one_time_keys
                 WHERE user = ?1 AND device = ?2 AND is_claimed = 1 AND position <= (
                     SELECT position FROM one_time_keys
                     WHERE user = ?1 AND device = ?2 AND is_claimed = 1
                     ORDER BY position DESC LIMIT 1 OFFSET ?3
                 )";
            let mut statement = tx.prepare_cached(sql)?;
            statement.execute(params![self.user, self.device, MAX_CLAIMED])?;
        }
        Ok(claimed)
    }

    /// Stores the fallback key, instead of the one before.
    pub(crate) fn set_fallback(
        self,
        tx: &Transaction<'_>,
        id: &str,
        json: &str,
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO fallback_keys (user, device, algorithm, id, json)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET id = excluded.id, json = excluded.json, is_used = 0
                 WHERE id != excluded.id OR json != excluded.json";
        let mut statement = tx.prepare_cached(sql)?;
        statement.execute(params![self.user, self.device, self.algorithm, id, json])?;
        Ok(())
    }

    /// The fallback key, which is used from now on: its id, its JSON, and whether it was used before.
    pub(crate) fn use_fallback(
        self,
        tx: &Transaction<'_>,
    ) -> rusqlite::Result<Option<(String, String, bool)>> {
        let sql = "SELECT id, json, is_used FROM fallback_keys
             WHERE user = ?1 AND device = ?2 AND algorithm = ?3";
        let mut statement = tx.prepare_cached(sql)?;
        let values = params![self.user, self.device, self.algorithm];
        let found = statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let found: Option<(String, String, bool)> = found.optional()?;
        if matches!(found, Some((_, _, false))) {
            let sql = "UPDATE fallback_keys SET is_used = 1
                 WHERE user = ?1 AND device = ?2 AND algorithm = ?3";
            tx.prepare_cached(sql)?.execute(values)?;
        }
        Ok(found)
    }
}

/// The number of one-time keys of a device that are not claimed, by algorithm.
pub(crate) fn counts(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
) -> rusqlite::Result<Vec<(String, i64)>> {
    let sql = "SELECT algorithm, count(*) FROM one_time_keys
         WHERE user = ?1 AND device = ?2 AND is_claimed = 0 GROUP BY algorithm";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![user, device], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// The algorithms of the fallback keys of a device, and whether each key was used.
pub(crate) fn fallback_algorithms(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
) -> rusqlite::Result<Vec<(String, bool)>> {
    let sql = "SELECT algorithm, is_used FROM fallback_keys
         WHERE user = ?1 AND device = ?2 ORDER BY algorithm";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![user, device], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Stores that the counts of a device changed at this position.
pub(crate) fn set_counts_changed(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
    position: i64,
) -> rusqlite::Result<()> {
    let sql = "UPDATE devices SET key_counts_changed = ?3 WHERE user = ?1 AND id = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![user, device, position])?;
    Ok(())
}

/// The position at which the counts of a device last changed; 0 where they never did.
pub(crate) fn counts_changed(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
) -> rusqlite::Result<i64> {
    let sql = "SELECT key_counts_changed FROM devices WHERE user = ?1 AND id = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row(params![user, device], |row| row.get(0));
    Ok(found.optional()?.unwrap_or(0))
}
