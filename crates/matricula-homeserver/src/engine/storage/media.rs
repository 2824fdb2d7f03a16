//! The table of media: uploaded files and pending uploads.

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::engine::util::millis;

/// A file, or a pending upload.
pub(crate) struct MediaRow {
    pub(crate) id: String,
    pub(crate) uploader: i64,
    /// The deadline of a pending upload.
    pub(crate) expires_at: Option<i64>,
    /// Absent while the upload is pending.
    pub(crate) content: Option<MediaContent>,
}

/// What is known about an uploaded file.
pub(crate) struct MediaContent {
    /// The name of the file on disk.
    pub(crate) file: String,
    /// In bytes.
    pub(crate) length: u64,
    pub(crate) content_type: String,
    /// The name that the uploader gave.
    pub(crate) file_name: Option<String>,
}

impl MediaRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let content = match row.get(3)? {
            Some(file) => Some(MediaContent {
                file,
                length: row.get::<_, i64>(4)?.unsigned_abs(),
                content_type: row.get(5)?,
                file_name: row.get(6)?,
            }),
            None => None,
        };
        Ok(Self {
            id: row.get(0)?,
            uploader: row.get(1)?,
            expires_at: row.get(2)?,
            content,
        })
    }

    /// Whether the deadline of a pending upload has passed.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at <= millis(now))
    }
}

/// The file or pending upload with this id.
pub(crate) fn find(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<MediaRow>> {
    let sql = "SELECT id, uploader, expires_at, file, length, content_type, file_name
         FROM media WHERE id = ?1";
    tx.query_row(sql, [id], MediaRow::read).optional()
}

/// Stores a pending upload; without a deadline where the file follows in the same transaction.
pub(crate) fn insert_pending(
    tx: &Transaction<'_>,
    now: Timestamp,
    id: &str,
    uploader: i64,
    expires_at: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO media (id, uploader, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)";
    let values = params![id, uploader, millis(now), expires_at.map(millis)];
    tx.execute(sql, values)?;
    Ok(())
}

/// Stores what is known about the file of a pending upload.
pub(crate) fn set_content(
    tx: &Transaction<'_>,
    id: &str,
    content: &MediaContent,
) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE media SET file = ?2, length = ?3, content_type = ?4, file_name = ?5,
             expires_at = NULL WHERE id = ?1",
        params![
            id,
            content.file,
            i64::try_from(content.length).unwrap_or(i64::MAX),
            content.content_type,
            content.file_name
        ],
    )?;
    Ok(())
}

/// Deletes the expired pending uploads of a user.
pub(crate) fn delete_expired(
    tx: &Transaction<'_>,
    now: Timestamp,
    uploader: i64,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM media WHERE file IS NULL AND uploader = ?1 AND expires_at <= ?2";
    tx.execute(sql, params![uploader, millis(now)])?;
    Ok(())
}

/// The deadline of a user's `nth` pending upload, counted from the one that expires last, from 1.
pub(crate) fn nth_pending_expiry(
    tx: &Transaction<'_>,
    uploader: i64,
    nth: u32,
) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT expires_at FROM media WHERE file IS NULL AND uploader = ?1
         ORDER BY expires_at DESC LIMIT 1 OFFSET ?2";
    tx.query_row(sql, params![uploader, nth.saturating_sub(1)], |row| {
        row.get(0)
    })
    .optional()
}
