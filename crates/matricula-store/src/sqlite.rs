//! The SQLite store: one file with one SQL table, which holds the keys of all tables.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use matricula_core::{Store, StoreError, WriteBatch};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};

use crate::{OpenError, quarantine::quarantine};

/// SQLite's `application_id` of such a file: "mtrc".
const APPLICATION_ID: u32 = 0x6d74_7263;
/// The supported format, in SQLite's `user_version`.
const FORMAT: u32 = 2;

const SCHEMA: &str = "CREATE TABLE entries (
    table_name TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (table_name, key)
) STRICT, WITHOUT ROWID";
const PUT: &str = "INSERT INTO entries (table_name, key, value) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET value = excluded.value";
const REMOVE: &str = "DELETE FROM entries WHERE table_name = ?1 AND key = ?2";
const GET: &str = "SELECT value FROM entries WHERE table_name = ?1 AND key = ?2";
const ALL: &str = "SELECT table_name, key, value FROM entries";

/// What to do if another process has the file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IfLocked {
    /// Fail at once.
    Refuse,
    /// Wait up to this long, then fail.
    Wait(Duration),
}

/// A store in an SQLite file, which one process at a time has open.
///
/// A value has at most one gigabyte, as SQLite allows. The space of removed entries is reused.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the file, or creates it in an existing directory. The whole file is checked for damage, which
    /// takes about as long as reading it.
    ///
    /// # Errors
    /// See [`OpenError`]. A damaged file is moved aside, and opening again creates an empty store.
    pub fn open(path: &Path, if_locked: IfLocked) -> Result<Self, OpenError> {
        let is_other_file = make_private(path).and_then(|()| is_other_file(path));
        let is_other_file = is_other_file.map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })?;
        if is_other_file {
            return Err(OpenError::Foreign {
                path: path.to_owned(),
            });
        }
        match prepare(path, if_locked) {
            Ok(connection) => Ok(Self {
                connection,
                path: path.to_owned(),
            }),
            Err(NotOpened::Damaged(reason)) => Err(match quarantine(path) {
                Ok(moved_to) => OpenError::Damaged {
                    path: path.to_owned(),
                    moved_to,
                    reason,
                },
                Err(source) => OpenError::NotQuarantined {
                    path: path.to_owned(),
                    reason,
                    source,
                },
            }),
            Err(NotOpened::Foreign) => Err(OpenError::Foreign {
                path: path.to_owned(),
            }),
            Err(NotOpened::OtherFormat(found)) => Err(OpenError::OtherFormat {
                path: path.to_owned(),
                found,
                supported: FORMAT,
            }),
            Err(NotOpened::Sqlite(source)) => Err(match source.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked {
                    path: path.to_owned(),
                },
                _ => OpenError::Sqlite {
                    path: path.to_owned(),
                    source,
                },
            }),
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the file and moves it aside unchanged, for callers that cannot read its entries. Returns its
    /// new path.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn quarantine(self) -> io::Result<PathBuf> {
        drop(self.connection);
        quarantine(&self.path)
    }

    fn write(&mut self, batch: &WriteBatch) -> Result<(), rusqlite::Error> {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut put = tx.prepare_cached(PUT)?;
            let mut remove = tx.prepare_cached(REMOVE)?;
            for write in batch.writes() {
                match &write.value {
                    Some(value) => put.execute(params![write.table, write.key, value])?,
                    None => remove.execute(params![write.table, write.key])?,
                };
            }
        }
        tx.commit()
    }

    fn read(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, rusqlite::Error> {
        let mut all = self.connection.prepare(ALL)?;
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect()
    }

    fn read_one(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, rusqlite::Error> {
        let mut get = self.connection.prepare_cached(GET)?;
        get.query_row([table, key], |row| row.get(0)).optional()
    }

    fn read_error(&self, error: rusqlite::Error) -> StoreError {
        self.error("read", error, "check the disk, and start again")
    }

    fn error(&self, what: &str, error: rusqlite::Error, next: &str) -> StoreError {
        let path = self.path.display();
        let message = format!("{path} could not be {what}: {error}; {next}");
        StoreError::with_source(message, error)
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.write(batch).map_err(|error| {
            let next = "make room on the disk or repair it, and start again";
            self.error("written", error, next)
        })
    }

    fn get(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_one(table, key)
            .map_err(|error| self.read_error(error))
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        self.read().map_err(|error| self.read_error(error))
    }
}

enum NotOpened {
    Damaged(String),
    Foreign,
    OtherFormat(u32),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for NotOpened {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Sqlite(error),
        }
    }
}

/// Creates the file with mode 0600, which SQLite copies for its log. SQLite itself would make it readable for
/// all users.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Whether this is not an SQLite file. It may begin with zeros, which a power failure can leave. All other files
/// are refused: a person may have named one by mistake, and SQLite would overwrite a short one.
fn is_other_file(path: &Path) -> io::Result<bool> {
    let mut header = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut header)?;
    Ok(header != b"SQLite format 3\0" && header.iter().any(|byte| *byte != 0))
}

fn prepare(path: &Path, if_locked: IfLocked) -> Result<Connection, NotOpened> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(match if_locked {
        IfLocked::Refuse => Duration::ZERO,
        IfLocked::Wait(longest) => longest,
    })?;
    // Exclusive before WAL: the file is locked from the first read until it is closed. A killed process leaves
    // no lock.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // Before WAL, which writes to the file: one that is refused is not changed.
    let is_new = is_new(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_new {
        tx.execute_batch(SCHEMA)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", FORMAT)?;
    } else {
        let result: String = tx.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if result != "ok" {
            return Err(NotOpened::Damaged(result));
        }
    }
    tx.commit()?;
    Ok(connection)
}

/// Whether the file is empty; if not, it must be a store of this format.
fn is_new(connection: &Connection) -> Result<bool, NotOpened> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let (application_id, format) = (number("application_id")?, number("user_version")?);
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application_id, format, tables) {
        (0, 0, 0) => Ok(true),
        (APPLICATION_ID, FORMAT, _) => Ok(false),
        (APPLICATION_ID, other, _) => Err(NotOpened::OtherFormat(other)),
        _ => Err(NotOpened::Foreign),
    }
}
