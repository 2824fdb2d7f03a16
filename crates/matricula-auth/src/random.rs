//! Random identifiers and secrets, drawn from a step's entropy.

use matricula_core::{Entropy, Secret};

/// Lower-case letters and digits that are not mistaken for each other.
const READABLE: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters that need no escaping in a URL: 64 of them, six bits each.
const URL_SAFE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The key of a stored conversation: 10 characters, 50 bits.
pub(crate) fn conversation_id(entropy: &mut dyn Entropy) -> String {
    entropy.text(READABLE, 10)
}

/// The client secret of an email or phone validation: 32 characters, 160 bits.
pub(crate) fn client_secret(entropy: &mut dyn Entropy) -> Secret {
    entropy.text(READABLE, 32).into()
}

/// A device id. The client generates it, so that a second login after a lost response replaces the
/// device instead of adding one.
pub(crate) fn device_id(entropy: &mut dyn Entropy) -> String {
    entropy.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10)
}

/// A PKCE verifier or an OAuth 2.0 `state`: 43 characters, 258 bits.
pub(crate) fn url_safe_secret(entropy: &mut dyn Entropy) -> Secret {
    entropy.text(URL_SAFE, 43).into()
}

/// A password of 24 characters with about 130 bits of entropy. It has what password policies ask for:
/// lower and upper case letters, a digit, a symbol. It is longer if `min_length` is more than 24, up
/// to 256.
pub fn generate_password(entropy: &mut dyn Entropy, min_length: u64) -> Secret {
    const LENGTH: u64 = 24;
    // Longer minimums are not plausible.
    const MAX_LENGTH: u64 = 256;
    const LOWER: &[u8] = b"abcdefghijkmnopqrstuvwxyz";
    const UPPER: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
    const DIGITS: &[u8] = b"23456789";
    const SYMBOLS: &[u8] = b"-_.!=";
    let all = [LOWER, UPPER, DIGITS, SYMBOLS].concat();
    // One of each class, the rest from all of them.
    let mut password = entropy.text(LOWER, 1);
    password += &entropy.text(UPPER, 1);
    password += &entropy.text(DIGITS, 1);
    password += &entropy.text(SYMBOLS, 1);
    let rest = min_length.clamp(LENGTH, MAX_LENGTH) as usize - password.len();
    password += &entropy.text(&all, rest);
    Secret::from(password)
}
