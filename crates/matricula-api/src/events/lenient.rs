//! Values that old rooms and old clients write in other formats.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{self, Read, Reader};

/// A [power level](https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels).
///
/// In room versions before 10 it may be a string; it is written as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PowerLevel(pub i64);

impl From<i64> for PowerLevel {
    fn from(level: i64) -> Self {
        Self(level)
    }
}

impl Serialize for PowerLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for PowerLevel {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        codec::deserialize(from)
    }
}

impl Read for PowerLevel {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        codec::signed(from, true).map(Self)
    }
}

/// The version of the [call
/// signalling](https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip) of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallVersion {
    /// The first version: the number 0.
    V0,
    /// The current version: the string `1`.
    V1,
    /// Any other.
    Other(String),
}

impl Serialize for CallVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::V0 => serializer.serialize_u64(0),
            Self::V1 => serializer.serialize_str("1"),
            Self::Other(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for CallVersion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        codec::deserialize(from)
    }
}

impl Read for CallVersion {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        if from.peek()? == b'"' {
            return Ok(match &*from.text("a text")? {
                "1" => Self::V1,
                other => Self::Other(other.to_owned()),
            });
        }
        match codec::signed(from, false) {
            Ok(0) => Ok(Self::V0),
            Ok(_) => Err(codec::Error::new("a version that is a number is 0")),
            Err(error) => Err(error),
        }
    }
}
