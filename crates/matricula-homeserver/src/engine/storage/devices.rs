//! The table of devices.

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::engine::util::millis;

/// How old the stored time of last use may be. Most requests then need no write.
const LAST_SEEN_GRANULARITY_MILLIS: i64 = 60_000;

/// A device of a user.
pub(crate) struct DeviceRow {
    pub(crate) id: String,
    pub(crate) display_name: Option<String>,
    pub(crate) last_seen_ip: Option<String>,
    pub(crate) last_seen_at: Option<i64>,
}

const SELECT: &str = "SELECT id, display_name, last_seen_ip, last_seen_at FROM devices";

impl DeviceRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            display_name: row.get(1)?,
            last_seen_ip: row.get(2)?,
            last_seen_at: row.get(3)?,
        })
    }
}

/// All devices of a user, oldest first.
pub(crate) fn list(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<Vec<DeviceRow>> {
    let sql = format!("{SELECT} WHERE user = ?1 ORDER BY created_at, id");
    let mut statement = tx.prepare(&sql)?;
    let rows = statement.query_map([user], DeviceRow::read)?;
    rows.collect()
}

/// The newest devices of a user, or the one with this id, at most `max`.
pub(crate) fn newest(
    tx: &Transaction<'_>,
    user: i64,
    id: Option<&str>,
    max: i64,
) -> rusqlite::Result<Vec<DeviceRow>> {
    let sql = format!(
        "{SELECT} WHERE user = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY created_at DESC, id LIMIT ?3"
    );
    let mut statement = tx.prepare(&sql)?;
    let rows = statement.query_map(params![user, id, max], DeviceRow::read)?;
    rows.collect()
}

/// One device of a user.
pub(crate) fn find(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
) -> rusqlite::Result<Option<DeviceRow>> {
    let sql = format!("{SELECT} WHERE user = ?1 AND id = ?2");
    tx.query_row(&sql, params![user, device], DeviceRow::read)
        .optional()
}

/// Creates a device, unless the user has it already.
pub(crate) fn insert_if_missing(
    tx: &Transaction<'_>,
    now: Timestamp,
    user: i64,
    device: &str,
    display_name: Option<&str>,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO devices (user, id, display_name, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
        params![user, device, display_name, millis(now)],
    )?;
    Ok(())
}

/// Sets the name of a device, if one is given. Returns whether the device exists.
pub(crate) fn rename(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
    display_name: Option<&str>,
) -> rusqlite::Result<bool> {
    let changed = tx.execute(
        "UPDATE devices SET display_name = ifnull(?3, display_name) WHERE user = ?1 AND id = ?2",
        params![user, device, display_name],
    )?;
    Ok(changed > 0)
}

/// Stores when and from where a device sent a request.
pub(crate) fn touch(
    tx: &Transaction<'_>,
    now: Timestamp,
    user: i64,
    device: Option<&str>,
    peer: &str,
) -> rusqlite::Result<()> {
    let now = millis(now);
    let outdated = now - LAST_SEEN_GRANULARITY_MILLIS;
    tx.execute(
        "UPDATE devices SET last_seen_at = ?3, last_seen_ip = ?4
         WHERE user = ?1 AND id = ?2
             AND (last_seen_at IS NULL OR last_seen_ip IS NOT ?4 OR last_seen_at <= ?5)",
        params![user, device, now, peer, outdated],
    )?;
    Ok(())
}

/// Deletes a device with its tokens. Returns whether it existed.
pub(crate) fn delete(tx: &Transaction<'_>, user: i64, device: &str) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM devices WHERE user = ?1 AND id = ?2";
    Ok(tx.execute(sql, params![user, device])? > 0)
}

/// Deletes all devices of a user.
pub(crate) fn delete_all(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM devices WHERE user = ?1", [user])?;
    Ok(())
}
