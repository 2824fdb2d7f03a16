//! One file, one table: every key of every table, and its value.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use matricula_job::{Patch, Store, StoreError};
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
pub enum InUse {
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
    pub fn open(path: &Path, in_use: InUse) -> Result<Self, OpenError> {
        make_private(path).map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })?;
        match prepare(path, in_use) {
            Ok(connection) => Ok(Self {
                connection,
                path: path.to_owned(),
            }),
            Err(Unready::Damaged(reason)) => Err(match aside::move_aside(path) {
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
            Err(Unready::Foreign) => Err(OpenError::Foreign {
                path: path.to_owned(),
            }),
            Err(Unready::Newer(found)) => Err(OpenError::Newer {
                path: path.to_owned(),
                found,
                known: FORMAT,
            }),
            Err(Unready::Sqlite(source)) => Err(match source.sqlite_error_code() {
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
    pub fn move_aside(self) -> io::Result<PathBuf> {
        drop(self.connection);
        aside::move_aside(&self.path)
    }

    fn write(&mut self, patch: &Patch) -> Result<(), rusqlite::Error> {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut put = tx.prepare_cached(PUT)?;
            let mut remove = tx.prepare_cached(REMOVE)?;
            for change in patch.changes() {
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

    fn unread(&self, error: &rusqlite::Error) -> StoreError {
        self.error("read", error, "look at the disk, and start again")
    }

    fn error(&self, what: &str, error: &rusqlite::Error, next: &str) -> StoreError {
        StoreError {
            message: format!(
                "{} could not be {what}: {error}; {next}",
                self.path.display()
            ),
        }
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, patch: &Patch) -> Result<(), StoreError> {
        if patch.is_empty() {
            return Ok(());
        }
        self.write(patch).map_err(|error| {
            let next = "make room on the disk or mend it, and start again";
            self.error("written", &error, next)
        })
    }

    fn get(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_one(table, key)
            .map_err(|error| self.unread(&error))
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        self.read().map_err(|error| self.unread(&error))
    }
}

enum Unready {
    Damaged(String),
    Foreign,
    Newer(u32),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unready {
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

fn prepare(path: &Path, in_use: InUse) -> Result<Connection, Unready> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(match in_use {
        InUse::Refuse => Duration::ZERO,
        InUse::Wait(longest) => longest,
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
                return Err(Unready::Damaged(verdict));
            }
        }
        (APPLICATION, newer, _) => return Err(Unready::Newer(newer)),
        _ => return Err(Unready::Foreign),
    }
    tx.commit()?;
    Ok(connection)
}
