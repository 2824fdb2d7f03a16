//! Raw JSON, and a string or an object.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
};
use serde_json::{Value, value::RawValue};

/// Raw JSON of a `T`, which is parsed on demand.
///
/// Two values are equal if their texts are. `Debug` shows only the length, because events are
/// private.
///
/// ```
/// # use matricula_api::Raw;
/// let raw = Raw::<Vec<u8>>::from_json("[1, 2]".to_owned())?;
/// assert_eq!(raw.json(), "[1, 2]");
/// assert_eq!(raw.read()?, [1, 2]);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub struct Raw<T = Value> {
    json: Box<RawValue>,
    of: PhantomData<fn() -> T>,
}

impl<T> Raw<T> {
    /// Wraps a JSON text.
    ///
    /// # Errors
    /// If the text is not JSON.
    pub fn from_json(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self::of)
    }

    /// Writes a value as JSON text.
    ///
    /// # Errors
    /// If `value` cannot be serialised as JSON, such as a map with keys that are not strings.
    pub fn new(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self::of)
    }

    /// The text.
    pub fn json(&self) -> &str {
        self.json.get()
    }

    /// Parses the value.
    ///
    /// # Errors
    /// If the text is not a valid `T`.
    pub fn read(&self) -> Result<T, serde_json::Error>
    where
        T: DeserializeOwned,
    {
        self.read_as()
    }

    /// Parses the value as another type, such as an event of a kind that the program expects.
    ///
    /// ```
    /// # use matricula_api::Raw;
    /// let raw = Raw::<Vec<u8>>::from_json("[1, -2]".to_owned())?;
    /// assert!(raw.read().is_err());
    /// assert_eq!(raw.read_as::<Vec<i64>>()?, [1, -2]);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the text is not a valid `U`.
    pub fn read_as<U: DeserializeOwned>(&self) -> Result<U, serde_json::Error> {
        serde_json::from_str(self.json())
    }

    /// The same JSON, to be parsed as another type.
    pub fn cast<U>(self) -> Raw<U> {
        Raw::of(self.json)
    }

    pub(crate) fn of(json: Box<RawValue>) -> Self {
        Self {
            json,
            of: PhantomData,
        }
    }
}

impl<T> From<&Value> for Raw<T> {
    fn from(value: &Value) -> Self {
        let json = serde_json::value::to_raw_value(value);
        Self::of(json.expect("what is JSON has a JSON form"))
    }
}

impl<T> Clone for Raw<T> {
    fn clone(&self) -> Self {
        Self::of(self.json.clone())
    }
}

impl<T> PartialEq for Raw<T> {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl<T> Eq for Raw<T> {}

impl<T> fmt::Debug for Raw<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.json().len())
    }
}

impl<T> Serialize for Raw<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Raw<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::deserialize(deserializer).map(Self::of)
    }
}

/// A string or an object.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "the JSON is one or the other")]
pub enum StringOr<T> {
    /// The text.
    Text(String),
    /// The object.
    Object(T),
}

impl<T: Serialize> Serialize for StringOr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for StringOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The types of the API are read from their JSON text.
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let text = json.get();
        let read = match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str(text).map(Self::Text),
            Some(b'{') => serde_json::from_str(text).map(Self::Object),
            _ => return Err(de::Error::custom("expected a text or an object")),
        };
        read.map_err(de::Error::custom)
    }
}
