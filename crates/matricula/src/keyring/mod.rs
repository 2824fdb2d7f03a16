//! Keyrings: they store the encryption keys of account stores, apart from the files.

#[cfg(all(feature = "keyring", unix, not(target_os = "macos")))]
mod secret_service;

use std::{fmt, sync::Arc};

use matricula_core::Secret;

/// Stores the keys of encrypted account stores.
///
/// Each call may block for a few seconds. A keyring that is missing or does not answer is a
/// [`KeyringError`].
pub trait Keyring: fmt::Debug + Send + Sync {
    /// The key of this ID; `None` if the keyring does not have it.
    ///
    /// # Errors
    /// If the keyring cannot be read.
    fn key(&self, id: &str) -> Result<Option<Secret>, KeyringError>;

    /// Stores a key durably. The label tells people what it is for.
    ///
    /// # Errors
    /// If the keyring did not store it.
    fn keep(&self, id: &str, label: &str, key: &Secret) -> Result<(), KeyringError>;

    /// Removes a key. A missing key is not an error.
    ///
    /// # Errors
    /// If the keyring did not remove it.
    fn forget(&self, id: &str) -> Result<(), KeyringError>;
}

/// The keyring of this system: the [Secret Service] if this crate was built with its feature
/// `keyring` for a system that has one, otherwise [`NoKeyring`].
///
/// [Secret Service]: https://specifications.freedesktop.org/secret-service/latest/
pub fn system_keyring() -> Arc<dyn Keyring> {
    #[cfg(all(feature = "keyring", unix, not(target_os = "macos")))]
    return Arc::new(secret_service::SecretService);
    #[cfg(not(all(feature = "keyring", unix, not(target_os = "macos"))))]
    Arc::new(NoKeyring {
        why: "this program was built without it: enable the feature `keyring` of the crate matricula, on a system with a Secret Service",
    })
}

/// A keyring whose every operation fails.
#[derive(Clone, Copy, Debug)]
pub struct NoKeyring {
    /// The reason, such as "it is switched off".
    pub why: &'static str,
}

impl NoKeyring {
    fn absent<T>(self) -> Result<T, KeyringError> {
        Err(KeyringError::Absent {
            why: self.why.to_owned(),
        })
    }
}

impl Keyring for NoKeyring {
    fn key(&self, _: &str) -> Result<Option<Secret>, KeyringError> {
        self.absent()
    }

    fn keep(&self, _: &str, _: &str, _: &Secret) -> Result<(), KeyringError> {
        self.absent()
    }

    fn forget(&self, _: &str) -> Result<(), KeyringError> {
        self.absent()
    }
}

/// Why an operation of a keyring failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// There is no keyring.
    #[error("no keyring is available ({why})")]
    Absent {
        /// The reason.
        why: String,
    },
    /// It did not answer in time.
    #[error("the keyring did not answer within {seconds} s; try again when it does")]
    Silent {
        /// The timeout.
        seconds: u64,
    },
    /// It is locked.
    #[error("the keyring is locked; unlock it, and try again")]
    Locked,
    /// It does not have the key.
    #[error(
        "the keyring does not have the key; bring it back from a copy of the keyring, or move the file away to start with a new store"
    )]
    Lost,
    /// It reported an error.
    #[error("the keyring refused ({words})")]
    Refused {
        /// The text of the error.
        words: String,
    },
}
