//! The SQLite database of a homeserver, with its migrations.

use std::{collections::BTreeSet, path::Path, time::Duration};

use matricula_api::ErrorCode;
use matricula_core::{StepContext, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use crate::{
    DelegationCall, Error, FaultyEvent, HandlerResponse, Homeserver, QueuedMail, Request,
    ServiceTransaction,
    engine::{ApiError, Awaited, millis, transactions},
    files,
};

/// The migrations. The `user_version` of a database is the number of migrations that it has had, so
/// that new ones must be added at the end.
const MIGRATIONS: [&str; 14] = [
    include_str!("schema/01_accounts.sql"),
    include_str!("schema/02_browser_login.sql"),
    include_str!("schema/03_reauthentication.sql"),
    include_str!("schema/04_threepids.sql"),
    include_str!("schema/05_administration.sql"),
    include_str!("schema/06_rooms.sql"),
    include_str!("schema/07_transactions.sql"),
    include_str!("schema/08_media.sql"),
    include_str!("schema/09_stream.sql"),
    include_str!("schema/10_user_data.sql"),
    include_str!("schema/11_notifications.sql"),
    include_str!("schema/12_rooms.sql"),
    include_str!("schema/13_uia_requests.sql"),
    include_str!("schema/14_keys.sql"),
];

/// The `application_id` of a database, set by the first migration.
const APPLICATION_ID: u32 = 0x6d74_7263;

/// The database of a homeserver: accounts, devices, tokens, sessions, rooms, rate limits.
#[derive(Debug)]
pub struct Database(Connection);

/// The number of the newest format.
fn known_format() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Refuses the database of another program, or of a newer version.
fn check_format(connection: &Connection, path: &Path) -> Result<(), Error> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if number("application_id")? != APPLICATION_ID && tables > 0 {
        return Err(Error::ForeignDatabase(path.to_owned()));
    }
    let (found, known) = (number("user_version")?, known_format());
    if found > known {
        return Err(Error::NewerFormat { found, known });
    }
    Ok(())
}

impl Database {
    /// Opens a database in memory.
    ///
    /// # Errors
    /// [`Error::Database`] if SQLite fails.
    pub fn memory(server: &Homeserver) -> Result<Self, Error> {
        Self::prepare(Connection::open_in_memory()?, server)
    }

    /// Opens the database in a file, and locks it until dropped. Creates it if it is missing.
    ///
    /// # Errors
    /// [`Error::Database`] if the file is not an SQLite database or is in use; [`Error::ForeignDatabase`]
    /// if another program or an unreleased version wrote it; [`Error::NewerFormat`] if a newer version
    /// wrote it; [`Error::ServerName`] if it belongs to another server.
    pub fn file(path: &Path, server: &Homeserver) -> Result<Self, Error> {
        // SQLite would create a file that other users of the machine can read.
        files::open(path).map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_millis(200))?;
        // Exclusive locking, set before WAL, keeps other processes from serving the same accounts.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        // Before WAL, which writes to the file: one that is refused is not changed.
        check_format(&connection, path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A response is sent only once its changes are durable.
        connection.pragma_update(None, "synchronous", "FULL")?;
        Self::prepare(connection, server)
    }

    fn prepare(mut connection: Connection, server: &Homeserver) -> Result<Self, Error> {
        connection.pragma_update(None, "foreign_keys", true)?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let configured = &server.config().server_name;
        let known = known_format();
        for migration in MIGRATIONS.iter().skip(found as usize) {
            tx.execute_batch(migration)?;
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

    /// Handles a request in one transaction, which is committed before this returns. The caller carries
    /// out the file action of the response.
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
                ApiError::new(500, ErrorCode::Unknown, error)
                    .into_reply()
                    .into()
            })
    }

    /// The next call to the homeserver that [delegates](crate::Delegation) to this one. Calls must be sent
    /// in this order, and before the response to the request that caused them.
    ///
    /// # Errors
    /// [`Error::Database`] if SQLite fails.
    pub fn next_delegation_call(&self) -> Result<Option<DelegationCall>, Error> {
        let sql = "SELECT id, path, body FROM delegation_calls ORDER BY id LIMIT 1";
        let found = self.0.query_row(sql, [], |row| {
            Ok(DelegationCall {
                id: row.get(0)?,
                path: row.get(1)?,
                body: row.get(2)?,
            })
        });
        Ok(found.optional()?)
    }

    /// Removes a call that was sent.
    ///
    /// # Errors
    /// [`Error::Database`] if SQLite fails.
    pub fn remove_delegation_call(&mut self, id: i64) -> Result<(), Error> {
        let sql = "DELETE FROM delegation_calls WHERE id = ?1";
        self.0.execute(sql, [id])?;
        Ok(())
    }

    /// The id of the newest call that was ever queued.
    pub(crate) fn newest_delegation_call(&self) -> Result<Option<i64>, Error> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'delegation_calls'";
        Ok(self.0.query_row(sql, [], |row| row.get(0)).optional()?)
    }

    /// The next transaction of an application service. Transactions must be sent in order, each again and
    /// unaltered until the service takes it.
    ///
    /// # Errors
    /// [`Error::Database`] if SQLite fails.
    pub fn next_service_transaction(
        &mut self,
        server: &Homeserver,
        service: &str,
    ) -> Result<Option<ServiceTransaction>, Error> {
        let tx = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = server.next_service_transaction(&tx, service)?;
        tx.commit()?;
        Ok(found)
    }

    /// Removes a transaction that the service took.
    ///
    /// # Errors
    /// [`Error::Database`] if SQLite fails.
    pub fn remove_service_transaction(
        &mut self,
        transaction: &ServiceTransaction,
    ) -> Result<(), Error> {
        Ok(transactions::remove(&self.0, transaction)?)
    }

    /// Appends an event as a test of clients wants it: its id, if the rules allow it, and what changed.
    pub(crate) fn append_faulty(
        &mut self,
        server: &Homeserver,
        cx: &mut StepContext<'_>,
        event: &FaultyEvent,
    ) -> Option<(Option<String>, BTreeSet<Awaited>)> {
        let tx = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .ok()?;
        let (id, changed) = server.append_faulty(cx, &tx, event);
        if id.is_some() {
            tx.commit().ok()?;
        }
        Some((id, changed))
    }

    /// Forgets all transaction ids.
    pub(crate) fn forget_transactions(&mut self) -> Result<(), Error> {
        self.0.execute("DELETE FROM transactions", [])?;
        Ok(())
    }

    /// Whether a file with this name belongs to an upload.
    pub(crate) fn has_file(&self, name: &str) -> Result<bool, Error> {
        let sql = "SELECT count(*) FROM media WHERE file = ?1";
        Ok(self.0.query_row(sql, [name], |row| row.get(0))?)
    }

    /// The next mail to send.
    ///
    /// # Errors
    /// [`Error::Database`] if SQLite fails.
    pub fn next_mail(&self, now: Timestamp) -> Result<Option<QueuedMail>, Error> {
        let sql = "SELECT id, recipient, subject, body FROM outgoing_mail WHERE expires_at > ?1
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

    /// Removes a mail that was sent, or cannot be sent.
    ///
    /// # Errors
    /// [`Error::Database`] if SQLite fails.
    pub fn remove_mail(&mut self, id: i64) -> Result<(), Error> {
        let sql = "DELETE FROM outgoing_mail WHERE id = ?1";
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
        let response = server.handle(cx, &tx, request);
        // Error responses may have counted a request. Internal errors leave no trace.
        if response.reply.status < 500 {
            tx.commit()?;
        }
        Ok(response)
    }
}
