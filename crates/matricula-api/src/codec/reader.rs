//! Reads JSON text value by value, and can go back to the start of a value that does not fit.
//!
//! `serde_json` checks and splits the values; this adds the way back. It is not generic, so that the
//! types of the specification cost little to compile.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de, de::IgnoredAny};
use serde_json::value::RawValue;

use super::Read;
use crate::json_path;

/// As deep as `serde_json` goes.
const MAX_DEPTH: u8 = 127;

/// The text that is read, and how far it was read.
pub struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: u8,
    /// Whether an object or list was opened, and nothing of it was read yet.
    is_first: bool,
    /// Whether a part that does not fit is an error: in requests, which a server reads.
    is_strict: bool,
    /// The parts that do not fit, and where they start, if they are wanted.
    invalid: Option<Vec<(usize, Error)>>,
}

/// What takes the parts that do not fit: the object's other fields.
pub(crate) trait Rest {
    /// Stores the value of a field, unchanged.
    fn store(&mut self, name: &str, json: &RawValue);

    /// Forgets the value of a field: if it is repeated, the last one counts.
    fn forget(&mut self, name: &str);

    /// Whether the value of a field is stored.
    fn has(&self, name: &str) -> bool;
}

impl<'de> Reader<'de> {
    fn new(text: &'de str, is_strict: bool) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            is_first: false,
            is_strict,
            invalid: None,
        }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.is_strict
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The first byte of the next value.
    pub(crate) fn peek(&mut self) -> Result<u8, Error> {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte().ok_or_else(Error::syntax)
    }

