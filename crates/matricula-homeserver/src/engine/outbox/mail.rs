//! The outbox of mail. The server in front of the engine sends it.

use std::fmt;

use matricula_api::ErrorCode;
use matricula_core::{Secret, Timestamp};
use rusqlite::{Transaction, params};

use crate::engine::{
    error::{ApiError, HandlerError},
    util::millis,
};

/// The maximum number of queued mails. Beyond it requests that send mail fail.
const MAX_MAILS: i64 = 1_000;

/// A mail to be sent: see [`Database::next_mail`](crate::Database::next_mail).
#[derive(Clone)]
pub struct QueuedMail {
    /// The id for [`Database::remove_mail`](crate::Database::remove_mail).
    pub id: i64,
    /// The recipient: a mail address in printable ASCII.
    pub recipient: String,
    /// The subject, on one line.
    pub subject: String,
    /// The text. It contains the token that confirms the address.
    pub body: Secret,
}

impl fmt::Debug for QueuedMail {
    /// Hides the content and the recipient.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueuedMail({})", self.id)
    }
}

/// A mail to be queued.
pub(crate) struct NewMail<'a> {
    pub(crate) recipient: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) body: &'a str,
}

/// Queues a mail. It is dropped if it cannot be sent until `expires_at`.
pub(crate) fn enqueue(
    tx: &Transaction<'_>,
    now: Timestamp,
    expires_at: Timestamp,
    mail: &NewMail<'_>,
) -> Result<(), HandlerError> {
    let sql = "DELETE FROM outgoing_mail WHERE expires_at <= ?1";
    tx.execute(sql, [millis(now)])?;
    let count: i64 = tx.query_row("SELECT count(*) FROM outgoing_mail", [], |row| row.get(0))?;
    if count >= MAX_MAILS {
        let error = "mail cannot be sent at present; try again later";
        return Err(ApiError::new(503, ErrorCode::Unknown, error).into());
    }
    tx.execute(
        "INSERT INTO outgoing_mail (recipient, subject, body, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![mail.recipient, mail.subject, mail.body, millis(expires_at)],
    )?;
    Ok(())
}
