//! The tables of key backups.

use rusqlite::{OptionalExtension, Row, Transaction, params};

/// A version of a user's backup. `auth_data` is JSON.
pub(crate) struct BackupRow {
    pub(crate) id: i64,
    pub(crate) version: i64,
    pub(crate) algorithm: String,
    pub(crate) auth_data: String,
    pub(crate) etag: i64,
    pub(crate) key_count: i64,
}

const SELECT: &str = "SELECT id, version, algorithm, auth_data, etag, key_count FROM key_backups";

impl BackupRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            version: row.get(1)?,
            algorithm: row.get(2)?,
            auth_data: row.get(3)?,
            etag: row.get(4)?,
            key_count: row.get(5)?,
        })
    }

    /// Stores that the keys changed: the etag, the number of the keys and their bytes.
    pub(crate) fn update(
        &mut self,
        tx: &Transaction<'_>,
        more_keys: i64,
        more_bytes: i64,
    ) -> rusqlite::Result<()> {
        let sql = "UPDATE key_backups
             SET etag = etag + 1, key_count = key_count + ?2, size = size + ?3
             WHERE id = ?1 RETURNING etag, key_count";
        let mut statement = tx.prepare_cached(sql)?;
        let values = params![self.id, more_keys, more_bytes];
        (self.etag, self.key_count) =
            statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(())
    }
}

/// A version of a user's backup.
pub(crate) fn find(
    tx: &Transaction<'_>,
    user: i64,
    version: i64,
) -> rusqlite::Result<Option<BackupRow>> {
    let sql = format!("{SELECT} WHERE user = ?1 AND version = ?2");
    let mut statement = tx.prepare_cached(&sql)?;
    let found = statement.query_row([user, version], BackupRow::read);
    found.optional()
}

/// The newest version of a user's backup.
pub(crate) fn current(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<Option<BackupRow>> {
    let sql = format!("{SELECT} WHERE user = ?1 ORDER BY version DESC LIMIT 1");
    let mut statement = tx.prepare_cached(&sql)?;
    let found = statement.query_row([user], BackupRow::read);
    found.optional()
}

/// What all backups of a user take: versions, keys, and bytes of keys.
pub(crate) fn totals(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<(i64, i64, i64)> {
    let sql = "SELECT count(*), coalesce(sum(key_count), 0), coalesce(sum(size), 0)
         FROM key_backups WHERE user = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row([user], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// Creates a version of a user's backup, and returns its number.
pub(crate) fn create(
    tx: &Transaction<'_>,
    user: i64,
    algorithm: &str,
    auth_data: &str,
) -> rusqlite::Result<i64> {
    let sql = "UPDATE users SET newest_key_backup = newest_key_backup + 1 WHERE id = ?1
         RETURNING newest_key_backup";
    let version: i64 = tx.query_row(sql, [user], |row| row.get(0))?;
    let sql = "INSERT INTO key_backups (user, version, algorithm, auth_data)
         VALUES (?1, ?2, ?3, ?4)";
    tx.execute(sql, params![user, version, algorithm, auth_data])?;
    Ok(version)
}

/// Stores new `auth_data` of a version.
pub(crate) fn set_auth_data(
    tx: &Transaction<'_>,
    backup: i64,
    auth_data: &str,
) -> rusqlite::Result<()> {
    let sql = "UPDATE key_backups SET auth_data = ?2 WHERE id = ?1";
    tx.execute(sql, params![backup, auth_data])?;
    Ok(())
}

/// Deletes a version with its keys. Returns whether the user ever had it.
pub(crate) fn delete(tx: &Transaction<'_>, user: i64, version: i64) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM key_backups WHERE user = ?1 AND version = ?2";
    tx.execute(sql, [user, version])?;
    let sql = "SELECT ?2 BETWEEN 1 AND newest_key_backup FROM users WHERE id = ?1";
    tx.query_row(sql, [user, version], |row| row.get(0))
}

/// Deletes all versions of a user's backup.
pub(crate) fn delete_all(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM key_backups WHERE user = ?1", [user])?;
    Ok(())
}

/// A key in a backup. `json` is all of it.
pub(crate) struct BackedUpKeyRow {
    pub(crate) is_verified: bool,
    pub(crate) first_message_index: i64,
    pub(crate) forwarded_count: i64,
    pub(crate) json: String,
}

/// The key of a session in a backup.
pub(crate) fn key(
    tx: &Transaction<'_>,
    backup: i64,
    room: &str,
    session: &str,
) -> rusqlite::Result<Option<BackedUpKeyRow>> {
    let sql = "SELECT is_verified, first_message_index, forwarded_count, json FROM backed_up_keys
         WHERE backup = ?1 AND room = ?2 AND session = ?3";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row(params![backup, room, session], |row| {
        Ok(BackedUpKeyRow {
            is_verified: row.get(0)?,
            first_message_index: row.get(1)?,
            forwarded_count: row.get(2)?,
            json: row.get(3)?,
        })
    });
    found.optional()
}

/// Stores the key of a session in a backup, instead of the one before.
pub(crate) fn set_key(
    tx: &Transaction<'_>,
    backup: i64,
    room: &str,
    session: &str,
    row: &BackedUpKeyRow,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO backed_up_keys (backup, room, session, is_verified,
             first_message_index, forwarded_count, json)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![
        backup,
        room,
        session,
        row.is_verified,
        row.first_message_index,
        row.forwarded_count,
        row.json
    ])?;
    Ok(())
}

/// The keys of a backup, or of one room in it: room, session and JSON.
pub(crate) fn keys(
    tx: &Transaction<'_>,
    backup: i64,
    room: Option<&str>,
) -> rusqlite::Result<Vec<(String, String, String)>> {
    let sql = "SELECT room, session, json FROM backed_up_keys
         WHERE backup = ?1 AND (?2 IS NULL OR room = ?2) ORDER BY room, session";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![backup, room], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    rows.collect()
}

/// Deletes the keys of a backup, of one room in it, or of one session. Returns the number of the deleted
/// keys and their bytes.
pub(crate) fn delete_keys(
    tx: &Transaction<'_>,
    backup: i64,
    room: Option<&str>,
    session: Option<&str>,
) -> rusqlite::Result<(i64, i64)> {
    let sql = "DELETE FROM backed_up_keys WHERE backup = ?1
             AND (?2 IS NULL OR room = ?2) AND (?3 IS NULL OR session = ?3)
         RETURNING length(CAST(json AS BLOB))";
    let mut statement = tx.prepare_cached(sql)?;
    let mut deleted = (0, 0);
    for size in statement.query_map(params![backup, room, session], |row| row.get::<_, i64>(0))? {
        deleted = (deleted.0 + 1, deleted.1 + size?);
    }
    Ok(deleted)
}
