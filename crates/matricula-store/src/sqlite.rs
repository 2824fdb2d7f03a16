//! One file, one table: every key of every table, and its value.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use matricula_core::{Store, StoreError, WriteBatch};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};

use crate::{OpenError, aside};

/// Tells such a file from other programs' databases: "mtrc".
const APPLICATION: u32 = 0x6d74_7263;
/// The newest format. The first has one table, `entries`.
const FORMAT: u32 = 1;

const TABLE: &str = "CREATE TABLE entries (
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (collection, key)
) STRICT, WITHOUT ROWID";
const PUT: &str = "INSERT INTO entries (collection, key, value) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET value = excluded.value";
const REMOVE: &str = "DELETE FROM entries WHERE collection = ?1 AND key = ?2";
const ONE: &str = "SELECT value FROM entries WHERE collection = ?1 AND key = ?2";
const ALL: &str = "SELECT collection, key, value FROM entries";

/// What to do where another process has the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IfLocked {
    /// Refuse at once.
    Refuse,
    /// Wait for it this long, then refuse.
    Wait(Duration),
}

/// What machines commit, in an SQLite file that this process has alone.
///
/// Bounds are those of whoever commits, and SQLite's: a value has a gigabyte at most. The space of
/// what is removed is used again.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the file, or makes it; its directory must be there. The whole file is looked through
    /// for damage first, which takes about as long as reading it.
    ///
    /// # Errors
    /// Where that cannot be; see [`OpenError`]. A damaged file has then been moved aside, and opening
    /// again begins with an empty one.
    pub fn open(path: &Path, in_use: IfLocked) -> Result<Self, OpenError> {
        make_private(path).map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })?;
        match prepare(path, in_use) {
            Ok(connection) => Ok(Self {
                connection,
                path: path.to_owned(),
            }),
            Err(NotOpened::Damaged(reason)) => Err(match aside::quarantine(path) {
                Ok(moved_to) => OpenError::Damaged {
                    path: path.to_owned(),
                    moved_to,
                    reason,
                },
                Err(source) => OpenError::Stuck {
                    path: path.to_owned(),
                    reason,
                    source,
                },
            }),
            Err(NotOpened::Foreign) => Err(OpenError::Foreign {
                path: path.to_owned(),
            }),
            Err(NotOpened::Newer(found)) => Err(OpenError::Newer {
                path: path.to_owned(),
                found,
                known: FORMAT,
            }),
            Err(NotOpened::Sqlite(source)) => Err(match source.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse {
                    path: path.to_owned(),
                },
                _ => OpenError::Sqlite {
                    path: path.to_owned(),
                    source,
                },
            }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes it and moves it aside as it is, for whoever cannot read what is in it. Gives the
    /// file's new name.
    ///
    /// # Errors
    /// Where it cannot be moved.
    pub fn quarantine(self) -> io::Result<PathBuf> {
        drop(self.connection);
        aside::quarantine(&self.path)
    }

    fn write(&mut self, patch: &WriteBatch) -> Result<(), rusqlite::Error> {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut put = tx.prepare_cached(PUT)?;
            let mut remove = tx.prepare_cached(REMOVE)?;
            for change in patch.writes() {
                match &change.value {
                    Some(value) => put.execute(params![change.table, change.key, value])?,
                    None => remove.execute(params![change.table, change.key])?,
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
        let mut one = self.connection.prepare_cached(ONE)?;
        one.query_row([table, key], |row| row.get(0)).optional()
    }

    fn read_error(&self, error: rusqlite::Error) -> StoreError {
        self.error("read", error, "look at the disk, and start again")
    }

    fn error(&self, what: &str, error: rusqlite::Error, next: &str) -> StoreError {
        let path = self.path.display();
        let message = format!("{path} could not be {what}: {error}; {next}");
        StoreError::with_source(message, error)
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, patch: &WriteBatch) -> Result<(), StoreError> {
        if patch.is_empty() {
            return Ok(());
        }
        self.write(patch).map_err(|error| {
            let next = "make room on the disk or mend it, and start again";
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
    Newer(u32),
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

/// SQLite itself would let everybody on this machine read the file; its log gets the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn prepare(path: &Path, in_use: IfLocked) -> Result<Connection, NotOpened> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(match in_use {
        IfLocked::Refuse => Duration::ZERO,
        IfLocked::Wait(longest) => longest,
    })?;
    // Exclusive before WAL: the file is locked from the first reading on, until it is closed, and a
    // process that is killed leaves no lock.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name: &str| tx.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let (application, found) = (number("application_id")?, number("user_version")?);
    let tables: u32 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, found, tables) {
        (0, 0, 0) => {
            tx.execute_batch(TABLE)?;
            tx.pragma_update(None, "application_id", APPLICATION)?;
            tx.pragma_update(None, "user_version", FORMAT)?;
        }
        (APPLICATION, FORMAT, _) => {
            let verdict: String = tx.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if verdict != "ok" {
                return Err(NotOpened::Damaged(verdict));
            }
        }
        (APPLICATION, newer, _) => return Err(NotOpened::Newer(newer)),
        _ => return Err(NotOpened::Foreign),
    }
    tx.commit()?;
    Ok(connection)
}
