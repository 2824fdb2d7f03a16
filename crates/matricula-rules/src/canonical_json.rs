//! [Canonical JSON](https://spec.matrix.org/v1.19/appendices/#canonical-json): the one way to write JSON that is
//! hashed and signed.

use serde_json::{Value, value::RawValue};

use crate::{
    RoomVersion,
    raw::{Object, parse_array, parse_text, push_text},
};

/// The greatest integer in canonical JSON: 2^53−1. The smallest is its negative.
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// The maximum depth of arrays and objects.
const MAX_DEPTH: usize = 128;

/// What becomes of numbers that are not integers within ±[`MAX_INTEGER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Numbers {
    /// They are errors, as events of room versions since 6 must not have them. So is an integer that is written with a
    /// fraction or an exponent, such as `1.0`.
    Strict,
    /// An integer that is written with a fraction or an exponent is written without. Other numbers stay as they are,
    /// as events of room versions until 5 may have them.
    Lenient,
}

impl From<RoomVersion> for Numbers {
    fn from(version: RoomVersion) -> Self {
        if version.rules().strict_canonical_json {
            Self::Strict
        } else {
            Self::Lenient
        }
    }
}

/// Writes a JSON text as canonical JSON.
///
/// ```
/// use matricula_rules::canonical_json::{Numbers, canonicalize};
///
/// let canonical = canonicalize(r#"{ "b": "\u65E5", "a": [1, -0] }"#, Numbers::Strict)?;
/// assert_eq!(canonical, r#"{"a":[1,0],"b":"日"}"#);
///
/// let error = canonicalize(r#"{"content": {"x": [1.5]}}"#, Numbers::Strict).unwrap_err();
/// assert_eq!(error.to_string(), "the number at content.x.0 is not an integer");
/// # Ok::<(), matricula_rules::JsonError>(())
/// ```
///
/// # Errors
/// If the text is not JSON, is nested too deeply, or has a number that `numbers` does not permit.
pub fn canonicalize(json: &str, numbers: Numbers) -> Result<String, JsonError> {
    let value: &RawValue = serde_json::from_str(json).map_err(JsonError::from_serde)?;
    let mut out = String::with_capacity(json.len());
    write_value(&mut out, value, numbers, 0)?;
    Ok(out)
}

/// Writes a JSON value as canonical JSON. Integers beyond 64 bits were lost when the value was read: where they
/// matter, use [`canonicalize`].
///
/// # Errors
/// As [`canonicalize`].
pub fn canonicalize_value(value: &Value, numbers: Numbers) -> Result<String, JsonError> {
    canonicalize(&value.to_string(), numbers)
}

/// Why JSON cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// It is JSON, and not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A field is absent or has the wrong type.
    #[error("{field} must be {expected}")]
    WrongType {
        /// Where.
        field: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A number is not an integer.
    #[error("the number at {path} is not an integer")]
    NotAnInteger {
        /// Where, such as `content.x.0`.
        path: String,
    },
    /// An integer is too great or too small.
    #[error("the integer at {path} is not within ±{MAX_INTEGER}")]
    IntegerOutOfRange {
        /// Where, such as `content.x.0`.
        path: String,
    },
    /// Arrays and objects are nested too deeply.
    #[error("arrays and objects are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

impl JsonError {
    pub(crate) fn wrong(field: &str, expected: &'static str) -> Self {
        let field = field.to_owned();
        Self::WrongType { field, expected }
    }

    /// The reader's messages about wrong types quote values, which are private: they are left out.
    pub(crate) fn from_serde(error: serde_json::Error) -> Self {
        if error.is_data() {
            Self::NotAnObject
        } else {
            Self::Syntax(error.to_string())
        }
    }

    /// Adds what contains the value to the path of the number.
    fn inside(mut self, name: &str) -> Self {
        if let Self::NotAnInteger { path } | Self::IntegerOutOfRange { path } = &mut self {
            let dot = if path.is_empty() { "" } else { "." };
            *path = format!("{name}{dot}{path}");
        }
        self
    }
}

/// Writes the fields of an object, without those in `left_out`, as canonical JSON.
pub(crate) fn write_object(
    object: &Object<'_>,
    left_out: &[&str],
    numbers: Numbers,
) -> Result<String, JsonError> {
    let mut out = String::new();
    push_object(&mut out, object, left_out, numbers, 1)?;
    Ok(out)
}

fn write_value(
    out: &mut String,
    value: &RawValue,
    numbers: Numbers,
    depth: usize,
) -> Result<(), JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'{') => push_object(out, &Object::parse(json)?, &[], numbers, depth + 1)?,
        Some(b'[') => {
            let broken = || JsonError::Syntax("an array cannot be read".to_owned());
            out.push('[');
            for (index, value) in parse_array(value).ok_or_else(broken)?.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, value, numbers, depth + 1)
                    .map_err(|error| error.inside(&index.to_string()))?;
            }
            out.push(']');
        }
        // Without escapes it is canonical already.
        Some(b'"') if !json.contains('\\') => out.push_str(json),
        Some(b'"') => {
            // Half of a surrogate pair is no character, and has no UTF-8.
            let broken = || JsonError::Syntax("an escape in a text is no character".to_owned());
            push_text(out, &parse_text(value).ok_or_else(broken)?);
        }
        Some(b'-' | b'0'..=b'9') => push_number(out, json, numbers)?,
        _ => out.push_str(json),
    }
    Ok(())
}

fn push_object(
    out: &mut String,
    object: &Object<'_>,
    left_out: &[&str],
    numbers: Numbers,
    depth: usize,
) -> Result<(), JsonError> {
    let fields = object.iter().filter(|(field, _)| !left_out.contains(field));
    out.push('{');
    for (index, (field, value)) in fields.enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_text(out, field);
        out.push(':');
        write_value(out, value, numbers, depth).map_err(|error| error.inside(field))?;
    }
    out.push('}');
    Ok(())
}

fn push_number(out: &mut String, literal: &str, numbers: Numbers) -> Result<(), JsonError> {
    let range = -MAX_INTEGER..=MAX_INTEGER;
    let path = String::new();
    // `-0.0` is how `serde_json::Value` writes `-0`.
    if matches!(literal, "-0" | "-0.0") {
        out.push('0');
    } else if !literal.contains(['.', 'e', 'E']) {
        let fits = literal
            .parse::<i64>()
            .is_ok_and(|value| range.contains(&value));
        if !fits && numbers == Numbers::Strict {
            return Err(JsonError::IntegerOutOfRange { path });
        }
        out.push_str(literal);
    } else if numbers == Numbers::Strict {
        return Err(JsonError::NotAnInteger { path });
    } else {
        let value: f64 = literal.parse().unwrap_or(f64::NAN);
        // Within this range every whole number is exact.
        if value.fract() == 0.0 && value.abs() <= MAX_INTEGER as f64 {
            out.push_str(&(value as i64).to_string());
        } else {
            out.push_str(literal);
        }
    }
    Ok(())
}
