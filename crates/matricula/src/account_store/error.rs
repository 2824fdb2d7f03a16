//! The error of the account store.

use std::{io, path::PathBuf};

use matricula_core::StoreError;

use crate::KeyringError;

/// Why an [`AccountStore`](crate::AccountStore) could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountStoreError {
    /// A file operation failed.
    #[error("could not {what} {}: {error}; check the permissions and the free space, or name another directory", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operation, as a verb.
        what: &'static str,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A server returned the user ID of a stored account of another server.
    #[error("an account {user_id} of another server, {server}, is stored in {}; remove it from there (matricula accounts forget {user_id}), or name another directory", path.display())]
    OtherServer {
        /// The file.
        path: PathBuf,
        /// The user ID.
        user_id: String,
        /// The server of the stored account.
        server: String,
    },
    /// Other users of the machine can change the directory, or one above it.
    #[error("{} is no place for secrets: {} {why}; {help}, or name another directory", dir.display(), path.display())]
    NotPrivate {
        /// The directory or file with the secrets.
        dir: PathBuf,
        /// What other users can change.
        path: PathBuf,
        /// Why they can.
        why: &'static str,
        /// What to do about it.
        help: String,
    },
    /// The file was not written by this program.
    #[error("{} cannot be read ({what}); it was not changed: move it away to start with a new store", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another version wrote the file, in a format that this version does not read.
    #[error("{} has format {format}, and this program reads formats {}; it was not changed: use the version of the program that wrote it, or move it away to start with a new store", path.display(), supported.iter().map(u32::to_string).collect::<Vec<_>>().join(" and "))]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The formats that this version reads.
        supported: &'static [u32],
    },
    /// The file is encrypted, and the key is not available.
    #[error("the accounts in {} are sealed with a key in the system's keyring: {error}", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// The error of the keyring.
        error: KeyringError,
    },
    /// The keyring did not store the key, so the file was not encrypted. Nothing was changed.
    #[error("the accounts in {} stay in a file that only you can read: {error}", path.display())]
    NotSealed {
        /// The file.
        path: PathBuf,
        /// The error of the keyring.
        error: KeyringError,
    },
}

impl From<AccountStoreError> for StoreError {
    fn from(error: AccountStoreError) -> Self {
        Self::from_source(error)
    }
}
