//! Keeps what machines commit in an SQLite file.
//!
//! [`SqliteStore`] is a [`Store`](matricula_core::Store): a patch is on disk, whole, when `commit`
//! returns, also if the power fails right after. The file belongs to one process at a time, and what
//! is damaged is moved aside and never emptied.
//!
//! ```
//! use matricula_core::{Patch, Store};
//! use matricula_store::{InUse, SqliteStore};
//!
//! let dir = tempfile::tempdir()?;
//! let mut store = SqliteStore::open(&dir.path().join("queue.db"), InUse::Refuse)?;
//! let mut patch = Patch::default();
//! patch.put("jobs", "1", "…");
//! store.commit(&patch)?;
//! assert_eq!(store.entries()?, [("jobs".into(), "1".into(), "…".into())]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is kept there is whole jobs, messages included: the file can be read by its owner only.

mod aside;
mod error;
mod sqlite;

pub use error::OpenError;
pub use sqlite::{IfLocked, SqliteStore};
