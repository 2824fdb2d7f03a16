//! Registration: whether it is open, registration tokens, and policies to accept.

use std::collections::BTreeMap;

use matricula_core::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use super::is_opaque;

/// Whether users may register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Registration {
    /// Everybody who completes a flow may register.
    #[default]
    Open,
    /// Registration is closed.
    Closed,
}

/// A document that must be accepted to register, in one or more languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The version of the document.
    pub version: String,
    /// The document by language code.
    pub translations: BTreeMap<String, Document>,
}

impl Policy {
    /// A policy without documents yet.
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            translations: BTreeMap::new(),
        }
    }

    /// Adds the document in one language, such as `en`.
    #[must_use]
    pub fn translation(
        mut self,
        language: impl Into<String>,
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let document = Document {
            name: name.into(),
            text: text.into(),
        };
        self.translations.insert(language.into(), document);
        self
    }

    pub(super) fn is_complete(&self) -> bool {
        // In the JSON of a policy, the languages are keys beside `version`.
        let languages = self.translations.keys();
        is_opaque(&self.version, 255)
            && !self.translations.is_empty()
            && languages
                .clone()
                .all(|language| is_opaque(language, 64) && language != "version")
            && self.translations.values().all(|it| !it.name.is_empty())
    }
}

/// A document in one language. The server shows it on a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The name for people.
    pub name: String,
    /// The text. An empty line separates paragraphs.
    pub text: String,
}

/// A token that allows registration, shared outside Matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationToken {
    /// 1 to 64 of the characters `A-Z a-z 0-9 . _ ~ -`.
    #[serde(with = "matricula_core::secret::exposed")]
    pub token: Secret,
    /// The maximum number of accounts; unlimited if absent.
    #[serde(default)]
    pub uses_allowed: Option<u32>,
    /// When it expires; never if absent.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl RegistrationToken {
    /// A token without limits.
    pub fn new(token: impl Into<Secret>) -> Self {
        Self {
            token: token.into(),
            uses_allowed: None,
            expires_at: None,
        }
    }

    /// Sets [`RegistrationToken::uses_allowed`].
    #[must_use]
    pub fn uses_allowed(mut self, allowed: u32) -> Self {
        self.uses_allowed = Some(allowed);
        self
    }

    /// Sets [`RegistrationToken::expires_at`].
    #[must_use]
    pub fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }
}
