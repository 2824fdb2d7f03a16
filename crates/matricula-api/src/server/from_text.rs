//! Parsing of values in a path, query or header.

use std::time::Duration;

use matricula_core::{Secret, Timestamp};

/// A type that can be parsed from a path segment, a query parameter or a header.
pub trait FromText: Sized {
    /// Reads the text.
    ///
    /// # Errors
    /// The reason, without the text.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// A duration in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(pub Duration);

impl FromText for Millis {
    fn from_text(text: &str) -> Result<Self, String> {
        u64::from_text(text).map(|millis| Self(Duration::from_millis(millis)))
    }
}

impl FromText for Timestamp {
    fn from_text(text: &str) -> Result<Self, String> {
        u64::from_text(text).map(Self::from_millis)
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromText for Secret {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl FromText for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("expected true or false".to_owned()),
        }
    }
}

impl FromText for u64 {
    fn from_text(text: &str) -> Result<Self, String> {
        let parsed = text.parse();
        parsed.map_err(|_| "expected a whole number that is not negative".to_owned())
    }
}

impl FromText for i64 {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| "expected a whole number".to_owned())
    }
}
