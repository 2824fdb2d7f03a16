//! Why a run could not be begun, or stopped.

use std::path::PathBuf;

use matricula_admin::bulk::RunLogError;
use matricula_store::OpenError;

use crate::{AccountStoreError, Error};

/// Why a run could not be begun, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BulkError {
    /// Its file does not open; another process may have it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no such run.
    #[error("there is no run {name:?} in {}; begin one with a list", path.display())]
    NoRun {
        /// Its name.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The name leads out of the directory, or is empty.
    #[error("{0:?} is no name for a run; use letters, digits, and any of . _ -")]
    Name(String),
    /// Its file was not written by a run.
    #[error(transparent)]
    Ledger(#[from] RunLogError),
    /// What is kept about it cannot be read.
    #[error(
        "what is kept about the run {name:?} cannot be read ({what}); was it written by a newer version?"
    )]
    About {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A commit could not be made durable. Nothing was sent after it.
    #[error("{0}; nothing more was sent, and the run can be resumed")]
    Commit(#[from] matricula_core::StoreError),
    /// The result file, or the directory of the runs, could not be written.
    #[error(transparent)]
    File(#[from] AccountStoreError),
    /// The session of the administrator has ended, or cannot be renewed.
    #[error(transparent)]
    Session(#[from] Error),
}
