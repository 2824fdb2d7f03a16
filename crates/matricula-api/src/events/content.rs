//! The trait of event contents: event type, kinds, and conversion from and to JSON.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    InvalidPart, Raw,
    codec::{self, Read},
    json_path,
};

/// The kind of an event: how it is sent and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A state event of a room: it has a `state_key`.
    State,
    /// A message event of a room.
    Message,
    /// Not stored: typing, receipts, presence.
    Ephemeral,
    /// Stored by the server for the user, globally or for a room.
    AccountData,
    /// Sent to devices.
    ToDevice,
}

/// The content of an event type.
pub trait EventContent: Serialize + DeserializeOwned {
    /// The event type, such as `m.room.member`. If it ends in a dot, a suffix follows, which
    /// differs between events.
    const TYPE: &'static str;
    /// The kinds of events of this type.
    const KINDS: &'static [EventKind];

    /// Reads a content.
    ///
    /// # Errors
    /// If it does not match the type.
    fn from_raw<T>(content: &Raw<T>) -> Result<Self, EventError> {
        let json = content.json();
        serde_json::from_str(json).map_err(|error| EventError {
            kind: Self::TYPE.to_owned(),
            message: json_path::explain(json.as_bytes(), &error),
            is_redacted: is_empty(json),
        })
    }

    /// The content as raw JSON.
    fn to_raw(&self) -> Raw {
        // It fails only for maps with keys that are not strings; no generated type has one.
        Raw::new(self).expect("a generated type has a JSON form")
    }
}

/// An event that does not match its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} event is not valid: {message}")]
pub struct EventError {
    kind: String,
    message: String,
    is_redacted: bool,
}

impl EventError {
    /// Whether the content is `{}`, as redactions leave it, and lacks what the type requires.
    pub fn is_redacted(&self) -> bool {
        self.is_redacted
    }

    /// The event type; empty if it could not be read.
    pub fn event_type(&self) -> &str {
        &self.kind
    }

    /// The reason, with the path. It contains no values, because they may be secret.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The content of an unknown event type, or what a redaction left of a known one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UnknownContent {
    /// The type.
    pub event_type: String,
    /// The content, unparsed.
    pub content: Raw,
}

impl UnknownContent {
    /// Creates a content of this event type.
    pub fn new(event_type: impl Into<String>, content: Raw) -> Self {
        let event_type = event_type.into();
        Self {
            event_type,
            content,
        }
    }
}

/// Reads the content of an event of this type.
pub(crate) fn read<C: Read>(kind: &str, content: &Raw) -> Result<C, EventError> {
    read_json(kind, content.json())
}

/// The content of an event of a known type that could not be read: if it is empty, a redaction left it so.
pub(crate) fn redacted(
    kind: &str,
    content: &Raw,
    error: EventError,
) -> Result<UnknownContent, EventError> {
    if error.is_redacted() {
        Ok(UnknownContent::new(kind, content.clone()))
    } else {
        Err(error)
    }
}

/// The parts of a content of this type that are not valid.
pub(crate) fn invalid_parts<C: Read>(content: &Raw) -> Vec<InvalidPart> {
    codec::invalid_parts::<C>(content.json())
}

/// Whether it is `{}`.
fn is_empty(json: &str) -> bool {
    let inner = json
        .trim()
        .strip_prefix('{')
        .and_then(|json| json.strip_suffix('}'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

pub(crate) fn read_json<T: Read>(kind: &str, json: &str) -> Result<T, EventError> {
    codec::from_text(json).map_err(|error| EventError {
        kind: kind.to_owned(),
        message: error.explain(json),
        is_redacted: is_empty(json),
    })
}
