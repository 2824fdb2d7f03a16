//! [Signatures](https://spec.matrix.org/v1.19/appendices/#signing-json) of JSON objects and events with Ed25519.
//!
//! Signed text goes out as it came in: fields that are not known here, and numbers of any size, stay as they are.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ed25519_dalek::{Signature, Signer};
use sha2::{Digest, Sha256};

use crate::{
    EventIdFormat, JsonError, RoomVersion,
    canonical_json::{Numbers, write_object},
    hashes::{chosen_event_id, content_hash_of, essential_json, id_of_hash},
    raw::{Object, written},
    redaction::redact,
};

/// Unpadded Base64, read with or without padding, as the specification advises.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const ED25519: &str = "ed25519:";

/// Writes bytes as [unpadded Base64](https://spec.matrix.org/v1.19/appendices/#unpadded-base64).
pub fn encode_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Reads Base64 with or without padding; none if it is something else.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// A private key and its id. It is erased from memory when it is dropped, and `Debug` shows only the id.
#[derive(Clone)]
pub struct SigningKey {
    id: String,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key of a seed, which are 32 random bytes. The id begins with `ed25519:`.
    ///
    /// # Errors
    /// If the id is not the id of an Ed25519 key.
    pub fn from_seed(id: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        check_key_id(id)?;
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        Ok(Self { id: id.into(), key })
    }

    /// The id, such as `ed25519:1`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.key.verifying_key())
    }

    fn sign(&self, message: &str) -> String {
        encode_base64(&self.key.sign(message.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Reads a public key in Base64.
    ///
    /// # Errors
    /// If it is not the public key of an Ed25519 key.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes: [u8; 32] = decode_base64(text)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(KeyError::NotAKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes);
        key.map(Self).map_err(|_| KeyError::NotAKey)
    }

    /// The public key in unpadded Base64.
    pub fn to_base64(self) -> String {
        encode_base64(self.0.as_bytes())
    }

    fn verify(self, message: &str, signature: &str) -> Result<(), SignatureError> {
        let bytes: [u8; 64] = decode_base64(signature)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(SignatureError::NotASignature)?;
        // Strict: keys that verify many signatures are refused.
        self.0
            .verify_strict(message.as_bytes(), &Signature::from_bytes(&bytes))
            .map_err(|_| SignatureError::Wrong)
    }
}

/// Signs a JSON object for an entity: a server name or a user id. The signature covers everything but `signatures` and
/// `unsigned`, and joins the signatures that are there.
///
/// # Errors
/// If it is not a JSON object, has numbers that are not integers within ±(2^53−1), or `signatures` of another form.
pub fn sign_json(object: &str, entity: &str, key: &SigningKey) -> Result<String, JsonError> {
    let object = Object::parse(object)?;
    let signature = key.sign(&signed_json(&object, Numbers::Strict)?);
    let signatures = written(add_signature(&object, entity, &key.id, &signature)?);
    let mut signed = object;
    signed.insert("signatures", &signatures);
    Ok(signed.to_json())
}

/// Checks an entity's signature of a JSON object with a key of this id.
///
/// # Errors
/// If there is no such signature, or it is wrong.
pub fn verify_json(
    object: &str,
    entity: &str,
    key_id: &str,
    key: VerifyingKey,
) -> Result<(), SignatureError> {
    let object = Object::parse(object)?;
    let signature = find_signature(&object, entity, key_id)?;
    key.verify(&signed_json(&object, Numbers::Lenient)?, &signature)
}

/// An event with its content hash, signature and id. `Debug` shows the size of the event, because events are private.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedEvent {
    /// The event: JSON in the format for servers.
    pub json: String,
    /// Its id, which the JSON itself has only in versions 1 and 2.
    pub event_id: String,
}

impl fmt::Debug for SignedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedEvent")
            .field("event_id", &self.event_id)
            .field("json", &format_args!("{} bytes", self.json.len()))
            .finish()
    }
}

