//! The types that a [`Reader`] reads.

use std::time::Duration;

use matricula_core::{Secret, Timestamp};
use serde_json::{Map, Number, Value};

use super::{Error, Reader};
use crate::{Raw, StringOr};

/// A type that is read from JSON.
pub trait Read: Sized {
    /// Reads the next value.
    ///
    /// # Errors
    /// If it does not fit.
    fn read(from: &mut Reader<'_>) -> Result<Self, Error>;
}

/// A type that is the key of a map.
pub trait Key: AsRef<str> + Sized {
    /// Reads a key.
    ///
    /// # Errors
    /// If it does not fit.
    fn read_key(text: &str) -> Result<Self, Error>;
}

/// The largest whole number of [canonical JSON](https://spec.matrix.org/v1.19/appendices/#canonical-json).
/// A larger size or time is absurd.
const MAX: i128 = (1 << 53) - 1;

/// What the text of a JSON number says, if that is whole: `50.0` is.
#[allow(clippy::cast_possible_truncation, reason = "it is whole and small")]
fn whole(number: &str) -> Option<i128> {
    if let Ok(number) = number.parse() {
        return Some(number);
    }
    let number: f64 = number.parse().ok()?;
    let is_whole = number.fract() == 0.0 && number.abs() < 1e18;
    is_whole.then_some(number as i128)
}

/// Digits in a text.
fn digits(text: &str) -> Option<i128> {
    text.trim().parse().ok()
}

/// A whole number of at least `min` and at most `max`. `in_text`: whether servers send it as text too.
fn integer<T: TryFrom<i128>>(
    from: &mut Reader<'_>,
    expected: &'static str,
    (min, max): (i128, i128),
    in_text: bool,
) -> Result<T, Error> {
    let number = match from.peek()? {
        b'-' | b'0'..=b'9' => whole(from.raw()?.get()),
        b'"' if in_text && !from.is_strict() => digits(&from.text(expected)?),
        _ => return Err(from.unexpected(expected)),
    };
    let number = number.filter(|number| (min..=max).contains(number));
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Error::new(format!("it is not {expected}")))
}

/// A number of at most `max` that counts something.
fn natural(from: &mut Reader<'_>, max: i128, in_text: bool) -> Result<u64, Error> {
    integer(
        from,
        "a whole number that is not negative",
        (0, max),
        in_text,
    )
}

/// A whole number, possibly negative. `in_text`: whether servers send it as text too.
pub(crate) fn signed(from: &mut Reader<'_>, in_text: bool) -> Result<i64, Error> {
    let range = (i64::MIN.into(), i64::MAX.into());
    integer(from, "a whole number", range, in_text)
}

impl Read for bool {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        match from.peek()? {
            b't' => from.raw().map(|_| true),
            b'f' => from.raw().map(|_| false),
            _ => Err(from.unexpected("a boolean")),
        }
    }
}

impl Read for u64 {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        natural(from, MAX, false)
    }
}

impl Read for i64 {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        signed(from, false)
    }
}

impl Read for Number {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        match from.peek()? {
            b'-' | b'0'..=b'9' => {
                let number = serde_json::from_str(from.raw()?.get());
                number.map_err(|_| Error::new("the number is out of range"))
            }
            _ => Err(from.unexpected("a number")),
        }
    }
}

impl Read for f64 {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let number = Number::read(from)?;
        number
            .as_f64()
            .ok_or_else(|| Error::new("the number is out of range"))
    }
}

impl Read for String {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        from.text("a string").map(std::borrow::Cow::into_owned)
    }
}

impl Key for String {
    fn read_key(text: &str) -> Result<Self, Error> {
        Ok(text.to_owned())
    }
}

impl Read for Secret {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        String::read(from).map(Self::from)
    }
}

impl Read for Timestamp {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        natural(from, MAX, true).map(Self::from_millis)
    }
}

impl Read for Value {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let value = serde_json::from_str(from.raw()?.get());
        value.map_err(|_| Error::new(UNTYPED))
    }
}

/// JSON that `Value` cannot hold.
const UNTYPED: &str = "it is nested too deeply, or a number in it is out of range";

impl Read for Map<String, Value> {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        match from.peek()? {
            b'{' => serde_json::from_str(from.raw()?.get()).map_err(|_| Error::new(UNTYPED)),
            _ => Err(from.unexpected("an object")),
        }
    }
}

impl<T> Read for Raw<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        from.raw().map(|json| Self::of(json.to_owned()))
    }
}

impl<T: Read> Read for Option<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        if from.null()? {
            return Ok(None);
        }
        T::read(from).map(Some)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let mut items = Self::new();
        from.list()?;
        while from.item()? {
            let item = T::read(from);
            items.push(item.map_err(|error| error.at(items.len()))?);
        }
        Ok(items)
    }
}

/// Two values in a list.
impl<T: Read> Read for (T, T) {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let two: Result<[T; 2], _> = Vec::<T>::read(from)?.try_into();
        let [first, second] = two.map_err(|_| Error::new("expected a list of two"))?;
        Ok((first, second))
    }
}

impl<T: Read> Read for StringOr<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        match from.peek()? {
            b'"' => String::read(from).map(Self::Text),
            b'{' => T::read(from).map(Self::Object),
            _ => Err(from.unexpected("a text or an object")),
        }
    }
}

/// The value of a string; `None` for an empty one.
pub(crate) struct NonEmpty<T>(pub(crate) Option<T>);

impl<T: Read> Read for NonEmpty<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let start = from.start()?;
        if from.text("a string")?.is_empty() {
            return Ok(Self(None));
        }
        from.go_back(start);
        T::read(from).map(|value| Self(Some(value)))
    }
}

/// A number that may be sent as a string.
pub(crate) struct Decimal(pub(crate) f64);

impl Read for Decimal {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        if from.peek()? != b'"' {
            return f64::read(from).map(Self);
        }
        let number = from.text("a number")?.trim().parse().ok();
        // JSON has no others.
        let number = number.filter(|number: &f64| number.is_finite());
        let number = number.ok_or_else(|| Error::new("the text is no number"))?;
        Ok(Self(number))
    }
}

/// A whole number that servers send as text too.
pub(crate) struct Digits(pub(crate) i64);

impl Read for Digits {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        signed(from, true).map(Self)
    }
}

/// A duration in milliseconds.
pub(crate) struct Millis(pub(crate) Duration);

impl Read for Millis {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let millis = natural(from, MAX, true)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

/// A duration in seconds.
pub(crate) struct Seconds(pub(crate) Duration);

impl Read for Seconds {
    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let seconds = natural(from, MAX / 1000, true)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}
