//! What every content has: a type, a kind, and a way from and to JSON.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Raw, json_path};

/// How an event travels, and where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// In a room's history and its state: it has a `state_key`.
    State,
    /// In a room's history.
    Message,
    /// In no history: typing, receipts, presence.
    Ephemeral,
    /// Kept by a server for a user alone, for all rooms or for one.
    AccountData,
    /// Sent to single devices.
    ToDevice,
}

/// The content of a type of event.
pub trait EventContent: Serialize + DeserializeOwned {
    /// The type, such as `m.room.member`. Where it ends in a dot, what follows is part of the type
    /// and differs from event to event.
    const TYPE: &'static str;
    /// The kinds that events of this type may be of.
    const KINDS: &'static [EventKind];

    /// Reads a content.
    ///
    /// # Errors
    /// Where it is not what the type wants.
    fn from_raw<T>(content: &Raw<T>) -> Result<Self, EventError> {
        read_json(Self::TYPE, content.json())
    }

    /// The content as JSON, as it is sent.
    fn to_raw(&self) -> Raw {
        // It fails for maps whose keys are not texts alone, and no generated type has one.
        Raw::new(self).expect("a generated type has a JSON form")
    }
}

/// An event that is not what its type wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} event is not valid: {message}")]
pub struct EventError {
    kind: String,
    message: String,
}

impl EventError {
    /// The type of the event; empty if not even that could be read.
    pub fn event_type(&self) -> &str {
        &self.kind
    }

    /// What is wrong, and where. It holds no values: they may be secret.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The content of an event whose type is not known here.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UnknownContent {
    /// The type.
    pub event_type: String,
    /// The content as it came.
    pub content: Raw,
}

impl UnknownContent {
    /// A content of a type that may be of anybody's making.
    pub fn new(event_type: impl Into<String>, content: Raw) -> Self {
        let event_type = event_type.into();
        Self {
            event_type,
            content,
        }
    }
}

/// Reads the content of an event of the type `kind`.
pub(crate) fn read<C: EventContent>(kind: &str, content: &Raw) -> Result<C, EventError> {
    read_json(kind, content.json())
}

pub(crate) fn read_json<T: DeserializeOwned>(kind: &str, json: &str) -> Result<T, EventError> {
    serde_json::from_str(json).map_err(|error| refuse(kind, json, &error))
}

fn refuse(kind: &str, json: &str, error: &serde_json::Error) -> EventError {
    EventError {
        kind: kind.to_owned(),
        message: json_path::explain(json.as_bytes(), error),
    }
}
