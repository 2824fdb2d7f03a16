//! The rules for passwords, and the errors of passwords that violate them.

use serde::{Deserialize, Serialize};

/// The rules for passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PasswordPolicy {
    /// The minimum number of characters.
    pub min_length: usize,
    /// Whether a digit is required.
    pub digit: bool,
    /// Whether a character that is neither letter nor digit is required.
    pub symbol: bool,
    /// Whether an uppercase letter is required.
    pub uppercase: bool,
    /// Whether a lowercase letter is required.
    pub lowercase: bool,
    /// The error codes of a password that violates a rule.
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
    /// The advice of the specification: eight characters, and one of each kind.
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

/// The error codes of a password that violates a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PasswordCodes {
    /// A code for each rule, such as `M_PASSWORD_TOO_SHORT`, as Synapse does.
    #[default]
    Named,
    /// `M_WEAK_PASSWORD`, the only code that the specification names.
    Weak,
}