    /// The next value, unparsed.
    pub(crate) fn raw(&mut self) -> Result<&'de RawValue, Error> {
        self.peek()?;
        let rest = serde_json::Deserializer::from_str(&self.text[self.at..]);
        let mut values = rest.into_iter::<&RawValue>();
        let Some(Ok(value)) = values.next() else {
            return Err(Error::syntax());
        };
        self.at += values.byte_offset();
        Ok(value)
    }

    /// The error of a next value that is of another type.
    pub(crate) fn unexpected(&mut self, expected: &str) -> Error {
        match self.raw() {
            Ok(value) => Error::new(format!(
                "expected {expected}, found {}",
                kind_of(value.get())
            )),
            Err(error) => error,
        }
    }

    /// Skips the next value if it is null.
    pub(crate) fn null(&mut self) -> Result<bool, Error> {
        let is_null = self.peek()? == b'n';
        if is_null {
            self.raw()?;
        }
        Ok(is_null)
    }

    /// The next value, a string.
    pub(crate) fn text(&mut self, expected: &str) -> Result<Cow<'de, str>, Error> {
        if self.peek()? != b'"' {
            return Err(self.unexpected(expected));
        }
        let (_, text) = self.string()?;
        // Half of a surrogate pair.
        text.ok_or_else(|| Error::new("the text has an escape that is not a character"))
    }

    /// The next value, a string, as it stands and without escapes.
    fn string(&mut self) -> Result<(&'de str, Option<Cow<'de, str>>), Error> {
        let rest = &self.text[self.at..];
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        if let Some(length) = rest.bytes().skip(1).position(|byte| is_end(&byte))
            && rest.as_bytes()[length + 1] == b'"'
        {
            let text = &rest[1..=length];
            self.at += length + 2;
            return Ok((text, Some(Cow::Borrowed(text))));
        }
        let json = self.raw()?.get();
        let text = serde_json::from_str(json).ok().map(Cow::Owned);
        Ok((&json[1..json.len() - 1], text))
    }

    fn open(&mut self, bracket: u8, expected: &str) -> Result<(), Error> {
        if self.peek()? != bracket {
            return Err(self.unexpected(expected));
        }
        if self.depth == MAX_DEPTH {
            return Err(Error::new("it is nested too deeply"));
        }
        self.at += 1;
        self.depth += 1;
        self.is_first = true;
        Ok(())
    }

    /// Whether another part follows. Otherwise it is the end.
    fn next(&mut self, bracket: u8) -> Result<bool, Error> {
        let byte = self.peek()?;
        let is_first = std::mem::take(&mut self.is_first);
        if byte == bracket {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if is_first {
            return Ok(true);
        }
        if byte != b',' {
            return Err(Error::syntax());
        }
        self.at += 1;
        if self.peek()? == bracket {
            return Err(Error::syntax());
        }
        Ok(true)
    }

    /// Begins an object.
    pub(crate) fn object(&mut self) -> Result<(), Error> {
        self.open(b'{', "an object")
    }

    /// The name of the next field; `None` at the end of the object.
    pub(crate) fn key(&mut self) -> Result<Option<Cow<'de, str>>, Error> {
        if !self.next(b'}')? {
            return Ok(None);
        }
        if self.peek()? != b'"' {
            return Err(Error::syntax());
        }
        let (written, key) = self.string()?;
        if self.peek()? != b':' {
            return Err(Error::syntax());
        }
        self.at += 1;
        Ok(Some(key.unwrap_or(Cow::Borrowed(written))))
    }

    /// Begins a list.
    pub(crate) fn list(&mut self) -> Result<(), Error> {
        self.open(b'[', "a list")
    }

    /// Whether another item follows.
    pub(crate) fn item(&mut self) -> Result<bool, Error> {
        self.next(b']')
    }

    /// The place of the next value.
    pub(crate) fn start(&mut self) -> Result<Start, Error> {
        self.peek()?;
        Ok(Start {
            at: self.at,
            depth: self.depth,
        })
    }

    /// Goes back, to read a value again in another way. In a request, and after an error in the JSON, there
    /// is no other way.
    pub(crate) fn retry(&mut self, from: Start, error: Error) -> Result<(), Error> {
        if self.is_strict || error.is_syntax() {
            return Err(error);
        }
        if let Some(invalid) = &mut self.invalid {
            // What was found inside it is a part of it.
            invalid.retain(|(at, _)| *at < from.at);
            invalid.push((from.at, error));
        }
        self.go_back(from);
        Ok(())
    }

    pub(crate) fn go_back(&mut self, to: Start) {
        self.at = to.at;
        self.depth = to.depth;
        self.is_first = false;
    }

    /// The next value as a `T` or, if it does not fit, unchanged.
    pub(crate) fn attempt<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Result<T, &'de RawValue>, Error> {
        let start = self.start()?;
        match read(self) {
            Ok(value) => Ok(Ok(value)),
            Err(error) => {
                self.retry(start, error)?;
                self.raw().map(Err)
            }
        }
    }

    /// The value of a required field; `None` for null.
    pub(crate) fn field<T: Read>(&mut self, name: &str) -> Result<Option<T>, Error> {
        if self.null()? {
            return Ok(None);
        }
        match T::read(self) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.at(name)),
        }
    }

    /// The value of an optional field; `None` for null. A value that does not fit is stored in `rest`.
    pub(crate) fn optional<T: Read>(
        &mut self,
        name: &str,
        rest: &mut dyn Rest,
    ) -> Result<Option<T>, Error> {
        if self.null()? {
            rest.forget(name);
            return Ok(None);
        }
        self.present(name, rest)
    }

    /// The value of a required list or map of which an empty one is as good as none: null and a value that
    /// does not fit are read as empty, and the latter is stored in `rest`.
    pub(crate) fn or_empty<T: Read + Default>(
        &mut self,
        name: &str,
        rest: &mut dyn Rest,
    ) -> Result<Option<T>, Error> {
        if self.is_strict {
            return self.field(name);
        }
        self.optional(name, rest)
            .map(Option::unwrap_or_default)
            .map(Some)
    }

    /// The value of another required list: null is read as empty.
    pub(crate) fn list_field<T: Read + Default>(&mut self, name: &str) -> Result<Option<T>, Error> {
        let value = self.field(name)?;
        Ok(value.or_else(|| (!self.is_strict).then(T::default)))
    }

    /// The value of a required field that may be null.
    pub(crate) fn any<T: Read>(&mut self, name: &str) -> Result<Option<T>, Error> {
        T::read(self).map(Some).map_err(|error| error.at(name))
    }

    /// The value of a field in which null and absence differ.
    pub(crate) fn present<T: Read>(
        &mut self,
        name: &str,
        rest: &mut dyn Rest,
    ) -> Result<Option<T>, Error> {
        rest.forget(name);
        match self.attempt(T::read) {
            Ok(Ok(value)) => Ok(Some(value)),
            Ok(Err(json)) => {
                rest.store(name, json);
                Ok(None)
            }
            Err(error) => Err(error.at(name)),
        }
    }

    /// Reads a field that must have this value.
    pub(crate) fn constant(&mut self, name: &str, wanted: &str) -> Result<(), Error> {
        let is_wanted = self.text("a string").map_err(|error| error.at(name))? == wanted;
        if is_wanted {
            Ok(())
        } else {
            Err(Error::new(format!("not `{wanted}`")).at(name))
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        match self.peek() {
            Ok(_) => Err(Error::syntax()),
            Err(_) => Ok(()),
        }
    }
}

