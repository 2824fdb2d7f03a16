//! Authenticated encryption of the account store.

use base64::{Engine, engine::general_purpose::STANDARD};
use matricula_core::{Entropy, Secret};
use matricula_http::SystemEntropy;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

/// The only supported cipher, by its name in [RFC
/// 8439](https://www.rfc-editor.org/rfc/rfc8439#section-2.8).
const CIPHER: &str = "AEAD_CHACHA20_POLY1305";

/// A ciphertext and everything but the key that decryption needs. Bytes are in base64.
#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    cipher: String,
    /// The ID of the key.
    pub(super) key: String,
    nonce: String,
    text: String,
}

/// A key and its ID. The ID is not secret.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) id: String,
    /// 32 bytes in base64, because keyrings store text.
    pub(super) secret: Secret,
    cipher: LessSafeKey,
}

impl Key {
    /// A new random key.
    pub(super) fn random() -> Self {
        let id: [u8; 16] = random();
        let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret: [u8; 32] = random();
        let secret = Secret::from(STANDARD.encode(secret));
        Self::new(id, secret).expect("32 bytes are a key")
    }

    /// A key as a keyring stores it; `None` if it is malformed.
    pub(super) fn new(id: String, secret: Secret) -> Option<Self> {
        let bytes = STANDARD.decode(secret.expose()).ok()?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok()?;
        Some(Self {
            id,
            secret,
            cipher: LessSafeKey::new(key),
        })
    }

    /// Encrypts a text with a random nonce. A file is written some thousand times in its life: a
    /// nonce of 96 bits does not repeat.
    pub(super) fn seal(&self, mut text: Vec<u8>) -> Sealed {
        let nonce: [u8; NONCE_LEN] = random();
        let with = Nonce::assume_unique_for_key(nonce);
        self.cipher
            .seal_in_place_append_tag(with, Aad::from(&self.id), &mut text)
            .expect("the store is smaller than 256 GiB");
        Sealed {
            cipher: CIPHER.to_owned(),
            key: self.id.clone(),
            nonce: STANDARD.encode(nonce),
            text: STANDARD.encode(text),
        }
    }

    /// Decrypts what [`Key::seal`] encrypted.
    pub(super) fn open(&self, sealed: &Sealed) -> Result<Vec<u8>, String> {
        if sealed.cipher != CIPHER {
            return Err("it is encrypted with an unknown cipher".to_owned());
        }
        let broken = || "it is damaged: decryption failed".to_owned();
        let nonce = STANDARD.decode(&sealed.nonce).map_err(|_| broken())?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| broken())?;
        let mut text = STANDARD.decode(&sealed.text).map_err(|_| broken())?;
        let opened = self
            .cipher
            .open_in_place(nonce, Aad::from(&self.id), &mut text);
        let length = opened.map_err(|_| broken())?.len();
        text.truncate(length);
        Ok(text)
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemEntropy.fill(&mut bytes);
    bytes
}
