//! Where this user's accounts and private homeservers are kept.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use etcetera::BaseStrategy;

use crate::{AccountStore, Error, Keyring, system_keyring};

/// The variable that names another directory than the usual ones.
const VARIABLE: &str = "MATRICULA_HOME";

/// The directories of this user's data, as the `matricula` command uses them.
#[derive(Clone, Debug)]
pub struct DataDirs {
    accounts: AccountStore,
    state: PathBuf,
}

impl DataDirs {
    /// What `MATRICULA_HOME` names, else where the [XDG base directory specification] says.
    ///
    /// [XDG base directory specification]: https://specifications.freedesktop.org/basedir-spec/latest/
    ///
    /// # Errors
    /// Where no home directory is known.
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

    /// Everything below this directory.
    ///
    /// # Errors
    /// Where a relative path leads nowhere, for there is no current directory.
    pub fn at(dir: &Path) -> Result<Self, Error> {
        let dir = std::path::absolute(dir).map_err(|_| Error::NoHome)?;
        Ok(Self {
            accounts: accounts_in(dir.clone()),
            state: dir,
        })
    }

    /// The accounts. Where they are sealed, the [system's keyring](system_keyring) has the key.
    pub fn accounts(&self) -> AccountStore {
        self.accounts.clone()
    }

    /// The same directories, with the key of the accounts in this keyring.
    #[must_use]
    pub fn with_keyring(mut self, keyring: Arc<dyn Keyring>) -> Self {
        self.accounts = self.accounts.with_keyring(keyring);
        self
    }

    /// Where runs of bulk registration are kept.
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
