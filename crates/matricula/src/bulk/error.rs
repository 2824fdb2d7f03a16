//! The error of bulk runs.

use std::path::PathBuf;

use matricula_admin::bulk::RunLogError;
use matricula_store::OpenError;

use crate::{AccountStoreError, Error};

/// Why a run could not start or continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BulkError {
    /// The run's file cannot be opened; another process may use it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The run does not exist.
    #[error("there is no run {name:?} in {}; start one with a list", path.display())]
    NoRun {
        /// The name of the run.
        name: String,
        /// The directory of the runs.
        path: PathBuf,
    },
    /// The name is not a file name in the directory of the runs.
    #[error("{0:?} is not a valid name for a run; use letters, digits and . _ -")]
    Name(String),
    /// The stored rows cannot be read.
    #[error(transparent)]
    RunLog(#[from] RunLogError),
    /// The stored [`RunInfo`](super::RunInfo) cannot be read.
    #[error(
        "the run {name:?} cannot be read ({message}); it was written by another version of matricula"
    )]
    Info {
        /// The name of the run.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// The path of the result file cannot be stored.
    #[error("the path of the result file {path:?} cannot be stored ({source}); use another one")]
    ResultPath {
        /// The path.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A commit failed. Nothing was sent after it.
    #[error("{0}; nothing more was sent, and the run can be resumed")]
    Commit(#[from] matricula_core::StoreError),
    /// The result file, or the directory of the runs, could not be written.
    #[error(transparent)]
    File(#[from] AccountStoreError),
    /// The administrator's session has ended, or cannot be renewed; or the server cannot be asked.
    #[error(transparent)]
    Session(Box<Error>),
}

impl From<Error> for BulkError {
    fn from(error: Error) -> Self {
        Self::Session(Box::new(error))
    }
}
