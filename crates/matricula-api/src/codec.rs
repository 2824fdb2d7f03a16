//! Serialisation of requests and deserialisation of responses, for the generated code.

#[cfg_attr(
    not(all(feature = "events", feature = "server")),
    allow(
        dead_code,
        unreachable_pub,
        reason = "some of it is for these features"
    )
)]
mod read;
#[cfg_attr(
    not(all(feature = "events", feature = "server")),
    allow(
        dead_code,
        unreachable_pub,
        reason = "some of it is for these features"
    )
)]
mod reader;
#[cfg(any(feature = "appservice", feature = "client", feature = "events"))]
mod tagged;

use std::{fmt, marker::PhantomData};

use matricula_core::{Body, Response, Secret, ServerUrl};
use percent_encoding::percent_encode_byte;
use serde::{
    Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
    ser::SerializeMap,
};
use serde_json::Value;

pub use self::reader::InvalidPart;
#[cfg(feature = "server")]
pub(crate) use self::reader::from_request;
#[cfg(any(feature = "appservice", feature = "client", feature = "events"))]
pub(crate) use self::tagged::{Tag, tagged};
#[cfg_attr(
    not(all(feature = "events", feature = "server")),
    allow(unused_imports, reason = "some of it is for these features")
)]
pub(crate) use self::{
    read::{Decimal, Digits, Key, Millis, NonEmpty, Read, Seconds, signed},
    reader::{Error, Reader, Rest, deserialize, from_text, invalid_parts, or_empty, required},
};
use crate::{ApiError, Extra, Raw, SortedMap, json_path};

/// The URL of an operation on `server`: the fixed `parts` of its path, each followed by an encoded
/// segment.
pub(crate) fn address(server: &ServerUrl, parts: &[&str], segments: &[&str]) -> String {
    let mut length = server.as_str().len();
    for text in parts.iter().chain(segments) {
        // Most segments are identifiers, of which two characters are encoded.
        length += text.len() + 4;
    }
    let mut address = String::with_capacity(length);
    address.push_str(server.as_str());
    let mut segments = segments.iter();
    for part in parts {
        address.push_str(part);
        match segments.next() {
            // URL parsers treat these as path steps even if they are encoded. Encoded twice, they
            // are harmless.
            Some(&".") => address.push_str("%252E"),
            Some(&"..") => address.push_str("%252E%252E"),
            Some(segment) => encode(segment, &mut address),
            None => {}
        }
    }
    address
}

/// Percent-encodes all characters that are not unreserved in RFC 3986.
fn encode(mut segment: &str, to: &mut String) {
    let is_reserved =
        |byte: u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'.' | b'_' | b'~');
    // Most of a segment needs no encoding, so it is copied in runs.
    while let Some(at) = segment.bytes().position(is_reserved) {
        let (plain, rest) = segment.split_at(at);
        to.push_str(plain);
        let length = rest.chars().next().map_or(1, char::len_utf8);
        let (reserved, rest) = rest.split_at(length);
        for byte in reserved.bytes() {
            to.push_str(percent_encode_byte(byte));
        }
        segment = rest;
    }
    to.push_str(segment);
}

/// `value` as a JSON body.
pub(crate) fn body(value: &(impl Serialize + ?Sized)) -> Body {
    // It fails only for maps with keys that are not strings; no generated type has one.
    Body::Json(serde_json::to_string(value).expect("a generated type has a JSON form"))
}

/// Raw JSON as a body.
pub(crate) fn raw_body<T>(raw: &Raw<T>) -> Body {
    Body::Json(raw.json().to_owned())
}

/// A JSON body with one field.
pub(crate) fn keyed_body(key: &str, value: &Value) -> Body {
    body(&SortedMap::from([(key, value)]))
}

/// The body `{}`.
pub(crate) fn empty_body() -> Body {
    Body::Json("{}".to_owned())
}

/// Reads the JSON of a successful response, for a hand-written [`Endpoint`](crate::Endpoint).
///
/// # Errors
/// [`ApiError::Malformed`] names the invalid field, [`ApiError::UnexpectedStatus`] a status that is
/// neither success nor failure.
pub fn read_json<T: DeserializeOwned>(response: &Response) -> Result<T, ApiError> {
    let (status, body) = success(response)?;
    serde_json::from_str(body).map_err(|error| ApiError::Malformed {
        status,
        message: json_path::explain(body.as_bytes(), &error),
    })
}