/// Adds the content hash and a server's signature to an event: a JSON text in the format for servers. Also finds its
/// id, since the signature and the reference hash cover the same text.
///
/// # Errors
/// If it is not an event with `type` and `content`, not canonical JSON where the room version wants that, or has no
/// `event_id` in versions 1 and 2.
pub fn hash_and_sign_event(
    event: &str,
    version: RoomVersion,
    server_name: &str,
    key: &SigningKey,
) -> Result<SignedEvent, JsonError> {
    let event = Object::parse(event)?;
    let hash = content_hash_of(&event, version)?;
    let hashes = written(format!(r#"{{"sha256":"{hash}"}}"#));
    let mut hashed = event;
    hashed.insert("hashes", &hashes);

    let event_id = match version.rules().event_id_format {
        EventIdFormat::Chosen => Some(chosen_event_id(&hashed)?),
        _ => None,
    };
    let essential = essential_json(hashed.clone(), version)?;
    let signature = key.sign(&essential);
    let signatures = written(add_signature(&hashed, server_name, &key.id, &signature)?);
    let mut signed = hashed;
    signed.insert("signatures", &signatures);
    let event_id =
        event_id.unwrap_or_else(|| id_of_hash(&Sha256::digest(&essential).into(), version));
    let json = signed.to_json();
    Ok(SignedEvent { json, event_id })
}

/// What is known of an event whose signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifiedEvent {
    /// The content hash is right: all of the event is as it was signed.
    Intact,
    /// The content hash is wrong, as after a redaction: only this redacted event is as it was signed.
    Redacted(String),
}

/// Checks a server's signature of an event, and the content hash.
///
/// # Errors
/// If there is no such signature, or it is wrong.
pub fn verify_event(
    event: &str,
    version: RoomVersion,
    server_name: &str,
    key_id: &str,
    key: VerifyingKey,
) -> Result<VerifiedEvent, SignatureError> {
    let object = Object::parse(event)?;
    let signature = find_signature(&object, server_name, key_id)?;
    let stated = object
        .object("hashes")
        .and_then(|hashes| decode_base64(&hashes.text("sha256")?));
    let actual = decode_base64(&content_hash_of(&object, version)?);
    key.verify(&essential_json(object, version)?, &signature)?;
    if stated.is_some() && stated == actual {
        Ok(VerifiedEvent::Intact)
    } else {
        Ok(VerifiedEvent::Redacted(redact(event, version)?))
    }
}

/// What a signature of an object covers.
fn signed_json(object: &Object<'_>, numbers: Numbers) -> Result<String, JsonError> {
    write_object(object, &["signatures", "unsigned"], numbers)
}

/// The object's `signatures` with one more.
fn add_signature(
    object: &Object<'_>,
    entity: &str,
    key_id: &str,
    signature: &str,
) -> Result<String, JsonError> {
    let wrong = || JsonError::wrong("signatures", "an object of objects");
    let read = |value| Object::of(value).ok_or_else(wrong);
    let signatures = object.get("signatures").map(read).transpose()?;
    let signatures = signatures.unwrap_or_default();
    let of_entity = signatures.get(entity).map(read).transpose()?;

    let signature = written(format!(r#""{signature}""#));
    let mut of_entity = of_entity.unwrap_or_default();
    of_entity.insert(key_id, &signature);
    let of_entity = written(of_entity.to_json());
    let mut all = signatures;
    all.insert(entity, &of_entity);
    Ok(all.to_json())
}

fn find_signature(
    object: &Object<'_>,
    entity: &str,
    key_id: &str,
) -> Result<String, SignatureError> {
    check_key_id(key_id)?;
    let missing = || SignatureError::Missing {
        entity: entity.to_owned(),
        key_id: key_id.to_owned(),
    };
    let signature = object
        .object("signatures")
        .and_then(|all| all.object(entity)?.text(key_id).map(|it| it.into_owned()));
    signature.ok_or_else(missing)
}

fn check_key_id(id: &str) -> Result<(), KeyError> {
    match id.strip_prefix(ED25519) {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err(KeyError::NotAKeyId(id.to_owned())),
    }
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The id is not the id of an Ed25519 key.
    #[error(
        "{0:?} is not the id of an Ed25519 key: it must begin with {ED25519}, followed by a name"
    )]
    NotAKeyId(String),
    /// The key is not a public key.
    #[error("this is not an Ed25519 public key: 32 bytes in Base64 that are a point of the curve")]
    NotAKey,
}

/// What is wrong with a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no signature by this entity with a key of this id.
    #[error("there is no signature by {entity} with the key {key_id}")]
    Missing {
        /// The server or user.
        entity: String,
        /// The key.
        key_id: String,
    },
    /// It is not 64 bytes in Base64.
    #[error("a signature must be 64 bytes in Base64")]
    NotASignature,
    /// The signature does not belong to this text and key.
    #[error("the signature is wrong: the object was changed, or signed with another key")]
    Wrong,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The object cannot be used.
    #[error(transparent)]
    Json(#[from] JsonError),
}
