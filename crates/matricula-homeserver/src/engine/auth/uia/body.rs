//! The body of a request without its `auth`: what a session is bound to, and what it remembers.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use matricula_core::Timestamp;
use rusqlite::Transaction;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::engine::{error::HandlerError, storage::uia_sessions};

/// The largest body that a session stores, in bytes. Of a larger one it stores the digest: the client
/// sends it again.
const MAX_STORED: usize = 16 * 1024;

/// What a session encrypts.
#[derive(Clone, Copy)]
pub(crate) enum Sealed {
    Body,
    Result,
}

/// A body without `auth`. Its JSON has sorted keys and no spaces, so that equal bodies are equal text.
pub(crate) struct BodyWithoutAuth {
    text: String,
    is_empty: bool,
}

impl BodyWithoutAuth {
    /// Reads the body of a request. One that is not an object, which no operation with `auth` takes, is
    /// as good as empty.
    pub(crate) fn of(body: &[u8]) -> Self {
        let mut fields = fields(body).unwrap_or_default();
        fields.remove("auth");
        let is_empty = fields.is_empty();
        let text = Value::Object(fields).to_string();
        Self { text, is_empty }
    }

    /// Whether the request had only `auth`: it means the first body of its session.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    pub(crate) fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.text.as_bytes()).to_vec()
    }

    /// What a session with this id stores of the body.
    pub(crate) fn seal(&self, session: &str) -> Option<Vec<u8>> {
        let is_stored = !self.is_empty && self.text.len() <= MAX_STORED;
        is_stored.then(|| seal(session, Sealed::Body, self.text.as_bytes()))
    }
}

/// The body that is handled for this one: where a request has only `auth`, the first body of its session
/// with this `auth`.
pub(crate) fn with_first_body<'a>(
    tx: &Transaction<'_>,
    now: Timestamp,
    body: Cow<'a, [u8]>,
) -> Result<Cow<'a, [u8]>, HandlerError> {
    // Most requests end here, without being parsed.
    if body.len() > MAX_STORED || !body.windows(6).any(|it| it == b"\"auth\"") {
        return Ok(body);
    }
    let Some(only_auth) = fields(&body).filter(|it| it.len() == 1) else {
        return Ok(body);
    };
    let session = only_auth.get("auth").and_then(|it| it.get("session"));
    let Some(session) = session.and_then(Value::as_str) else {
        return Ok(body);
    };
    let stored = uia_sessions::find(tx, now, session)?.and_then(|it| it.body);
    let Some(stored) = stored else {
        return Ok(body);
    };
    let mut first: Map<String, Value> =
        serde_json::from_slice(&seal(session, Sealed::Body, &stored))?;
    first.extend(only_auth);
    Ok(Cow::Owned(Value::Object(first).to_string().into_bytes()))
}

fn fields(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(body).ok()
}

/// Encrypts, and decrypts: both combine the bytes with HMAC-SHA-256 of a counter, keyed by the id of the
/// session. Only the client has that random id, so that a reader of the database cannot read new
/// passwords and tokens. Each session encrypts one text of each kind.
pub(crate) fn seal(session: &str, kind: Sealed, bytes: &[u8]) -> Vec<u8> {
    let label = match kind {
        Sealed::Body => b"body",
        Sealed::Result => b"done",
    };
    let mut sealed = bytes.to_vec();
    for (number, block) in sealed.chunks_mut(32).enumerate() {
        let mut mac = Hmac::<Sha256>::new_from_slice(session.as_bytes())
            .expect("an HMAC takes keys of any length");
        mac.update(label);
        mac.update(&(number as u64).to_be_bytes());
        for (byte, pad) in block.iter_mut().zip(mac.finalize().into_bytes()) {
            *byte ^= pad;
        }
    }
    sealed
}
