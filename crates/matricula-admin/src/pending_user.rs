//! The password of a user of whom it is not known whether the server has made it.

use matricula_core::{Entropy, Secret, ServerUrl, WriteBatch, secret::exposed};
use serde::{Deserialize, Serialize};

use matricula_auth::generate_password;

use crate::tables;

/// The password of a user that was to be made, and who may be there by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PendingUser {
    /// It.
    #[serde(with = "exposed")]
    pub password: Secret,
    /// Whether it was made here, so that nobody else knows it.
    pub made: bool,
}

impl PendingUser {
    /// Its key in [`tables::NEW_USERS`].
    pub fn key(server: &ServerUrl, user: &str) -> String {
        format!("{server} {user}")
    }

    pub(crate) fn given(password: Secret) -> Self {
        Self {
            password,
            made: false,
        }
    }

    pub(crate) fn make(entropy: &mut dyn Entropy) -> Self {
        Self {
            password: generate_password(entropy, 0),
            made: true,
        }
    }

    /// The password to be kept with the account, if the person does not know it: who gave another one
    /// this time than when the account was made does not.
    pub(crate) fn to_be_kept(&self, given: Option<&Secret>) -> Option<Secret> {
        let is_unknown = match given {
            Some(given) => *given != self.password,
            None => self.made,
        };
        is_unknown.then(|| self.password.clone())
    }

    pub(crate) fn put_into(&self, key: String, patch: &mut WriteBatch) {
        // A text and a flag: they always have a JSON form.
        let json = serde_json::to_vec(self).unwrap_or_default();
        patch.put(tables::NEW_USERS, key, json);
    }
}
