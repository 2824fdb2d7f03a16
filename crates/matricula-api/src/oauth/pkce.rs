//! PKCE: code verifier and code challenge.

use matricula_core::Secret;

/// The code verifier: 43 to 128 [random] characters, secret until the code is redeemed.
///
/// [random]: https://datatracker.ietf.org/doc/html/rfc7636#section-4.1
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeVerifier(Secret);

impl CodeVerifier {
    /// Takes a verifier.
    ///
    /// # Errors
    /// If it is too short or too long, or has other characters than `A`-`Z`, `a`-`z`, `0`-`9`,
    /// `-`, `.`, `_` and `~`.
    pub fn new(verifier: impl Into<Secret>) -> Result<Self, PkceError> {
        let verifier: Secret = verifier.into();
        let text = verifier.expose();
        let fits =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if (43..=128).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(verifier))
        } else {
            Err(PkceError::Verifier)
        }
    }

    /// The text. Only for the wire and for a secret store.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The code challenge: the SHA-256 of the [`CodeVerifier`], as base64 for addresses, without
/// padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// The method: the only one that Matrix allows.
    pub const METHOD: &'static str = "S256";

    /// Takes a challenge.
    ///
    /// # Errors
    /// If it is not 43 characters of that base64.
    pub fn new(challenge: impl Into<String>) -> Result<Self, PkceError> {
        let challenge = challenge.into();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if challenge.len() == 43 && challenge.bytes().all(fits) {
            Ok(Self(challenge))
        } else {
            Err(PkceError::Challenge)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is neither of the two. The text is not repeated: it may be the secret one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PkceError {
    /// No [`CodeVerifier`].
    #[error("a code verifier has 43 to 128 characters of A-Z, a-z, 0-9, `-`, `.`, `_` and `~`")]
    Verifier,
    /// No [`CodeChallenge`].
    #[error("a code challenge is a SHA-256 in 43 characters of unpadded base64url")]
    Challenge,
}