/// Reads the JSON of a successful response.
pub(crate) fn read<T: Read>(response: &Response) -> Result<T, ApiError> {
    let (status, body) = success(response)?;
    from_text(body).map_err(|error| ApiError::Malformed {
        status,
        message: error.explain(body),
    })
}

/// The parts of a successful response that do not fit.
#[cfg(feature = "server")]
pub(crate) fn invalid_parts_of<T: Read>(response: &Response) -> Vec<InvalidPart> {
    success(response).map_or_else(|_| Vec::new(), |(_, body)| invalid_parts::<T>(body))
}

/// The status and the body of a success.
fn success(response: &Response) -> Result<(u16, &str), ApiError> {
    let status = response.status_code();
    // A redirect or a 304 of a proxy is not a success, and has no body.
    if !(200..300).contains(&status) {
        return Err(ApiError::UnexpectedStatus { status });
    }
    match response.body().text() {
        // Some servers send an empty body instead of `{}`.
        Ok("") => Ok((status, "{}")),
        Ok(body) => Ok((status, body)),
        Err(error) => Err(ApiError::Malformed {
            status,
            message: format!("it is not UTF-8: {error}"),
        }),
    }
}

/// A request whose body is an object.
#[cfg(feature = "server")]
pub(crate) trait Object: Sized {
    /// The path, query and header parameters, which are known before the body is read.
    type Params;

    /// Reads the body.
    fn read_object(params: Self::Params, from: &mut Reader<'_>) -> Result<Self, Error>;
}

/// Writes the unknown fields. The invalid value of a field is not written if the field is `set`.
pub(crate) fn extra<M: SerializeMap>(
    map: &mut M,
    extra: &Extra,
    set: &[(&str, bool)],
) -> Result<(), M::Error> {
    extra.write(map, |name| set.contains(&(name, true)))
}

/// Writes the unknown fields of an object in which they have a type.
pub(crate) fn typed_extra<M: SerializeMap, V: Serialize>(
    map: &mut M,
    extra: &SortedMap<String, V>,
    set: &[(&str, bool)],
) -> Result<(), M::Error> {
    extra.write(map, |name| set.contains(&(name, true)))
}

/// Writes an optional field.
pub(crate) fn entry<M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    value: Option<&(impl Serialize + ?Sized)>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

/// Writes a required list or map. If it is empty because its value was invalid, that is written, with the
/// unknown fields.
pub(crate) fn list_entry<M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    value: &(impl Serialize + ?Sized),
    is_empty: bool,
    rest: &dyn Rest,
) -> Result<(), M::Error> {
    if is_empty && rest.has(name) {
        return Ok(());
    }
    map.serialize_entry(name, value)
}

/// Serialises a secret in plain text.
pub(crate) struct Exposed<'a>(pub(crate) &'a Secret);

impl Serialize for Exposed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.expose())
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0.as_secs())
    }
}

/// Defines an enum of strings, with a variant for unknown values.
macro_rules! text_enum {
    ($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$variant_doc])*
                #[doc = ""]
                #[doc = concat!("`", $text, "`")]
                $variant,
            )*
            /// A value that the specification does not list.
            Other(String),
        }

        impl $name {
            /// The value as it is sent.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::codec::text(from)
            }
        }

        impl $crate::codec::Read for $name {
            fn read(
                from: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Error> {
                from.text("a string").map(|text| Self::from(&*text))
            }
        }

        impl $crate::codec::Key for $name {
            fn read_key(text: &str) -> Result<Self, $crate::codec::Error> {
                Ok(Self::from(text))
            }
        }

        #[cfg(feature = "server")]
        impl $crate::server::FromText for $name {
            fn from_text(text: &str) -> Result<Self, String> {
                Ok(Self::from(text))
            }
        }
    };
}
pub(crate) use text_enum;

/// Reads a string and converts it to a `T`.
pub(crate) fn text<'de, D: Deserializer<'de>, T: for<'a> From<&'a str>>(
    from: D,
) -> Result<T, D::Error> {
    struct Visitor<T>(PhantomData<T>);

    impl<T: for<'a> From<&'a str>> de::Visitor<'_> for Visitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E>(self, text: &str) -> Result<T, E> {
            Ok(T::from(text))
        }
    }

    from.deserialize_str(Visitor(PhantomData))
}
