//! Helpers that every part of the engine uses: timestamps, digests, random text.

use matricula_core::Timestamp;
use sha2::{Digest, Sha256};

/// The alphabet of random tokens and identifiers.
pub(crate) const ALPHANUMERIC: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A time as the database stores it: milliseconds since the Unix epoch.
pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

/// Whether an expiry time has been reached. Without one it never is.
pub(crate) fn is_past(expires_at: Option<i64>, now: Timestamp) -> bool {
    expires_at.is_some_and(|at| at <= millis(now))
}

/// The SHA-256 digest as which a secret is stored, so that a reader of the database cannot use it.
pub(crate) fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}
