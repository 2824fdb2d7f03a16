//! The proof that who redeems a code is who asked for it: PKCE, in its one way that Matrix allows.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use matricula_api::oauth::{CodeChallenge, PkceError};
use matricula_core::{Entropy, Secret};
use sha2::{Digest, Sha256};

/// Characters that need no escape anywhere: 64 of them, six bits each.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A secret of 43 characters, which are 258 bits: a verifier, or a state.
pub(crate) fn draw(entropy: &mut dyn Entropy) -> Secret {
    entropy.text(ALPHABET, 43).into()
}

/// What the server is shown beforehand of the verifier.
pub(super) fn challenge(verifier: &Secret) -> Result<CodeChallenge, PkceError> {
    CodeChallenge::new(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose())))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_challenge_is_the_one_of_the_standards_example() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        let challenge = super::challenge(&verifier).unwrap();
        assert_eq!(
            challenge.as_str(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
