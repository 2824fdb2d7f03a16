//! Serialisation of requests and deserialisation of responses, for the generated code.

#[cfg(any(feature = "appservice", feature = "client", feature = "events"))]
mod tagged;

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref, time::Duration};

use matricula_core::{Body, Response, Secret, ServerUrl};
use percent_encoding::percent_encode_byte;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned, IntoDeserializer, MapAccess},
    ser::SerializeMap,
};
use serde_json::{Value, value::RawValue};

#[cfg(any(feature = "appservice", feature = "client", feature = "events"))]
pub(crate) use self::tagged::{Tag, constant, tagged};
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
pub fn read<T: DeserializeOwned>(response: &Response) -> Result<T, ApiError> {
    let status = response.status_code();
    // A redirect or a 304 of a proxy is not a success, and has no body.
    if !(200..300).contains(&status) {
        return Err(ApiError::UnexpectedStatus { status });
    }
    let malformed = |message| ApiError::Malformed { status, message };
    // Deserialising from a `str` avoids UTF-8 checks of each string in it.
    let body = match response.body().text() {
        // Some servers send an empty body instead of `{}`.
        Ok("") => "{}",
        Ok(body) => body,
        Err(error) => return Err(malformed(format!("it is not UTF-8: {error}"))),
    };
    serde_json::from_str(body)
        .map_err(|error| malformed(json_path::explain(body.as_bytes(), &error)))
}

/// A type that is read from the fields of a JSON object.
pub(crate) trait Object<'de>: Sized {
    /// Values that are known before the object is read: the path, query and header parameters.
    type Params;

    /// Reads the fields.
    fn read<A: MapAccess<'de>>(params: Self::Params, map: A) -> Result<Self, A::Error>;
}

/// Reads a JSON object as a `T`.
pub(crate) fn object<'de, T: Object<'de>, D: Deserializer<'de>>(
    from: D,
    params: T::Params,
) -> Result<T, D::Error> {
    struct Visitor<P, T>(P, PhantomData<T>);

    impl<'de, T: Object<'de>> de::Visitor<'de> for Visitor<T::Params, T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::read(self.0, map)
        }
    }

    from.deserialize_map(Visitor(params, PhantomData))
}

/// The name of a field, copied only if it contains escapes.
pub(crate) struct Key<'de>(Cow<'de, str>);

impl Key<'_> {
    pub(crate) fn into_owned(self) -> String {
        self.0.into_owned()
    }
}

impl Deref for Key<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }

        from.deserialize_str(Visitor)
    }
}

/// The name of the next field.
pub(crate) fn key<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Key<'de>>, A::Error> {
    map.next_key()
}

/// The value of the current field; `None` for null.
pub(crate) fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
) -> Result<Option<T>, A::Error> {
    map.next_value()
}

/// The value of a field in which null and absence differ.
pub(crate) fn present<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Value>, A::Error> {
    map.next_value().map(Some)
}

/// The value of a field that holds a secret.
pub(crate) fn secret<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Secret>, A::Error> {
    let text: Option<String> = map.next_value()?;
    Ok(text.map(Secret::from))
}

/// The value of a field in milliseconds.
pub(crate) fn millis<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Duration>, A::Error> {
    let time: Option<Millis> = map.next_value()?;
    Ok(time.map(|Millis(time)| time))
}

/// The value of a field in seconds.
pub(crate) fn seconds<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Duration>, A::Error> {
    let time: Option<Seconds> = map.next_value()?;
    Ok(time.map(|Seconds(time)| time))
}

/// The value of a field that is a number, or a number as a string.
pub(crate) fn decimal<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<f64>, A::Error> {
    let number: Option<Decimal> = map.next_value()?;
    Ok(number.map(|Decimal(number)| number))
}

/// The value of a required list; null means empty.
pub(crate) fn list<'de, T: Default + Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
) -> Result<Option<T>, A::Error> {
    let list: Option<T> = map.next_value()?;
    Ok(Some(list.unwrap_or_default()))
}

