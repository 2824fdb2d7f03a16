//! Values that old rooms and old clients write in other formats.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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
        from.deserialize_any(LevelVisitor)
    }
}

struct LevelVisitor;

impl de::Visitor<'_> for LevelVisitor {
    type Value = PowerLevel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a power level")
    }

    fn visit_i64<E>(self, level: i64) -> Result<PowerLevel, E> {
        Ok(PowerLevel(level))
    }

    fn visit_u64<E: de::Error>(self, level: u64) -> Result<PowerLevel, E> {
        let level = i64::try_from(level).map_err(|_| E::custom("the power level is too high"))?;
        Ok(PowerLevel(level))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PowerLevel, E> {
        let level = text.trim().parse();
        let level = level.map_err(|_| E::custom("the text is no power level"))?;
        Ok(PowerLevel(level))
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
        from.deserialize_any(VersionVisitor)
    }
}

struct VersionVisitor;

impl de::Visitor<'_> for VersionVisitor {
    type Value = CallVersion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or the number 0")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<CallVersion, E> {
        match number {
            0 => Ok(CallVersion::V0),
            _ => Err(E::custom("a version that is a number is 0")),
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<CallVersion, E> {
        Ok(match text {
            "1" => CallVersion::V1,
            other => CallVersion::Other(other.to_owned()),
        })
    }
}
