//! What a sealed store tells without its key, and that no crash separates it from the key.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex},
};

use matricula::{AccountStore, AccountStoreError, Keyring, KeyringError, core::Secret};
use tempfile::TempDir;

use crate::store::{account, put};

const ALICE: &str = "@alice:example.org";

/// A keyring in memory, which can fail.
#[derive(Debug, Default)]
struct Memory {
    keys: Mutex<BTreeMap<String, Secret>>,
    asked: Mutex<usize>,
    fails: Mutex<Option<KeyringError>>,
    /// Whether it says that it keeps what it does not.
    lies: bool,
}

impl Memory {
    fn check(&self) -> Result<(), KeyringError> {
        *self.asked.lock().unwrap() += 1;
        self.fails.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn fail(&self, error: KeyringError) {
        *self.fails.lock().unwrap() = Some(error);
    }

    fn keys(&self) -> usize {
        self.keys.lock().unwrap().len()
    }
}

impl Keyring for Memory {
    fn key(&self, id: &str) -> Result<Option<Secret>, KeyringError> {
        self.check()?;
        Ok(self.keys.lock().unwrap().get(id).cloned())
    }

    fn keep(&self, id: &str, label: &str, key: &Secret) -> Result<(), KeyringError> {
        self.check()?;
        assert!(label.contains("accounts.json"), "{label}");
        if !self.lies {
            let mut keys = self.keys.lock().unwrap();
            keys.insert(id.to_owned(), key.clone());
        }
        Ok(())
    }