/// Where a value starts.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    at: usize,
    depth: u8,
}

/// The value of a required field.
pub(crate) fn required<T>(value: Option<T>, name: &str) -> Result<T, Error> {
    value.ok_or_else(|| Error::new(format!("missing field `{name}`")))
}

/// The value of a required list or map that may be missing in what a server sends.
pub(crate) fn or_empty<T: Default>(
    value: Option<T>,
    name: &str,
    from: &Reader<'_>,
) -> Result<T, Error> {
    match value {
        None if !from.is_strict => Ok(T::default()),
        value => required(value, name),
    }
}

/// What a server sent, as a `T`.
pub(crate) fn from_text<T: Read>(text: &str) -> Result<T, Error> {
    let mut from = Reader::new(text, false);
    let value = T::read(&mut from)?;
    from.end()?;
    Ok(value)
}

/// The parts of a text that do not fit a `T`: the place of each, and the reason.
pub(crate) fn invalid_parts<T: Read>(text: &str) -> Vec<InvalidPart> {
    let mut from = Reader::new(text, false);
    from.invalid = Some(Vec::new());
    if let Err(error) = T::read(&mut from) {
        return vec![InvalidPart::new(String::new(), &error)];
    }
    let parts = from.invalid.into_iter().flatten();
    parts
        .map(|(at, error)| InvalidPart::new(json_path::path_at(text.as_bytes(), at), &error))
        .collect()
}

/// A part of what a server sent that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidPart {
    /// The JSON pointer of the part.
    pub pointer: String,
    /// Why it is not valid. It contains no values, because they may be secret.
    pub reason: String,
}

impl InvalidPart {
    fn new(pointer: String, error: &Error) -> Self {
        let reason = error.shown();
        Self { pointer, reason }
    }
}

impl fmt::Display for InvalidPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.reason)
    }
}

/// The body of a request, as `read` reads it. `is_strict`: whether a part that does not fit is an error.
#[cfg(feature = "server")]
pub(crate) fn from_request<T>(
    text: &str,
    is_strict: bool,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut from = Reader::new(text, is_strict);
    let value = read(&mut from)?;
    from.end()?;
    Ok(value)
}

/// The implementation of `Deserialize` of a type that is read by a [`Reader`].
pub(crate) fn deserialize<'de, T: Read, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let json = Box::<RawValue>::deserialize(from)?;
    from_text(json.get()).map_err(|error| de::Error::custom(error.shown()))
}

/// Why a value could not be read. It contains no values, because they may be secret.
#[derive(Debug)]
pub struct Error(Box<Reason>);

#[derive(Debug)]
struct Reason {
    /// `None` if the text is not JSON.
    message: Option<Cow<'static, str>>,
    /// The names of the fields and the numbers of the items around it, the innermost first.
    path: Vec<String>,
}

impl Error {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Reason {
            message: Some(message.into()),
            path: Vec::new(),
        }))
    }

    fn syntax() -> Self {
        Self(Box::new(Reason {
            message: None,
            path: Vec::new(),
        }))
    }

    /// Whether the text is not JSON.
    pub(crate) fn is_syntax(&self) -> bool {
        self.0.message.is_none()
    }

    /// Adds the field or item in which it happened.
    pub(crate) fn at(mut self, step: impl ToString) -> Self {
        self.0.path.push(step.to_string());
        self
    }

    /// The reason, with the JSON pointer of the invalid value.
    fn shown(&self) -> String {
        let Some(message) = &self.0.message else {
            return "it is not whole JSON".to_owned();
        };
        let mut shown = message.clone().into_owned();
        for (index, step) in self.0.path.iter().rev().enumerate() {
            shown.push_str(if index == 0 { ", at /" } else { "/" });
            shown.push_str(&step.replace('~', "~0").replace('/', "~1"));
        }
        shown
    }

    /// The reason, with the path in `text`, in which it happened.
    pub(crate) fn explain(&self, text: &str) -> String {
        match serde_json::from_str::<IgnoredAny>(text) {
            Err(error) if self.is_syntax() => format!("it is not whole JSON: {error}"),
            _ => self.shown(),
        }
    }
}

/// The type of a JSON value.
fn kind_of(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'"') => "string",
        Some(b'{') => "map",
        Some(b'[') => "sequence",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ if json.contains(['.', 'e', 'E']) => "floating point",
        _ => "integer",
    }
}
