//! What a password must have, and what is said of one that has not.

use serde::{Deserialize, Serialize};

/// What a password must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PasswordPolicy {
    /// How many characters at least.
    pub min_length: usize,
    /// Whether a digit is needed.
    pub digit: bool,
    /// Whether something that is neither letter nor digit is needed.
    pub symbol: bool,
    /// Whether a capital letter is needed.
    pub uppercase: bool,
    /// Whether a small letter is needed.
    pub lowercase: bool,
    /// What the server says of a password that lacks something.
    pub codes: PasswordCodes,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            min_length: 1,
            digit: false,
            symbol: false,
            uppercase: false,
            lowercase: false,
            codes: PasswordCodes::default(),
        }
    }
}

impl PasswordPolicy {
    /// What the specification advises: eight characters, and one of each kind.
    pub const fn strict(codes: PasswordCodes) -> Self {
        Self {
            min_length: 8,
            digit: true,
            symbol: true,
            uppercase: true,
            lowercase: true,
            codes,
        }
    }
}

/// What a server says of a password that lacks something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PasswordCodes {
    /// A code that names the lack, such as `M_PASSWORD_TOO_SHORT`, as Synapse does.
    #[default]
    Named,
    /// `M_WEAK_PASSWORD`, the only code that the specification names.
    Weak,
}