    fn forget(&self, id: &str) -> Result<(), KeyringError> {
        self.check()?;
        self.keys.lock().unwrap().remove(id);
        Ok(())
    }
}

fn with(dir: &TempDir, keyring: &Arc<Memory>) -> AccountStore {
    AccountStore::new(dir.path()).with_keyring(keyring.clone())
}

fn sealed() -> (TempDir, Arc<Memory>, AccountStore) {
    let (dir, keyring) = (TempDir::new().unwrap(), Arc::new(Memory::default()));
    let mut store = with(&dir, &keyring);
    put(&mut store, ALICE).unwrap();
    assert!(store.is_sealed().unwrap());
    (dir, keyring, store)
}

#[track_caller]
fn assert_tells_nothing(store: &AccountStore) {
    let text = fs::read_to_string(store.path()).unwrap();
    for word in ["canary", "alice", "example", "LAPTOP", "tables", "accounts"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[test]
fn encrypted_file_reveals_nothing() {
    let (dir, keyring, store) = sealed();
    assert_tells_nothing(&store);
    assert_eq!(fs::metadata(store.path()).unwrap().mode() & 0o777, 0o600);
    let other = with(&dir, &keyring);
    assert_eq!(other.account(None).unwrap(), Some(account(ALICE)));
    assert!(!format!("{other:?}").contains("canary"));
    let key = keyring
        .keys
        .lock()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    let text = fs::read_to_string(store.path()).unwrap();
    assert!(!text.contains(key.expose()), "the key lies beside the lock");
    assert!(!format!("{store:?}").contains(key.expose()));
}

#[test]
fn rewriting_uses_a_new_nonce() {
    let (_dir, keyring, mut store) = sealed();
    let before = fs::read(store.path()).unwrap();
    put(&mut store, ALICE).unwrap();
    assert_ne!(fs::read(store.path()).unwrap(), before);
    assert_tells_nothing(&store);
    assert_eq!(keyring.keys(), 1);
}

#[test]
fn keyring_is_asked_once() {
    let (dir, keyring, _) = sealed();
    let store = with(&dir, &keyring);
    let before = *keyring.asked.lock().unwrap();
    for _ in 0..3 {
        store.clone().accounts().unwrap();
        put(&mut store.clone(), "@bob:example.org").unwrap();
    }
    assert_eq!(*keyring.asked.lock().unwrap(), before + 1);
}

#[test]
fn missing_keyring_means_private_file() {
    let (dir, keyring) = (TempDir::new().unwrap(), Arc::new(Memory::default()));
    keyring.fail(KeyringError::Locked);
    let mut store = with(&dir, &keyring);
    put(&mut store, ALICE).unwrap();
    assert!(!store.is_sealed().unwrap());
    assert_eq!(fs::metadata(store.path()).unwrap().mode() & 0o777, 0o600);
    // It stays what it is: the keyring is not asked with every write.
    let asked = *keyring.asked.lock().unwrap();
    *keyring.fails.lock().unwrap() = None;
    put(&mut store, "@bob:example.org").unwrap();
    assert!(!store.is_sealed().unwrap());
    assert_eq!(*keyring.asked.lock().unwrap(), asked);
}

#[test]
fn key_is_read_back_from_keyring() {
    let dir = TempDir::new().unwrap();
    let keyring = Arc::new(Memory {
        lies: true,
        ..Memory::default()
    });
    let mut store = with(&dir, &keyring);
    put(&mut store, ALICE).unwrap();
    assert!(!store.is_sealed().unwrap());
    assert!(matches!(
        store.seal(),
        Err(AccountStoreError::NotSealed { .. })
    ));
    assert_eq!(store.accounts().unwrap().len(), 1);
}

#[test]
fn missing_key_is_refused() {
    let (dir, keyring, store) = sealed();
    let before = fs::read(store.path()).unwrap();
    let silent = KeyringError::Silent { seconds: 2 };
    for (error, words) in [
        (Some(KeyringError::Locked), "unlock it"),
        (Some(silent), "did not answer within 2 s; try again"),
        (None, "does not have the key; bring it back"),
    ] {
        keyring.keys.lock().unwrap().clear();
        *keyring.fails.lock().unwrap() = error;
        let mut store = with(&dir, &keyring);
        let errors = [
            store.accounts().map(drop).unwrap_err().into(),
            put(&mut store, "@bob:example.org").unwrap_err(),
            store.unseal().map(drop).unwrap_err().into(),
            store.seal().map(drop).unwrap_err().into(),
        ];
        for error in errors {
            assert!(
                matches!(error.source_as(), Some(AccountStoreError::Sealed { .. })),
                "{error:?}"
            );
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(fs::read(store.path()).unwrap(), before);
    }
    // A program without a keyring gets an error that says so.
    let error = AccountStore::new(dir.path()).accounts().unwrap_err();
    assert!(error.to_string().contains("feature `keyring`"), "{error}");
}

#[test]
fn changed_file_is_refused() {
    let (dir, keyring, store) = sealed();
    let text = fs::read_to_string(store.path()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sealed = value["sealed"]["text"].as_str().unwrap();
    let first = if sealed.starts_with('A') { "B" } else { "A" };
    let changed = text.replace(sealed, &format!("{first}{}", &sealed[1..]));
    let unknown = text.replace("AEAD_CHACHA20_POLY1305", "ROT13");
    for (text, words) in [
        (changed, "it is damaged: decryption failed"),
        (
            text.replace(sealed, "no base64"),
            "it is damaged: decryption failed",
        ),
        (text.replace(sealed, ""), "it is damaged: decryption failed"),
        (unknown, "it is encrypted with an unknown cipher"),
    ] {
        fs::write(store.path(), &text).unwrap();
        let error = with(&dir, &keyring).accounts().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(fs::read_to_string(store.path()).unwrap(), text);
    }
}

#[test]
fn sealing_and_unsealing_keep_content() {
    let (dir, keyring) = (TempDir::new().unwrap(), Arc::new(Memory::default()));
    let mut plain = AccountStore::new(dir.path());
    put(&mut plain, ALICE).unwrap();
    put(&mut plain, "@bob:example.org").unwrap();
    plain.set_default("@bob:example.org").unwrap();
    let before = fs::read_to_string(plain.path()).unwrap();
    let store = with(&dir, &keyring);
    assert_eq!(store.accounts().unwrap().len(), 2);
    assert!(store.seal().unwrap());
    assert!(!store.seal().unwrap(), "it is sealed already");
    assert_tells_nothing(&store);
    assert_eq!(with(&dir, &keyring).accounts().unwrap().len(), 2);
    assert!(store.unseal().unwrap());
    assert!(!store.unseal().unwrap());
    assert_eq!(fs::read_to_string(plain.path()).unwrap(), before);
    assert_eq!(keyring.keys(), 0, "the key is forgotten");
}

/// Fails to write: something that cannot be removed stands where the new file would.
fn block(dir: &TempDir) {
    fs::create_dir_all(dir.path().join("accounts.json.new/x")).unwrap();
}

#[test]
fn crash_leaves_file_and_key() {
    // Before the file is replaced.
    let (dir, keyring) = (TempDir::new().unwrap(), Arc::new(Memory::default()));
    put(&mut AccountStore::new(dir.path()), ALICE).unwrap();
    block(&dir);
    with(&dir, &keyring).seal().unwrap_err();
    assert_eq!(AccountStore::new(dir.path()).accounts().unwrap().len(), 1);

    let (dir, keyring, store) = sealed();
    block(&dir);
    store.unseal().unwrap_err();
    assert_eq!(keyring.keys(), 1, "not forgotten before the file is open");
    assert_eq!(with(&dir, &keyring).accounts().unwrap().len(), 1);

    // After it was replaced, and before the key is forgotten.
    let (dir, keyring, store) = sealed();
    keyring.fail(KeyringError::Silent { seconds: 2 });
    assert!(store.unseal().unwrap());
    assert_eq!(AccountStore::new(dir.path()).accounts().unwrap().len(), 1);
}
