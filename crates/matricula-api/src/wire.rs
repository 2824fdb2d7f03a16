//! What the generated code calls to put requests on the wire and to read answers.

use std::collections::BTreeMap;

use matricula_job::{Body, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned},
};
use serde_json::{Map, Value};

use crate::{ApiError, locate};

/// All that RFC 3986 does not leave unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The path of an operation with its `{parameters}` replaced, in order, by encoded `segments`.
pub(crate) fn path(template: &str, segments: &[&str]) -> String {
    let length = segments
        .iter()
        .map(|segment| segment.len() + 8)
        .sum::<usize>();
    let mut path = String::with_capacity(template.len() + length);
    let mut segments = segments.iter();
    for (index, part) in template.split(['{', '}']).enumerate() {
        if index % 2 == 0 {
            path.push_str(part);
        } else if let Some(segment) = segments.next() {
            match *segment {
                // Readers of addresses take these for steps in the path, however they are encoded.
                // Encoded twice they name nothing, and so do no harm.
                "." => path.push_str("%252E"),
                ".." => path.push_str("%252E%252E"),
                segment => path.extend(utf8_percent_encode(segment, SEGMENT)),
            }
        }
    }
    path
}

/// The JSON body made of `value`.
pub(crate) fn body(value: &(impl Serialize + ?Sized)) -> Body {
    // Most bodies fit, and need not be moved while they are written.
    let mut text = Vec::with_capacity(256);
    // It fails for maps whose keys are not texts alone, and no generated type has one.
    serde_json::to_writer(&mut text, value).expect("a generated type has a JSON form");
    Body::Json(String::from_utf8(text).expect("JSON is UTF-8"))
}

/// The JSON body that is an object of one field.
pub(crate) fn keyed_body(key: &str, value: &Value) -> Body {
    body(&BTreeMap::from([(key, value)]))
}

/// The JSON body of a request that has nothing to say.
pub(crate) fn empty_body() -> Body {
    Body::Json("{}".to_owned())
}

/// Reads the JSON of a success.
pub(crate) fn read<T: DeserializeOwned>(response: &Response) -> Result<T, ApiError> {
    let body = match response.body().as_bytes() {
        // Some servers send nothing where they have nothing to say.
        [] => b"{}",
        body => body,
    };
    serde_json::from_slice(body).map_err(|error| ApiError::Malformed {
        status: response.status_code(),
        message: locate::explain(body, &error),
    })
}

/// For fields where null says something else than absence.
pub(crate) fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// The fields of an object that holds others beside those that the specification names.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn required<T: DeserializeOwned, E: de::Error>(
        &mut self,
        name: &'static str,
    ) -> Result<T, E> {
        let value = self.0.remove(name).ok_or_else(|| E::missing_field(name))?;
        read_field(name, value)
    }

    pub(crate) fn optional<T: DeserializeOwned, E: de::Error>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, E> {
        self.0
            .remove(name)
            .map_or(Ok(None), |value| read_field(name, value))
    }

    /// What is left.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// What is left, each a `T`.
    pub(crate) fn rest_as<T: DeserializeOwned, E: de::Error>(
        self,
    ) -> Result<BTreeMap<String, T>, E> {
        self.0
            .into_iter()
            .map(|(name, value)| Ok((name.clone(), read_field(&name, value)?)))
            .collect()
    }
}

fn read_field<T: DeserializeOwned, E: de::Error>(name: &str, value: Value) -> Result<T, E> {
    serde_json::from_value(value)
        .map_err(|error| E::custom(format_args!("in `{name}`: {}", locate::reason(&error))))
}

/// Defines the values of a text that the specification lists, and room for those that it does not.
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
            /// The value as it is written on the wire.
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
                $crate::wire::text(from)
            }
        }
    };
}
pub(crate) use text_enum;

/// Reads a text and makes it a `T`.
pub(crate) fn text<'de, D: Deserializer<'de>, T: for<'a> From<&'a str>>(
    from: D,
) -> Result<T, D::Error> {
    struct Visitor<T>(std::marker::PhantomData<T>);

    impl<T: for<'a> From<&'a str>> de::Visitor<'_> for Visitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E>(self, text: &str) -> Result<T, E> {
            Ok(T::from(text))
        }
    }

    from.deserialize_str(Visitor(std::marker::PhantomData))
}
