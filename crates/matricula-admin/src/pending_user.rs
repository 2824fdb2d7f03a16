//! The password of a user that the server may or may not have created yet.

use matricula_auth::{conversation::to_json, generate_password};
use matricula_core::{Entropy, Secret, ServerUrl, WriteBatch, secret::exposed};
use serde::{Deserialize, Serialize};

use crate::tables;

/// The password of a user that was to be created and may exist by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PendingUser {
    /// The password.
    #[serde(with = "exposed")]
    pub password: Secret,
    /// Whether the password was generated here, so that the person does not know it.
    pub generated: bool,
}

impl PendingUser {
    /// Reads back stored values.
    ///
    /// # Errors
    /// If the text was not written by [`PendingUser`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Its key in [`tables::PENDING_USERS`]; `user` is a username or a user id.
    pub fn key(server: &ServerUrl, user: &str) -> String {
        format!("{server} {user}")
    }

    pub(crate) fn given(password: Secret) -> Self {
        Self {
            password,
            generated: false,
        }
    }

    pub(crate) fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            password: generate_password(entropy, 0),
            generated: true,
        }
    }

    /// The password to store with the account, if the person does not know it: it was generated, or
    /// the person gave a different one (`given`) when the creation was resumed.
    pub(crate) fn unknown_password(&self, given: Option<&Secret>) -> Option<Secret> {
        let is_unknown = match given {
            Some(given) => *given != self.password,
            None => self.generated,
        };
        is_unknown.then(|| self.password.clone())
    }

    pub(crate) fn write_to(&self, key: String, writes: &mut WriteBatch) {
        writes.put(tables::PENDING_USERS, key, to_json(self));
    }
}
