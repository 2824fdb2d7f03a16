//! The table of the identity keys of devices.

use rusqlite::{OptionalExtension, Transaction, params};

/// The keys that a device has uploaded, as JSON.
pub(crate) fn find(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT json FROM device_keys WHERE user = ?1 AND device = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row(params![user, device], |row| row.get(0));
    found.optional()
}

/// The keys of a device, with the name of the device.
pub(crate) struct DeviceKeysRow {
    pub(crate) device: String,
    pub(crate) json: String,
    pub(crate) display_name: Option<String>,
}

/// The keys of all devices of a user that have uploaded some.
pub(crate) fn list(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<Vec<DeviceKeysRow>> {
    let sql = "SELECT device, json, display_name FROM device_keys
         JOIN devices ON devices.user = device_keys.user AND devices.id = device_keys.device
         WHERE device_keys.user = ?1 ORDER BY device";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([user], |row| {
        Ok(DeviceKeysRow {
            device: row.get(0)?,
            json: row.get(1)?,
            display_name: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// Stores the keys of a device. Signatures of its former keys remain, unless those were deleted.
pub(crate) fn set(
    tx: &Transaction<'_>,
    user: i64,
    device: &str,
    json: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO device_keys (user, device, json) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET json = excluded.json";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![user, device, json])?;
    Ok(())
}

/// Deletes the keys of a device, and the signatures of and by them. Returns whether it had any.
pub(crate) fn delete(tx: &Transaction<'_>, user: i64, device: &str) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM device_keys WHERE user = ?1 AND device = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    Ok(statement.execute(params![user, device])? > 0)
}
