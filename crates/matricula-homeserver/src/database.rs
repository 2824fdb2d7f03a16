//! What a homeserver remembers, in SQLite.

use std::{path::Path, time::Duration};

use matricula_api::ErrorCode;
use matricula_core::{StepContext, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use crate::{
    DelegationCall, Error, HandlerResponse, Homeserver, QueuedMail, Request,
    engine::{ApiError, millis},
    files,
};

/// What each format of the database adds to the one before. A database's `user_version` says how
/// many of them it has had: this list only ever grows at its end.
const MIGRATIONS: [&str; 8] = [
    include_str!("formats/first.sql"),
    include_str!("formats/browser.sql"),
    include_str!("formats/account.sql"),
    include_str!("formats/addresses.sql"),
    include_str!("formats/administration.sql"),
    include_str!("formats/rooms.sql"),
    include_str!("formats/transactions.sql"),
    include_str!("formats/media.sql"),
];

/// What a homeserver remembers: accounts, devices, tokens, half-done registrations, limits.
#[derive(Debug)]
pub struct Database(Connection);

impl Database {
    /// A database that is gone with this value.
    ///
    /// # Errors
    /// [`Error::Database`] if SQLite cannot make one.
    pub fn memory(server: &Homeserver) -> Result<Self, Error> {
        Self::prepare(Connection::open_in_memory()?, server)
    }

    /// The database in a file, made if it is not there, and held alone until dropped.
    ///
    /// # Errors
    /// [`Error::Database`] if the file is no such database or is in use; [`Error::NewerFormat`] if a newer
    /// version wrote it; [`Error::ServerName`] if it is another server's.
    pub fn file(path: &Path, server: &Homeserver) -> Result<Self, Error> {
        // SQLite itself would let everybody on this machine read it.
        files::open(path).map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_millis(200))?;
        // Exclusive before WAL: so no second process can serve the same accounts.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // An answer leaves only once what it says would survive a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        Self::prepare(connection, server)
    }

    fn prepare(mut connection: Connection, server: &Homeserver) -> Result<Self, Error> {
        connection.pragma_update(None, "foreign_keys", true)?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let configured = &server.config().server_name;
        let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
        if found > known {
            return Err(Error::NewerFormat { found, known });
        }
        for format in MIGRATIONS.iter().skip(found as usize) {
            tx.execute_batch(format)?;
        }
        if found == 0 {
            tx.execute("INSERT INTO server (name) VALUES (?1)", [configured])?;
        }
        tx.pragma_update(None, "user_version", known)?;
        let stored: Option<String> = tx
            .query_row("SELECT name FROM server", [], |row| row.get(0))
            .optional()?;
        if stored.as_ref() != Some(configured) {
            return Err(Error::ServerName {
                stored: stored.unwrap_or_default(),
                configured: configured.clone(),
            });
        }
        for token in &server.config().registration_tokens {
            tx.execute(
                "INSERT INTO registration_tokens (token, uses_allowed, expires_at)
                     VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET
                     uses_allowed = excluded.uses_allowed, expires_at = excluded.expires_at",
                params![
                    token.token.expose(),
                    token.uses_allowed,
                    token.expires_at.map(millis)
                ],
            )?;
        }
        tx.commit()?;
        Ok(Self(connection))
    }

    /// Answers a request in one transaction, committed before this returns.
    /// What the answer leaves to do with a file is the caller's.
    pub fn handle(
        &mut self,
        server: &Homeserver,
        cx: &mut StepContext<'_>,
        request: Request,
    ) -> HandlerResponse {
        self.try_handle(server, cx, request)
            .unwrap_or_else(|error| {
                tracing::error!(%error, "the homeserver's database failed");
                let error = "the server's database failed";
                let refusal = ApiError::new(500, ErrorCode::Unknown, error);
                refusal.into_reply().into()
            })
    }

    /// What the homeserver that [delegates](crate::Delegation) to this one is to be told next. It has
    /// to be told in this order, and before the answer leaves that came with it.
    ///
    /// # Errors
    /// [`Error::Database`] if it cannot be read.
    pub fn next_delegation_call(&self) -> Result<Option<DelegationCall>, Error> {
        let sql = "SELECT id, path, body FROM provisions ORDER BY id LIMIT 1";
        let found = self.0.query_row(sql, [], |row| {
            Ok(DelegationCall {
                id: row.get(0)?,
                path: row.get(1)?,
                body: row.get(2)?,
            })
        });
        Ok(found.optional()?)
    }

    /// It has been told.
    ///
    /// # Errors
    /// [`Error::Database`] if that cannot be kept.
    pub fn remove_delegation_call(&mut self, id: i64) -> Result<(), Error> {
        let sql = "DELETE FROM provisions WHERE id = ?1";
        self.0.execute(sql, [id])?;
        Ok(())
    }

    /// The newest provision that there ever was.
    pub(crate) fn newest_delegation_call(&self) -> Result<Option<i64>, Error> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'provisions'";
        Ok(self.0.query_row(sql, [], |row| row.get(0)).optional()?)
    }

    /// The position of the newest event of all rooms; 0 where nothing has happened.
    pub(crate) fn newest_event(&self) -> Result<i64, Error> {
        let sql = "SELECT coalesce(max(position), 0) FROM events";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }

    /// Whether a file of this name belongs to something that was uploaded.
    pub(crate) fn has_file(&self, name: &str) -> Result<bool, Error> {
        let sql = "SELECT count(*) FROM media WHERE file = ?1";
        Ok(self.0.query_row(sql, [name], |row| row.get(0))?)
    }

    /// The mail that is to be sent next.
    ///
    /// # Errors
    /// [`Error::Database`] if it cannot be read.
    pub fn next_mail(&self, now: Timestamp) -> Result<Option<QueuedMail>, Error> {
        let sql = "SELECT id, recipient, subject, body FROM messages WHERE expires_at > ?1
             ORDER BY id LIMIT 1";
        let found = self.0.query_row(sql, [millis(now)], |row| {
            Ok(QueuedMail {
                id: row.get(0)?,
                recipient: row.get(1)?,
                subject: row.get(2)?,
                body: row.get::<_, String>(3)?.into(),
            })
        });
        Ok(found.optional()?)
    }

    /// It has been sent, or given up.
    ///
    /// # Errors
    /// [`Error::Database`] if that cannot be kept.
    pub fn remove_mail(&mut self, id: i64) -> Result<(), Error> {
        let sql = "DELETE FROM messages WHERE id = ?1";
        self.0.execute(sql, [id])?;
        Ok(())
    }

    fn try_handle(
        &mut self,
        server: &Homeserver,
        cx: &mut StepContext<'_>,
        request: Request,
    ) -> rusqlite::Result<HandlerResponse> {
        let tx = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let answer = server.handle(cx, &tx, request);
        // A refusal may have counted something; what broke midway leaves no trace.
        if answer.reply.status < 500 {
            tx.commit()?;
        }
        Ok(answer)
    }
}
