//! Encrypts a store with a key in the keyring, and decrypts it.
//!
//! The keyring has the key of the current file at any moment: the key is stored before a file is
//! encrypted with it, and removed after that file is replaced. A crash in between leaves a key
//! without a file.

use std::sync::PoisonError;

use super::{
    AccountStore, AccountStoreError,
    cipher::Key,
    file_format::{Content, Form, Read},
    files,
};
use crate::{Keyring, KeyringError, NoKeyring};

const NO_KEYRING: NoKeyring = NoKeyring {
    why: "this program gave the store no keyring; see AccountStore::with_keyring and the feature `keyring` of the crate matricula",
};

impl AccountStore {
    /// Whether the file is encrypted with a key in the keyring. It does not read the key.
    ///
    /// # Errors
    /// If the file cannot be read, or has another format.
    pub fn is_sealed(&self) -> Result<bool, AccountStoreError> {
        let Some(text) = files::read(&self.path())? else {
            return Ok(false);
        };
        let read = Content::read(&text).map_err(|error| self.read_error(error))?;
        Ok(matches!(read, Read::Sealed(_)))
    }

    /// Encrypts the file with a new key, which the keyring stores. Returns `false` if it was
    /// encrypted already.
    ///
    /// # Errors
    /// If the keyring does not store the key, or the file cannot be read or written. The file is
    /// then unchanged.
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

    /// Decrypts the file, so that it can be read without the keyring. Returns `false` if it was not
    /// encrypted.
    ///
    /// # Errors
    /// If the file cannot be decrypted or written. The file is then unchanged.
    pub fn unseal(&self) -> Result<bool, AccountStoreError> {
        files::make_dir(&self.dir)?;
        let _lock = self.lock()?;
        let (content, form) = self.read_form()?;
        let Some(Form::Sealed(key)) = form else {
            return Ok(false);
        };
        self.replace(&Form::Plain, &content)?;
        // If removing fails, the key is useless but harmless.
        let _ = self.keyring().forget(&key.id);
        Ok(true)
    }

    /// The encoding of a new file: encrypted if a keyring stores the key.
    pub(super) fn first_form(&self) -> Form {
        if self.keyring.is_none() {
            return Form::Plain;
        }
        self.make_key()
            .map_or(Form::Plain, |key| Form::Sealed(Box::new(key)))
    }

    /// The key of this ID, from the keyring unless it is cached.
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

    /// A new key, read back from the keyring: without this check, a keyring that loses the key
    /// would make the file unreadable.
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
