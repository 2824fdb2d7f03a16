//! A [`Store`](matricula_core::Store) in an SQLite file.
//!
//! A batch is on disk, whole, when [`SqliteStore::commit`](matricula_core::Store::commit) returns, even if
//! the power fails right after. One process at a time has the file. A damaged file is moved aside, never
//! emptied, and a file of another program or format is refused and left as it is.
//!
//! ```
//! use matricula_core::{Store, WriteBatch};
//! use matricula_store::{IfLocked, SqliteStore};
//!
//! let dir = tempfile::tempdir()?;
//! let mut store = SqliteStore::open(&dir.path().join("queue.db"), IfLocked::Refuse)?;
//! let mut batch = WriteBatch::default();
//! batch.put("jobs", "1", "…");
//! store.commit(&batch)?;
//! assert_eq!(store.entries()?, [("jobs".into(), "1".into(), "…".into())]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The store holds whole jobs, messages included, so the file has mode 0600 on Unix.

mod error;
mod quarantine;
mod sqlite;

pub use error::OpenError;
pub use sqlite::{IfLocked, SqliteStore};
