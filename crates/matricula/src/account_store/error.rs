//! Why something could not be kept or read back.

use std::{io, path::PathBuf};

use matricula_core::StoreError;

use crate::KeyringError;

/// Why something could not be kept or read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountStoreError {
    /// The file system refused.
    #[error("could not {what} {}: {error}; check the rights and the free space, or name another directory", path.display())]
    Io {
        /// What the file system refused.
        path: PathBuf,
        /// What was to be done with it.
        what: &'static str,
        /// Its words.
        error: io::Error,
    },
    /// A server gave the name of an account that is kept for another server.
    #[error("an account {user_id} of another server, {server}, is kept in {}; sign out of it first, or name another directory", path.display())]
    OtherServer {
        /// Which file.
        path: PathBuf,
        /// Which name.
        user_id: String,
        /// Whose account is kept.
        server: String,
    },
    /// The file was not written by this program, or by a newer version.
    #[error("{} cannot be read ({what}); it is left as it is: move it aside to begin anew", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// What is kept is sealed, and the key could not be had.
    #[error("the accounts in {} are sealed with a key in the system's keyring: {error}", path.display())]
    Sealed {
        /// Which file.
        path: PathBuf,
        /// Why there is no key.
        error: KeyringError,
    },
    /// They were to be sealed, and the keyring did not take the key. Nothing was changed.
    #[error("the accounts in {} stay in a file that only you can read: {error}", path.display())]
    NotSealed {
        /// Which file.
        path: PathBuf,
        /// Why the key was not kept.
        error: KeyringError,
    },
}

impl From<AccountStoreError> for StoreError {
    fn from(error: AccountStoreError) -> Self {
        Self::from_source(error)
    }
}
