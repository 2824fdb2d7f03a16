//! Messages to people that are still to be sent. Whoever answers requests with a
//! [`Homeserver`](crate::Homeserver) sends them too.

use std::fmt;

use matricula_api::ErrorCode;
use matricula_core::{Secret, Timestamp};
use rusqlite::{Transaction, params};

use super::{
    millis,
    refusal::{ApiError, HandlerError},
};

/// How many may wait to be sent. Beyond it no more are taken.
const MAX_MAILS: i64 = 1_000;

/// A mail that is to be sent: see [`Database::next_mail`](crate::Database::next_mail).
#[derive(Clone)]
pub struct QueuedMail {
    /// What [`Database::remove_mail`](crate::Database::remove_mail) is told.
    pub id: i64,
    /// Whom it is to: a mail address, in printable ASCII.
    pub recipient: String,
    /// What it is about, on one line.
    pub subject: String,
    /// The text. Who reads it can prove the address.
    pub body: Secret,
}

impl fmt::Debug for QueuedMail {
    /// Shows nothing of what is in it, nor whom it is to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", self.id)
    }
}

/// What is to be written.
pub(super) struct NewMail<'a> {
    pub(super) recipient: &'a str,
    pub(super) subject: &'a str,
    pub(super) body: &'a str,
}

/// Puts a message where it waits to be sent, until `expires_at`.
pub(super) fn enqueue(
    tx: &Transaction<'_>,
    now: Timestamp,
    expires_at: Timestamp,
    letter: &NewMail<'_>,
) -> Result<(), HandlerError> {
    let sql = "DELETE FROM messages WHERE expires_at <= ?1";
    tx.execute(sql, [millis(now)])?;
    let count: i64 = tx.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?;
    if count >= MAX_MAILS {
        let error = "messages are not getting through at present; try again later";
        return Err(ApiError::new(503, ErrorCode::Unknown, error).into());
    }
    tx.execute(
        "INSERT INTO messages (recipient, subject, body, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            letter.recipient,
            letter.subject,
            letter.body,
            millis(expires_at)
        ],
    )?;
    Ok(())
}
