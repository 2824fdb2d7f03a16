//! PKCE: proves that the client that redeems a code is the one that asked for it. Matrix allows the
//! method S256 only.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use matricula_api::oauth::{CodeChallenge, PkceError};
use matricula_core::Secret;
use sha2::{Digest, Sha256};

/// The challenge of a verifier.
pub(super) fn challenge(verifier: &Secret) -> Result<CodeChallenge, PkceError> {
    CodeChallenge::new(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose())))
}

#[cfg(test)]
mod tests {
    #[test]
    fn challenge_matches_rfc_example() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        let challenge = super::challenge(&verifier).unwrap();
        assert_eq!(
            challenge.as_str(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
