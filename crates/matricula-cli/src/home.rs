//! Where accounts and private homeservers are kept.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use matricula::AccountStore;

use crate::failure::Failure;

/// The directories of this user's data.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    data: PathBuf,
    state: PathBuf,
}

impl Home {
    /// Below `dir` if one is named, else where the XDG base directory specification says.
    pub(crate) fn new(dir: Option<&Path>) -> Result<Self, Failure> {
        if let Some(dir) = dir {
            let dir = std::path::absolute(dir)?;
            return Ok(Self {
                data: dir.clone(),
                state: dir,
            });
        }
        let base = etcetera::choose_base_strategy().map_err(|_| {
            Failure::other("no home directory is known; name one with --home DIR or MATRICULA_HOME")
        })?;
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        Ok(Self {
            data: base.data_dir().join("matricula"),
            state: state.join("matricula"),
        })
    }

    /// The accounts.
    pub(crate) fn accounts(&self) -> AccountStore {
        AccountStore::new(&self.data)
    }

    /// The private homeserver's directory.
    pub(crate) fn private_homeserver(&self) -> PathBuf {
        self.state.join("homeserver")
    }
}
