//! The keyring for the key of the account store.

use std::{path::PathBuf, sync::Arc};

use matricula::{Keyring, KeyringError, NoKeyring, core::Secret, system_keyring};

use crate::{args::accounts::KeyringUse, output::Output};

const SWITCHED_OFF: &str = "it is switched off by --keyring off or MATRICULA_KEYRING";

/// The keyring that the options choose.
pub(crate) fn chosen(choice: KeyringUse) -> Arc<dyn Keyring> {
    match choice {
        KeyringUse::Auto => system_keyring(),
        KeyringUse::Off => Arc::new(NoKeyring { why: SWITCHED_OFF }),
    }
}

/// The same keyring, which prints a message if a new store cannot use it. Nothing is printed if the
/// keyring was switched off.
pub(crate) fn announced(choice: KeyringUse, accounts: PathBuf, output: Output) -> Arc<dyn Keyring> {
    match choice {
        KeyringUse::Auto => Arc::new(AnnouncingKeyring {
            keyring: chosen(choice),
            accounts,
            output,
        }),
        KeyringUse::Off => chosen(choice),
    }
}

/// A keyring that prints a message if it does not store a key. This happens once, because the store
/// then has a file without encryption.
#[derive(Debug)]
struct AnnouncingKeyring {
    keyring: Arc<dyn Keyring>,
    accounts: PathBuf,
    output: Output,
}

impl Keyring for AnnouncingKeyring {
    fn key(&self, id: &str) -> Result<Option<Secret>, KeyringError> {
        self.keyring.key(id)
    }

    fn keep(&self, id: &str, label: &str, key: &Secret) -> Result<(), KeyringError> {
        let kept = self.keyring.keep(id, label, key);
        if let Err(error) = &kept {
            self.output.say(&format!(
                "secrets are stored in {}, a file that only you can read: {error}",
                self.accounts.display()
            ));
        }
        kept
    }

    fn forget(&self, id: &str) -> Result<(), KeyringError> {
        self.keyring.forget(id)
    }
}
