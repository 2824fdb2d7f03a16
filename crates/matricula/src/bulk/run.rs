//! A run: its file, and what is kept about it.

use std::path::{Path, PathBuf};

use matricula_admin::bulk::{Route, RunLog};
use matricula_core::{ServerUrl, Store, WriteBatch};
use matricula_store::{IfLocked, SqliteStore};
use serde::{Deserialize, Serialize};

use super::{BulkError, Format, result};
use crate::account_store::files;

/// The table of what is kept about the run, under one key.
const ABOUT: &str = "bulk_about";
const KEY: &str = "run";

/// What a run is about, beside its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Where accounts are made.
    pub server: ServerUrl,
    /// The part of user ids after the colon, where it is known.
    #[serde(default)]
    pub server_name: Option<String>,
    /// In which way.
    pub route: Route,
    /// The result file.
    pub result: PathBuf,
    /// Its form.
    pub format: Format,
}

/// A run that this process has alone.
#[derive(Debug)]
pub struct Run {
    name: String,
    pub(super) store: SqliteStore,
    about: Option<About>,
    ledger: RunLog,
    /// What is kept about it with the first commit, so that no run has one and not the other.
    pub(super) first: WriteBatch,
}

impl Run {
    /// Opens the run of this name in this directory, or makes it. One that was made and has no rows yet is
    /// as if it were new.
    ///
    /// # Errors
    /// Where another process has it ([`matricula_store::OpenError::InUse`]), or it cannot be read.
    pub fn open(dir: &Path, name: &str) -> Result<Self, BulkError> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_good) {
            return Err(BulkError::Name(name.to_owned()));
        }
        files::make_dir(dir)?;
        let mut store = SqliteStore::open(&Self::path(dir, name), IfLocked::Refuse)?;
        let about = store.get(ABOUT, KEY)?;
        let about = about.map(|json| serde_json::from_slice(&json)).transpose();
        let about = about.map_err(|error| BulkError::About {
            name: name.to_owned(),
            what: error.to_string(),
        })?;
        let ledger = RunLog::from_stored(store.entries()?)?;
        Ok(Self {
            name: name.to_owned(),
            store,
            about,
            ledger,
            first: WriteBatch::default(),
        })
    }

    /// The same, where it must be there.
    ///
    /// # Errors
    /// Where it is not, and as [`Run::open`].
    pub fn existing(dir: &Path, name: &str) -> Result<(Self, About), BulkError> {
        let path = Self::path(dir, name);
        let no_run = || BulkError::NoRun {
            name: name.to_owned(),
            path: dir.to_owned(),
        };
        if !path.exists() {
            return Err(no_run());
        }
        let run = Self::open(dir, name)?;
        let about = run.about.clone().ok_or_else(no_run)?;
        Ok((run, about))
    }

    /// Its file.
    pub fn path(dir: &Path, name: &str) -> PathBuf {
        dir.join(format!("{name}.run"))
    }

    /// What it is about; none where it is new.
    pub fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    /// Its rows, as they are kept.
    pub fn ledger(&self) -> &RunLog {
        &self.ledger
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says what a new run is about, which is kept with its rows.
    pub fn begin(&mut self, about: About) {
        // Texts: they always have a JSON form.
        let json = serde_json::to_vec(&about).unwrap_or_default();
        self.first.put(ABOUT, KEY, json);
        self.about = Some(about);
    }

    pub(super) fn write_result(&self, ledger: &RunLog, is_over: bool) -> Result<(), BulkError> {
        match &self.about {
            Some(about) => Ok(result::write(&about.result, about.format, ledger, is_over)?),
            None => Ok(()),
        }
    }
}
