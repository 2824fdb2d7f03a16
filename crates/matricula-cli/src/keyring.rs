//! Which keyring keeps the key that the accounts are sealed with.

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

/// The same, for a store that falls back to a file, which is then said. Who switched the keyring off
/// knows.
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

/// A keyring of which it is said aloud when it is not there for a new store. The store then keeps a
/// file, which is there the next time: so that is said once.
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
                "secrets are kept in {}, a file that only you can read: {error}",
                self.accounts.display()
            ));
        }
        kept
    }

    fn forget(&self, id: &str) -> Result<(), KeyringError> {
        self.keyring.forget(id)
    }
}
