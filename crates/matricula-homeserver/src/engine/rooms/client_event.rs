//! Events in the [format for clients](https://spec.matrix.org/v1.19/client-server-api/#room-event-format).

use matricula_api::{Raw, UserId, common::ClientEvent};
use matricula_core::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    access::ReadAccess,
    relations::{self, Aggregated},
};
use crate::engine::{
    auth::requester::Requester,
    context::RequestContext,
    error::HandlerError,
    storage::events::{EventDevice, EventRow, SERVER},
    util::millis,
};

pub(super) const REDACTION: &str = "m.room.redaction";

/// The user and device that events are written for.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) context: &'a RequestContext<'a>,
    pub(super) device: EventDevice<'a>,
    pub(super) user: &'a UserId,
    pub(super) now: Timestamp,
}

/// What is written of an event.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Whether `room_id` is written.
    pub(super) with_room: bool,
    /// Whether what others said about the event is written: its edits, references and thread.
    pub(super) with_relations: bool,
}

impl Shape {
    /// As all endpoints but /sync write events.
    pub(super) const WHOLE: Self = Self {
        with_room: true,
        with_relations: true,
    };
    /// As /sync writes events of rooms.
    pub(super) const IN_ROOM: Self = Self {
        with_room: false,
        with_relations: false,
    };
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        context: &'a RequestContext<'a>,
        requester: &'a Requester,
        user: &'a UserId,
        now: Timestamp,
    ) -> Self {
        Self {
            context,
            device: requester.event_device(),
            user,
            now,
        }
    }

    /// An event in the format for clients.
    pub(super) fn write(
        &self,
        access: &ReadAccess,
        event: &EventRow,
        shape: Shape,
    ) -> Result<Value, HandlerError> {
        let mut json = self.write_bare(event)?;
        if shape.with_room {
            json["room_id"] = json!(event.room);
        }
        let mut unsigned = self.unsigned(access, event)?;
        if shape.with_relations
            && let Some(relations) = relations::bundled(self, access, event)?
        {
            unsigned.insert("m.relations".to_owned(), self.relations(access, relations)?);
        }
        json["unsigned"] = unsigned.into();
        Ok(json)
    }

    /// The same for a list, as the types of the specification have it.
    pub(super) fn write_raw(
        &self,
        access: &ReadAccess,
        events: &[EventRow],
    ) -> Result<Vec<Raw<ClientEvent>>, HandlerError> {
        let all = events.iter().map(|event| {
            let json = self.write(access, event, Shape::WHOLE)?;
            Ok(Raw::from_json(json.to_string())?)
        });
        all.collect()
    }

    /// An event without `room_id` and `unsigned`.
    fn write_bare(&self, event: &EventRow) -> Result<Value, HandlerError> {
        let content: Value = serde_json::from_str(&event.content)?;
        let mut json = json!({
            "event_id": event.id,
            "type": event.kind,
            "sender": event.sender,
            "origin_server_ts": event.sent_at,
        });
        if let Some(state_key) = &event.state_key {
            json["state_key"] = json!(state_key);
        }
        // Where room versions before 11 have it. Both are served in all versions.
        if event.kind == REDACTION && content.get("redacts").is_some() {
            json["redacts"] = content["redacts"].clone();
        }
        json["content"] = content;
        Ok(json)
    }

    fn unsigned(
        &self,
        access: &ReadAccess,
        event: &EventRow,
    ) -> Result<Map<String, Value>, HandlerError> {
        let tx = self.context.tx;
        let mut unsigned = Map::new();
        let mut put = |name: &str, value: Value| drop(unsigned.insert(name.to_owned(), value));
        put("age", (millis(self.now) - event.sent_at).max(0).into());
        put(
            "membership",
            access.membership_at(event.position).as_str().into(),
        );
        if let Some(transaction) = &event.transaction {
            put("transaction_id", json!(transaction));
        }
        if let Some(state_key) = &event.state_key {
            let (room, kind) = (&event.room, &event.kind);
            let before = SERVER.state(tx, room, kind, state_key, event.position - 1)?;
            if let Some(before) = before {
                put("replaces_state", json!(before.id));
                put("prev_content", serde_json::from_str(&before.content)?);
                put("prev_sender", json!(before.sender));
            }
        }
        if let Some(by) = event.redacted_by
            && let Some(redaction) = self.device.at(tx, by)?
        {
            let mut because = self.write_bare(&redaction)?;
            because["room_id"] = json!(event.room);
            put("redacted_because", because);
        }
        Ok(unsigned)
    }

    fn relations(&self, access: &ReadAccess, found: Aggregated) -> Result<Value, HandlerError> {
        let mut json = json!({});
        // An event in an aggregation has none of its own but its newest edit.
        let whole = |event: &EventRow, with_relations| {
            let shape = Shape {
                with_room: true,
                with_relations,
            };
            self.write(access, event, shape)
        };
        if let Some(edit) = found.edit {
            json["m.replace"] = whole(&edit, false)?;
        }
        if !found.references.is_empty() {
            let chunk = found.references.iter().map(|id| json!({ "event_id": id }));
            json["m.reference"] = json!({ "chunk": chunk.collect::<Vec<_>>() });
        }
        if let Some(thread) = found.thread {
            json["m.thread"] = json!({
                "latest_event": whole(&thread.latest, true)?,
                "count": thread.count,
                "current_user_participated": thread.has_own,
            });
        }
        Ok(json)
    }
}

/// An event in the format of federation.
pub(super) fn to_federation(event: &EventRow) -> Result<Value, HandlerError> {
    let envelope = event.envelope.as_deref().unwrap_or("{}");
    let mut json: Map<String, Value> = serde_json::from_str(envelope)?;
    json.insert("type".to_owned(), json!(event.kind));
    json.insert("sender".to_owned(), json!(event.sender));
    json.insert("origin_server_ts".to_owned(), json!(event.sent_at));
    json.insert("depth".to_owned(), json!(event.depth));
    json.insert("content".to_owned(), serde_json::from_str(&event.content)?);
    if let Some(state_key) = &event.state_key {
        json.insert("state_key".to_owned(), json!(state_key));
    }
    Ok(json.into())
}
