//! The options of a registration.

use std::{fmt, str::FromStr};

use matricula_api::UserId;
use matricula_core::{Secret, ServerUrl, secret::exposed};
use serde::{Deserialize, Serialize};

use crate::{Account, DeviceOptions, RegisterError};

/// What the new account is to be, and the answers that the person has given in advance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationOptions {
    /// An ordinary account or a guest account.
    pub kind: AccountKind,
    /// The guest that becomes a user. The username is then the guest's own, whatever `username` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Guest>,
    /// The username, with or without `@` and the name of its server. `None`: the server chooses one.
    pub username: Option<String>,
    /// The password. `None`: a strong one is generated, and stored with the account.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// The registration token that the server's administrators gave out.
    #[serde(with = "exposed", default)]
    pub token: Option<Secret>,
    /// The email address of the account. Flows that validate it are preferred.
    #[serde(default)]
    pub email: Option<String>,
    /// The phone number of the account. Flows that validate it are preferred.
    #[serde(default)]
    pub phone: Option<Phone>,
    /// The code of the message that was sent to one of the two, if it is known already.
    #[serde(with = "exposed", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Secret>,
    /// Whether the person accepts the server's terms, whatever they are.
    pub accept_terms: bool,
    /// Whether to make the account without signing in to it.
    pub inhibit_login: bool,
    /// The device of the new session, and the caller's data.
    #[serde(flatten)]
    pub device: DeviceOptions,
}

impl RegistrationOptions {
    /// Reduces the username to its localpart. Returns the name of the server that was written with it.
    pub(super) fn take_server_name(&mut self) -> Option<String> {
        let (name, server) = split_username(self.username.as_deref()?);
        let (name, server) = (name.to_owned(), server.map(str::to_owned));
        self.username = Some(name);
        server
    }
}

/// The localpart and the server of a username as people type it: `alice`, `@alice`, `@alice:example.org`.
pub fn split_username(typed: &str) -> (&str, Option<&str>) {
    let typed = typed.trim();
    match typed.strip_prefix('@') {
        Some(user) => match user.split_once(':') {
            Some((name, server)) => (name, Some(server)),
            None => (user, None),
        },
        None => (typed, None),
    }
}

/// A user as people type it, in the form that servers know: `alice`, or `@alice:example.org` if the server
/// was named, with its name in ASCII.
pub fn normal_user(typed: &str) -> String {
    match split_username(typed) {
        (name, Some(server)) => {
            let address = format!("https://{server}").parse::<ServerUrl>();
            let server = match &address {
                Ok(url) => url.origin().trim_start_matches("https://"),
                Err(_) => server,
            };
            format!("@{name}:{server}")
        }
        (name, None) => name.to_owned(),
    }
}

/// A guest account with a session, which [can become a user account].
///
/// [can become a user account]: https://spec.matrix.org/v1.19/client-server-api/#guest-access
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    user_id: UserId,
    #[serde(with = "exposed")]
    token: Secret,
}

impl Guest {
    /// The guest of this account.
    ///
    /// # Errors
    /// [`RegisterError::NotAGuest`] if it is a user account, or has no session.
    pub fn of(account: &Account) -> Result<Self, RegisterError> {
        match &account.access_token {
            Some(token) if account.is_guest => Ok(Self {
                user_id: account.user_id.clone(),
                token: token.clone(),
            }),
            _ => Err(RegisterError::NotAGuest {
                user_id: account.user_id.clone(),
            }),
        }
    }

    /// The guest's user id.
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }

    pub(super) fn token(&self) -> &Secret {
        &self.token
    }
}

/// A phone number as it is dialled in its country, like `GB:07700900001`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    /// The country from which the number is dialled, as two letters.
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
    /// A [guest account](https://spec.matrix.org/v1.19/client-server-api/#guest-access): without username
    /// and password, and with few rights.
    Guest,
}
