//! The directories of this user's accounts and private homeservers.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use etcetera::BaseStrategy;

use crate::{AccountStore, Error, Keyring, system_keyring};

/// The environment variable that names another directory.
const VARIABLE: &str = "MATRICULA_HOME";

/// The directories of this user's data, as the `matricula` command uses them.
#[derive(Clone, Debug)]
pub struct DataDirs {
    accounts: AccountStore,
    state: PathBuf,
}

impl DataDirs {
    /// The directory in `MATRICULA_HOME`, else those of the [XDG base directory specification].
    ///
    /// [XDG base directory specification]: https://specifications.freedesktop.org/basedir-spec/latest/
    ///
    /// # Errors
    /// If no home directory is known.
    pub fn of_user() -> Result<Self, Error> {
        if let Some(dir) = env::var_os(VARIABLE).filter(|dir| !dir.is_empty()) {
            return Self::at(Path::new(&dir));
        }
        let base = etcetera::choose_base_strategy().map_err(|_| Error::NoHome)?;
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        Ok(Self {
            accounts: accounts_in(base.data_dir().join("matricula")),
            state: state.join("matricula"),
        })
    }

    /// All data below this directory.
    ///
    /// # Errors
    /// If the path is relative and there is no current directory.
    pub fn at(dir: &Path) -> Result<Self, Error> {
        let dir = std::path::absolute(dir).map_err(|_| Error::NoHome)?;
        Ok(Self {
            accounts: accounts_in(dir.clone()),
            state: dir,
        })
    }

    /// The account store. If it is encrypted, the [system's keyring](system_keyring) has the key.
    pub fn accounts(&self) -> AccountStore {
        self.accounts.clone()
    }

    /// The same directories, with the key of the account store in this keyring.
    #[must_use]
    pub fn with_keyring(mut self, keyring: Arc<dyn Keyring>) -> Self {
        self.accounts = self.accounts.with_keyring(keyring);
        self
    }

    /// The directory of bulk registration runs.
    pub fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }

    /// The private homeserver's directory.
    pub fn private_homeserver(&self) -> PathBuf {
        self.state.join("homeserver")
    }
}

fn accounts_in(dir: PathBuf) -> AccountStore {
    AccountStore::new(dir).with_keyring(system_keyring())
}
