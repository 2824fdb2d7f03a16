//! What the rules read of an event, borrowed from where it is stored.

use std::{borrow::Cow, fmt};

use crate::{
    JsonError,
    raw::{Object, parse_array, parse_text},
};

/// What the rules read of an event, borrowed from a row of a database or from received JSON.
///
/// `Debug` leaves out the content, because events are private.
#[derive(Clone, Copy)]
pub struct EventView<'a> {
    /// The event's id; none where it has none yet.
    pub event_id: Option<&'a str>,
    /// The room; none for the create event of a room of version 12.
    pub room_id: Option<&'a str>,
    /// The type.
    pub kind: &'a str,
    /// The state key, which makes it a state event.
    pub state_key: Option<&'a str>,
    /// The user who sends it.
    pub sender: &'a str,
    /// The content: a JSON text.
    pub content: &'a str,
    /// The events that it follows.
    pub prev_events: PrevEvents<'a>,
    /// For `m.room.redaction` of versions 1 to 10: the id of the event to be redacted.
    pub redacts: Option<&'a str>,
}

/// The events that an event follows, as far as the rules ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrevEvents<'a> {
    /// The first event of a room.
    #[default]
    None,
    /// It follows exactly this event.
    One(&'a str),
    /// It follows more than one event.
    Several,
}

impl<'a> EventView<'a> {
    /// An event of this type, sender and content (a JSON text). The other fields are set by the methods below.
    pub fn new(kind: &'a str, sender: &'a str, content: &'a str) -> Self {
        Self {
            event_id: None,
            room_id: None,
            kind,
            state_key: None,
            sender,
            content,
            prev_events: PrevEvents::None,
            redacts: None,
        }
    }

    /// Sets the event's id.
    pub fn event_id(self, id: &'a str) -> Self {
        Self {
            event_id: Some(id),
            ..self
        }
    }

    /// Sets the room.
    pub fn room_id(self, id: &'a str) -> Self {
        Self {
            room_id: Some(id),
            ..self
        }
    }

    /// Sets the state key, which makes it a state event.
    pub fn state_key(self, key: &'a str) -> Self {
        Self {
            state_key: Some(key),
            ..self
        }
    }

    /// Sets the events that it follows.
    pub fn prev_events(self, prev_events: PrevEvents<'a>) -> Self {
        Self {
            prev_events,
            ..self
        }
    }

    /// Sets the event that it redacts, for versions 1 to 10.
    pub fn redacts(self, id: &'a str) -> Self {
        Self {
            redacts: Some(id),
            ..self
        }
    }

    /// Whether it is the state event of this type and state key.
    pub fn is_state(&self, kind: &str, state_key: &str) -> bool {
        self.kind == kind && self.state_key == Some(state_key)
    }
}

impl fmt::Debug for EventView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventView")
            .field("event_id", &self.event_id)
            .field("room_id", &self.room_id)
            .field("kind", &self.kind)
            .field("state_key", &self.state_key)
            .field("sender", &self.sender)
            .field("content", &format_args!("{} bytes", self.content.len()))
            .field("prev_events", &self.prev_events)
            .field("redacts", &self.redacts)
            .finish()
    }
}

/// The fields of an event that was received as JSON, in the format for clients or for servers.
///
/// ```
/// use matricula_rules::ReceivedEvent;
///
/// let event = ReceivedEvent::parse(
///     r#"{"type": "m.room.topic", "state_key": "", "sender": "@a:example.org", "content": {"topic": "x"}}"#,
/// )?;
/// assert_eq!(event.view().kind, "m.room.topic");
/// assert_eq!(event.view().content, r#"{"topic": "x"}"#);
/// # Ok::<(), matricula_rules::JsonError>(())
/// ```
pub struct ReceivedEvent<'a> {
    event_id: Option<Cow<'a, str>>,
    room_id: Option<Cow<'a, str>>,
    kind: Cow<'a, str>,
    state_key: Option<Cow<'a, str>>,
    sender: Cow<'a, str>,
    content: &'a str,
    prev_events: Vec<Cow<'a, str>>,
    redacts: Option<Cow<'a, str>>,
}

impl<'a> ReceivedEvent<'a> {
    /// Reads an event. Texts without escapes are borrowed.
    ///
    /// # Errors
    /// If it is not an object with a `type`, a `sender` and a `content` object, or another field that is read
    /// here has the wrong type.
    pub fn parse(json: &'a str) -> Result<Self, JsonError> {
        let event = Object::parse(json)?;
        let text = |field: &'static str| -> Result<Option<Cow<'a, str>>, JsonError> {
            let value = event.get(field);
            let read = |value| parse_text(value).ok_or_else(|| JsonError::wrong(field, "a text"));
            value.map(read).transpose()
        };
        let missing = |field| move || JsonError::wrong(field, "a text");
        let content = event.get("content").map_or("", |it| it.get());
        if !content.starts_with('{') {
            return Err(JsonError::wrong("content", "an object"));
        }
        Ok(Self {
            event_id: text("event_id")?,
            room_id: text("room_id")?,
            kind: text("type")?.ok_or_else(missing("type"))?,
            state_key: text("state_key")?,
            sender: text("sender")?.ok_or_else(missing("sender"))?,
            content,
            prev_events: prev_events(&event)?,
            redacts: text("redacts")?,
        })
    }

    /// What the rules read of it.
    pub fn view(&self) -> EventView<'_> {
        EventView {
            event_id: self.event_id.as_deref(),
            room_id: self.room_id.as_deref(),
            kind: &self.kind,
            state_key: self.state_key.as_deref(),
            sender: &self.sender,
            content: self.content,
            prev_events: match &*self.prev_events {
                [] => PrevEvents::None,
                [one] => PrevEvents::One(one),
                _ => PrevEvents::Several,
            },
            redacts: self.redacts.as_deref(),
        }
    }
}

/// The ids in `prev_events`: texts, or in versions 1 and 2 pairs of an id and hashes.
fn prev_events<'a>(event: &Object<'a>) -> Result<Vec<Cow<'a, str>>, JsonError> {
    let wrong = || JsonError::wrong("prev_events", "a list of event ids");
    let Some(list) = event.get("prev_events") else {
        return Ok(Vec::new());
    };
    let id =
        |entry| parse_text(entry).or_else(|| parse_text(parse_array(entry)?.first().copied()?));
    let list = parse_array(list).ok_or_else(wrong)?;
    list.into_iter()
        .map(|entry| id(entry).ok_or_else(wrong))
        .collect()
}
