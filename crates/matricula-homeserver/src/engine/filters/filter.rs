//! A whole filter.

use matricula_api::{
    ErrorCode, LenientList, RoomId,
    client::definitions::{SyncFilter, SyncFilterEventFormat},
    server::read_body,
};
use serde_json::{Map, Value};

use super::EventMatcher;
use crate::engine::error::{ApiError, HandlerError};

/// A filter of a sync, parsed and checked. The default lets everything through.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    pub(crate) presence: EventMatcher,
    /// For account data that is not about a room.
    pub(crate) account_data: EventMatcher,
    pub(crate) timeline: EventMatcher,
    pub(crate) state: EventMatcher,
    pub(crate) ephemeral: EventMatcher,
    pub(crate) room_account_data: EventMatcher,
    pub(crate) include_leave: bool,
    /// Whether events are sent in the format of federation.
    pub(crate) has_federation_format: bool,
    rooms: Option<LenientList<RoomId>>,
    not_rooms: LenientList<RoomId>,
    /// The paths of the fields to send; all if absent.
    fields: Option<Vec<Vec<String>>>,
}

impl Filter {
    /// Parses a filter. A part of another type than the specification's is an error.
    pub(super) fn parse(text: &str) -> Result<Self, HandlerError> {
        let filter: SyncFilter = read_body(text.as_bytes())?;
        let has_federation_format = match filter.event_format {
            None | Some(SyncFilterEventFormat::Client) => false,
            Some(SyncFilterEventFormat::Federation) => true,
            Some(other) => {
                let error = format!("event_format is client or federation, and not {other}");
                return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
            }
        };
        let room = filter.room.unwrap_or_default();
        let fields = filter.event_fields.map(|fields| {
            let paths = fields.iter().map(|field| split_path(field));
            paths.collect()
        });
        Ok(Self {
            presence: filter.presence.unwrap_or_default().into(),
            account_data: filter.account_data.unwrap_or_default().into(),
            timeline: room.timeline.unwrap_or_default().into(),
            state: room.state.unwrap_or_default().into(),
            ephemeral: room.ephemeral.unwrap_or_default().into(),
            room_account_data: room.account_data.unwrap_or_default().into(),
            include_leave: room.include_leave == Some(true),
            has_federation_format,
            rooms: room.rooms,
            not_rooms: room.not_rooms.unwrap_or_default(),
            fields,
        })
    }

    /// Whether anything about this room passes.
    pub(crate) fn matches_room(&self, room: &str) -> bool {
        let is = |it: &RoomId| it.as_str() == room;
        self.rooms.as_ref().is_none_or(|list| list.iter().any(is)) && !self.not_rooms.iter().any(is)
    }

    /// The part of an event that passes: the fields that the client wants.
    pub(crate) fn select_fields(&self, event: Value) -> Value {
        let Some(fields) = &self.fields else {
            return event;
        };
        let mut selected = Value::Object(Map::new());
        for path in fields {
            copy(&event, path, &mut selected);
        }
        selected
    }
}

/// The parts of a [dot-separated path](https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths).
/// A backslash takes the special meaning from a dot and from another backslash.
fn split_path(path: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next_if(|next| ['.', '\\'].contains(next));
                part.push(escaped.unwrap_or(character));
            }
            '.' => parts.push(std::mem::take(&mut part)),
            _ => part.push(character),
        }
    }
    parts.push(part);
    parts
}

/// Copies the value at a path, if it is there.
fn copy(from: &Value, path: &[String], to: &mut Value) {
    let Some((name, rest)) = path.split_first() else {
        *to = from.clone();
        return;
    };
    let Some(value) = from.get(name) else {
        return;
    };
    if rest.is_empty() {
        to[name] = value.clone();
    } else if value.is_object() {
        if !to[name].is_object() {
            to[name] = Value::Object(Map::new());
        }
        copy(value, rest, &mut to[name]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::{Filter, split_path};

    #[test]
    fn backslash_escapes_dots() {
        for (path, parts) in [
            ("type", vec!["type"]),
            ("content.body", vec!["content", "body"]),
            (
                r"content.m\.relates_to.key",
                vec!["content", "m.relates_to", "key"],
            ),
            (r"a\\.b", vec![r"a\", "b"]),
            (r"a\b", vec![r"a\b"]),
            (r"a\", vec![r"a\"]),
            ("", vec![""]),
            ("a..b", vec!["a", "", "b"]),
        ] {
            assert_eq!(split_path(path), parts, "{path}");
        }
    }

    #[test]
    fn only_listed_fields_are_selected() {
        let event = json!({ "type": "m.x", "event_id": "$1",
            "content": { "body": "a", "m.x": { "y": 1, "z": 2 }, "list": [1] } });
        for (fields, selected) in [
            (json!(["type", "nothing"]), json!({ "type": "m.x" })),
            (json!([]), json!({})),
            (
                json!(["content.body", "content.list.0"]),
                json!({ "content": { "body": "a" } }),
            ),
            (
                json!(["content.m\\.x.y", "content.list"]),
                json!({ "content": { "m.x": { "y": 1 }, "list": [1] } }),
            ),
            (json!(["content.body.x"]), json!({ "content": {} })),
            (
                json!(["content", "content.body"]),
                json!({ "content": event["content"] }),
            ),
        ] {
            let filter = Filter::parse(&json!({ "event_fields": fields }).to_string()).unwrap();
            assert_eq!(filter.select_fields(event.clone()), selected, "{fields}");
        }
        assert_eq!(Filter::default().select_fields(event.clone()), event);
    }
}
