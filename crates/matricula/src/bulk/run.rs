//! The file of a run: its rows, and its [`RunInfo`].

use std::path::{Path, PathBuf};

use matricula_admin::bulk::{Route, RunLog};
use matricula_core::{ServerUrl, Store, WriteBatch};
use matricula_store::{IfLocked, SqliteStore};
use serde::{Deserialize, Serialize};

use super::{BulkError, ResultFormat, result_file};
use crate::account_store::files;

/// The table of the [`RunInfo`], which is its only value.
const INFO_TABLE: &str = "bulk_info";
const INFO_KEY: &str = "run";
/// The version of the file's format.
const FORMAT_VERSION: u32 = 1;

/// What a run does, apart from its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The server.
    pub server: ServerUrl,
    /// The part of user ids after the colon, if it is known.
    #[serde(default)]
    pub server_name: Option<String>,
    /// The API that creates the accounts.
    pub route: Route,
    /// The result file.
    pub result_path: PathBuf,
    /// The format of the result file.
    pub result_format: ResultFormat,
}

/// A [`RunInfo`] as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredInfo {
    version: u32,
    #[serde(flatten)]
    info: RunInfo,
}

/// An open run. No other process can open it meanwhile.
#[derive(Debug)]
pub struct Run {
    name: String,
    pub(super) store: SqliteStore,
    info: Option<RunInfo>,
    log: RunLog,
    /// The info of a new run. It is part of the first commit, so that no file has rows without info.
    pub(super) first_writes: WriteBatch,
}

impl Run {
    /// Opens the run of this name in this directory, or creates it. A run without rows counts as new.
    ///
    /// # Errors
    /// If another process has it open ([`matricula_store::OpenError::Locked`]), or it cannot be read.
    pub fn open(dir: &Path, name: &str) -> Result<Self, BulkError> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_allowed) {
            return Err(BulkError::Name(name.to_owned()));
        }
        files::make_dir(dir)?;
        let mut store = SqliteStore::open(&Self::path(dir, name), IfLocked::Refuse)?;
        let entries = store.entries()?;
        let info = match store.get(INFO_TABLE, INFO_KEY)? {
            Some(json) => Some(read_info(name, &json)?),
            None if entries.is_empty() => None,
            None => return Err(unreadable(name, "it has rows, but no info".to_owned())),
        };
        let log = RunLog::from_stored(entries)?;
        Ok(Self {
            name: name.to_owned(),
            store,
            info,
            log,
            first_writes: WriteBatch::default(),
        })
    }

    /// Opens the run of this name; it must exist.
    ///
    /// # Errors
    /// If it does not exist, and as [`Run::open`].
    pub fn open_existing(dir: &Path, name: &str) -> Result<(Self, RunInfo), BulkError> {
        let path = Self::path(dir, name);
        let no_run = || BulkError::NoRun {
            name: name.to_owned(),
            path: dir.to_owned(),
        };
        if !path.exists() {
            return Err(no_run());
        }
        let run = Self::open(dir, name)?;
        let info = run.info.clone().ok_or_else(no_run)?;
        Ok((run, info))
    }

    /// The path of a run's file.
    pub fn path(dir: &Path, name: &str) -> PathBuf {
        dir.join(format!("{name}.run"))
    }

    /// What the run does; `None` if it is new.
    pub fn info(&self) -> Option<&RunInfo> {
        self.info.as_ref()
    }

    /// Its rows, as they are stored.
    pub fn run_log(&self) -> &RunLog {
        &self.log
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the info of a new run. It is stored together with the rows.
    ///
    /// # Errors
    /// If the result's path is not UTF-8: the info is stored as JSON.
    pub fn set_info(&mut self, info: RunInfo) -> Result<(), BulkError> {
        let stored = StoredInfo {
            version: FORMAT_VERSION,
            info: info.clone(),
        };
        let json = serde_json::to_vec(&stored).map_err(|source| BulkError::ResultPath {
            path: info.result_path.clone(),
            source,
        })?;
        self.first_writes.put(INFO_TABLE, INFO_KEY, json);
        self.info = Some(info);
        Ok(())
    }

    pub(super) fn write_result(&self, log: &RunLog, is_over: bool) -> Result<(), BulkError> {
        if let Some(info) = &self.info {
            result_file::write(&info.result_path, info.result_format, log, is_over)?;
        }
        Ok(())
    }
}

fn read_info(name: &str, json: &[u8]) -> Result<RunInfo, BulkError> {
    let stored: StoredInfo =
        serde_json::from_slice(json).map_err(|error| unreadable(name, error.to_string()))?;
    if stored.version != FORMAT_VERSION {
        let (theirs, ours) = (stored.version, FORMAT_VERSION);
        let message = format!("it has format version {theirs}, not {ours}");
        return Err(unreadable(name, message));
    }
    Ok(stored.info)
}

fn unreadable(name: &str, message: String) -> BulkError {
    BulkError::Info {
        name: name.to_owned(),
        message,
    }
}