/// The value of a lenient field. An invalid value is stored in `extra` under the name of the field.
pub(crate) fn lenient<'de, T: DeserializeOwned, A: MapAccess<'de>>(
    map: &mut A,
    name: &str,
    extra: &mut Extra,
) -> Result<Option<T>, A::Error> {
    let json: Box<RawValue> = map.next_value()?;
    // If the field is repeated, the last one counts.
    extra.remove(name);
    if let Ok(value) = serde_json::from_str(json.get()) {
        return Ok(value);
    }
    // JSON that is nested too deeply is still rejected.
    let value = serde_json::from_str(json.get()).map_err(de::Error::custom)?;
    extra.insert(name.to_owned(), value);
    Ok(None)
}

/// Writes the unknown fields. The invalid value of a lenient field is not written if the field is
/// `set`.
pub(crate) fn extra<M: SerializeMap>(
    map: &mut M,
    extra: &Extra,
    set: &[(&str, bool)],
) -> Result<(), M::Error> {
    extra
        .iter()
        .filter(|(name, _)| !set.contains(&(name.as_str(), true)))
        .try_for_each(|(name, value)| map.serialize_entry(name, value))
}

/// The value of a field in which an empty string means absent, like null.
#[cfg_attr(not(feature = "events"), allow(dead_code))]
pub(crate) fn non_empty<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
) -> Result<Option<T>, A::Error> {
    map.next_value().map(|NonEmpty(value)| value)
}

/// The value of a string; `None` for an empty one.
pub(crate) struct NonEmpty<T>(pub(crate) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for NonEmpty<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = NonEmpty<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_unit<E>(self) -> Result<NonEmpty<T>, E> {
                Ok(NonEmpty(None))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<NonEmpty<T>, E> {
                match text {
                    "" => Ok(NonEmpty(None)),
                    text => {
                        T::deserialize(text.into_deserializer()).map(|value| NonEmpty(Some(value)))
                    }
                }
            }
        }

        from.deserialize_any(Visitor(PhantomData))
    }
}

/// The value of a required field.
pub(crate) fn required<T, E: de::Error>(value: Option<T>, name: &'static str) -> Result<T, E> {
    value.ok_or_else(|| E::missing_field(name))
}

/// Writes an optional field.
pub(crate) fn entry<M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    value: Option<&(impl Serialize + ?Sized)>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

/// Serialises a secret in plain text.
pub(crate) struct Exposed<'a>(pub(crate) &'a Secret);

impl Serialize for Exposed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.expose())
    }
}

/// A number that may be sent as a string.
pub(crate) struct Decimal(pub(crate) f64);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = f64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            #[allow(clippy::cast_precision_loss, reason = "JSON has no more")]
            fn visit_u64<E>(self, number: u64) -> Result<f64, E> {
                Ok(number as f64)
            }

            #[allow(clippy::cast_precision_loss, reason = "JSON has no more")]
            fn visit_i64<E>(self, number: i64) -> Result<f64, E> {
                Ok(number as f64)
            }

            fn visit_f64<E>(self, number: f64) -> Result<f64, E> {
                Ok(number)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<f64, E> {
                let number = text.trim().parse().ok();
                // JSON has no others.
                let number = number.filter(|number: &f64| number.is_finite());
                number.ok_or_else(|| E::custom("the text is no number"))
            }
        }

        from.deserialize_any(Visitor).map(Self)
    }
}

/// A duration. Wrong clocks make it negative: then it is zero.
fn span<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("u64")
        }

        fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }

        fn visit_i64<E>(self, number: i64) -> Result<u64, E> {
            Ok(u64::try_from(number).unwrap_or_default())
        }
    }

    from.deserialize_u64(Visitor)
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        span(from).map(Duration::from_millis).map(Self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        span(from).map(Duration::from_secs).map(Self)
    }
}

/// A duration in milliseconds.
pub(crate) struct Millis(pub(crate) Duration);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A duration in seconds.
pub(crate) struct Seconds(pub(crate) Duration);

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
