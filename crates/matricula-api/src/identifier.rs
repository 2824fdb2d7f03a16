//! User identifiers: the kinds of [user identifier] of the prose, as one struct.
//!
//! [user identifier]: https://spec.matrix.org/v1.19/client-server-api/#identifier-types

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use crate::{
    Extra,
    codec::{self, Read, Reader},
};

/// The identity of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct UserIdentifier {
    /// The kind, such as `m.id.user`.
    pub kind: String,
    /// The fields of this kind.
    pub extra: Extra,
}

impl UserIdentifier {
    /// `m.id.user`: a user id or its localpart.
    pub fn user(user: impl Into<String>) -> Self {
        Self::of("m.id.user", [("user", user.into())])
    }

    /// `m.id.thirdparty`: an address of the account, with its medium, such as `email`.
    pub fn third_party(medium: impl Into<String>, address: impl Into<String>) -> Self {
        let fields = [("medium", medium.into()), ("address", address.into())];
        Self::of("m.id.thirdparty", fields)
    }

    /// `m.id.phone`: a phone number, as dialled in a country (two-letter code).
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
                .collect(),
        }
    }
}

impl Read for UserIdentifier {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        let mut kind = None;
        let mut extra = Extra::new();
        from.object()?;
        while let Some(key) = from.key()? {
            match &*key {
                "type" => kind = from.field("type")?,
                _ => extra.read(key, from)?,
            }
        }
        let kind = codec::required(kind, "type")?;
        Ok(Self { kind, extra })
    }
}

impl<'de> Deserialize<'de> for UserIdentifier {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        codec::deserialize(from)
    }
}

impl Serialize for UserIdentifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.kind)?;
        codec::extra(&mut map, &self.extra, &[])?;
        map.end()
    }
}
