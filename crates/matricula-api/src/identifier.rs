//! The kinds of [user identifier] that prose defines, for the generated struct.
//!
//! [user identifier]: https://spec.matrix.org/v1.19/client-server-api/#identifier-types

use serde_json::{Map, Value};

use crate::client::definitions::UserIdentifier;

impl UserIdentifier {
    /// `m.id.user`: a user id or its localpart.
    pub fn user(user: impl Into<String>) -> Self {
        Self::of("m.id.user", [("user", user.into())])
    }

    /// `m.id.thirdparty`: an address that the account has, such as one of the medium `email`.
    pub fn third_party(medium: impl Into<String>, address: impl Into<String>) -> Self {
        let fields = [("medium", medium.into()), ("address", address.into())];
        Self::of("m.id.thirdparty", fields)
    }

    /// `m.id.phone`: a phone number, as dialled in a country named by its two letters.
    pub fn phone(country: impl Into<String>, phone: impl Into<String>) -> Self {
        let fields = [("country", country.into()), ("phone", phone.into())];
        Self::of("m.id.phone", fields)
    }

    fn of<const N: usize>(kind: &str, fields: [(&str, String); N]) -> Self {
        let fields = fields.into_iter();
        Self {
            kind: kind.to_owned(),
            extra: fields
                .map(|(name, value)| (name.to_owned(), Value::String(value)))
                .collect::<Map<_, _>>(),
        }
    }
}
