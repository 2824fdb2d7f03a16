//! What the person wants of a new account.

use std::{fmt, str::FromStr};

use matricula_api::UserId;
use matricula_core::{Secret, secret::exposed};
use serde::{Deserialize, Serialize};

use crate::{Account, AuthError};

/// What the person wants of a new account, and has said in advance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationOptions {
    /// An ordinary account or a guest's.
    pub kind: AccountKind,
    /// The guest who is to become a user: under the guest's own name, whatever `username` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Guest>,
    /// The name; without one the server picks one.
    pub username: Option<String>,
    /// The password; without one a strong one is made, and kept with the account.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// The registration token that the server's administrators handed out.
    #[serde(with = "exposed", default)]
    pub token: Option<Secret>,
    /// The email address that the account is to have; then ways that prove it are preferred.
    #[serde(default)]
    pub email: Option<String>,
    /// The phone number that the account is to have; then ways that prove it are preferred.
    #[serde(default)]
    pub phone: Option<Phone>,
    /// The code of the message that was sent to one of the two, where it is known already.
    #[serde(with = "exposed", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Secret>,
    /// Whether the person accepts whatever terms the server has.
    pub accept_terms: bool,
    /// The id of the new device; without one it is made.
    pub device_id: Option<String>,
    /// The name of the new device, for people.
    pub device_name: Option<String>,
    /// Whether to make the account without signing in to it.
    pub inhibit_login: bool,
    /// Whether to get a token that expires, with another that renews it.
    pub refresh_token: bool,
}

impl RegistrationOptions {
    /// Takes over what `answers` says; what it leaves open stays.
    pub(super) fn answer(&mut self, answers: Self) {
        self.username = answers.username.or(self.username.take());
        self.password = answers.password.or(self.password.take());
        self.token = answers.token.or(self.token.take());
        self.email = answers.email.or(self.email.take());
        self.phone = answers.phone.or(self.phone.take());
        self.code = answers.code.or(self.code.take());
        self.accept_terms |= answers.accept_terms;
    }
}

/// A guest with a session, [who can become a user].
///
/// [who can become a user]: https://spec.matrix.org/v1.19/client-server-api/#guest-access
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    user_id: UserId,
    #[serde(with = "exposed")]
    token: Secret,
}

impl Guest {
    /// Whose account this is.
    ///
    /// # Errors
    /// [`AuthError::NotAGuest`] where it is a user's, or has no session.
    pub fn of(account: &Account) -> Result<Self, AuthError> {
        match &account.access_token {
            Some(token) if account.is_guest => Ok(Self {
                user_id: account.user_id.clone(),
                token: token.clone(),
            }),
            _ => Err(AuthError::NotAGuest {
                user_id: account.user_id.clone(),
            }),
        }
    }

    /// Who.
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }

    pub(super) fn token(&self) -> &Secret {
        &self.token
    }
}

/// A phone number, as it is dialled in its country: `GB:07700900001`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    /// The country, by its two letters: where the number is read as if dialled from.
    pub country: String,
    /// The number.
    pub number: String,
}

impl FromStr for Phone {
    type Err = PhoneError;

    fn from_str(text: &str) -> Result<Self, PhoneError> {
        let (country, number) = text.trim().split_once(':').ok_or(PhoneError)?;
        let is_country = country.len() == 2 && country.bytes().all(|b| b.is_ascii_alphabetic());
        if !is_country || !number.bytes().any(|b| b.is_ascii_digit()) {
            return Err(PhoneError);
        }
        Ok(Self {
            country: country.to_ascii_uppercase(),
            number: number.trim().to_owned(),
        })
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.country, self.number)
    }
}

/// The text is not a phone number with its country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give the country and the number, like GB:07700900001")]
pub struct PhoneError;

/// The two kinds of account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AccountKind {
    /// An ordinary account.
    #[default]
    User,
    /// A [guest's](https://spec.matrix.org/v1.19/client-server-api/#guest-access): without name or
    /// password, and with few rights.
    Guest,
}
