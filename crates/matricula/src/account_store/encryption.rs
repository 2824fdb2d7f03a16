//! Moving a store into the keyring's keeping, and out of it.
//!
//! At any moment the key of the file that is there is in the keyring: it is kept before a file is
//! sealed with it, and forgotten after the last such file is gone. A crash in between leaves a key
//! that opens nothing.

use std::sync::PoisonError;

use super::{
    AccountStore, AccountStoreError,
    cipher::Key,
    file_format::{Content, Form, Read},
    files,
};
use crate::{Keyring, KeyringError, NoKeyring};

const NO_KEYRING: NoKeyring = NoKeyring {
    why: "this program gave the store none; see AccountStore::with_keyring and the feature `keyring` of the crate matricula",
};

impl AccountStore {
    /// Whether the file is sealed with a key in the keyring. No key is needed to tell.
    ///
    /// # Errors
    /// Where the file cannot be read or was not written by this program.
    pub fn is_sealed(&self) -> Result<bool, AccountStoreError> {
        let Some(text) = files::read(&self.path())? else {
            return Ok(false);
        };
        let read = Content::read(&text).map_err(|what| self.unreadable(&what))?;
        Ok(matches!(read, Read::Sealed(_)))
    }

    /// Seals the file with a new key, which the keyring keeps. Returns whether it was not sealed yet.
    ///
    /// # Errors
    /// Where the keyring does not take the key, or the file cannot be read or written; it then stays
    /// as it is.
    pub fn seal(&self) -> Result<bool, AccountStoreError> {
        files::make_dir(&self.dir)?;
        let _lock = self.lock()?;
        let (content, form) = self.read_form()?;
        if let Some(Form::Sealed(_)) = form {
            return Ok(false);
        }
        let key = self
            .make_key()
            .map_err(|error| AccountStoreError::NotSealed {
                path: self.path(),
                error,
            })?;
        self.replace(&Form::Sealed(Box::new(key)), &content)?;
        Ok(true)
    }

    /// Writes the file unsealed, so that it can be read without the keyring by whoever may read the
    /// file. Returns whether it was sealed.
    ///
    /// # Errors
    /// Where the file cannot be opened or written; it then stays as it is.
    pub fn unseal(&self) -> Result<bool, AccountStoreError> {
        files::make_dir(&self.dir)?;
        let _lock = self.lock()?;
        let (content, form) = self.read_form()?;
        let Some(Form::Sealed(key)) = form else {
            return Ok(false);
        };
        self.replace(&Form::Plain, &content)?;
        // A key that stays behind opens nothing any more.
        let _ = self.keyring().forget(&key.id);
        Ok(true)
    }

    /// How a new file is written: sealed, where there is a keyring that takes the key.
    pub(super) fn first_form(&self) -> Form {
        if self.keyring.is_none() {
            return Form::Plain;
        }
        self.make_key()
            .map_or(Form::Plain, |key| Form::Sealed(Box::new(key)))
    }

    /// The key of this id, from the keyring unless it was used before.
    pub(super) fn key(&self, id: &str) -> Result<Key, AccountStoreError> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.as_ref().filter(|key| key.id == id) {
            return Ok(key.clone());
        }
        let key = self.keyring().key(id).and_then(|secret| {
            let key = secret.and_then(|secret| Key::new(id.to_owned(), secret));
            key.ok_or(KeyringError::Lost)
        });
        let key = key.map_err(|error| AccountStoreError::Sealed {
            path: self.path(),
            error,
        })?;
        *known = Some(key.clone());
        Ok(key)
    }

    /// A new key that the keyring is known to have: one that it only says to keep would lock
    /// everybody out.
    fn make_key(&self) -> Result<Key, KeyringError> {
        let key = Key::random();
        let label = format!("matricula: the key of {}", self.path().display());
        self.keyring().keep(&key.id, &label, &key.secret)?;
        match self.keyring().key(&key.id)? {
            Some(kept) if kept == key.secret => {}
            _ => return Err(KeyringError::Lost),
        }
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        Ok(key)
    }

    fn keyring(&self) -> &dyn Keyring {
        match &self.keyring {
            Some(keyring) => &**keyring,
            None => &NO_KEYRING,
        }
    }
}
