//! Where the keys lie that account stores are sealed with: apart from their files.

#[cfg(all(feature = "keyring", unix, not(target_os = "macos")))]
mod secret_service;

use std::{fmt, sync::Arc};

use matricula_core::Secret;

/// Keeps the keys of sealed account stores.
///
/// Each call may block, but not for longer than a person waits for an answer: where a keyring is not
/// there or does not answer, that is [`KeyringError`].
pub trait Keyring: fmt::Debug + Send + Sync {
    /// The key of this id; none where it is not there (any more).
    ///
    /// # Errors
    /// Where the keyring does not tell.
    fn key(&self, id: &str) -> Result<Option<Secret>, KeyringError>;

    /// Keeps a key, durably, under a label that tells a person what it is for.
    ///
    /// # Errors
    /// Where the keyring did not take it.
    fn keep(&self, id: &str, label: &str, key: &Secret) -> Result<(), KeyringError>;

    /// Forgets a key. That there is none is no error.
    ///
    /// # Errors
    /// Where the keyring did not do so.
    fn forget(&self, id: &str) -> Result<(), KeyringError>;
}

/// The keyring of this system: the [Secret Service], where this crate was built with its feature
/// `keyring` for a system that has one. Otherwise one that is never there, and says so.
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

/// A keyring that is never there.
#[derive(Clone, Copy, Debug)]
pub struct NoKeyring {
    /// Why not, and what to do: "it is switched off".
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

/// Why a keyring did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// There is none.
    #[error("no keyring is there ({why})")]
    Absent {
        /// What was looked for.
        why: String,
    },
    /// It did not answer in time.
    #[error("the keyring did not answer within {seconds} s; try again when it does")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// A person has to unlock it.
    #[error("the keyring is locked; unlock it, and try again")]
    Locked,
    /// The key is not in it any more.
    #[error(
        "the keyring does not have the key; bring it back from a copy of the keyring, or move the file aside to begin anew"
    )]
    Lost,
    /// It refused.
    #[error("the keyring refused ({words})")]
    Refused {
        /// Its words.
        words: String,
    },
}
