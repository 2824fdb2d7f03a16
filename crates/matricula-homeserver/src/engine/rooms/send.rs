//! [Sending events](https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room), once for
//! each transaction id.

use matricula_api::{
    ErrorCode, EventId, RoomId, UserId,
    client::{
        room_send::{SendMessage, SendMessageResponse},
        room_state::{SendStateEvent, SendStateEventResponse},
    },
};
use matricula_core::{StepContext, Timestamp};
use serde_json::Value;

use super::{
    aliases,
    client_event::REDACTION,
    create::parse_object,
    events::{Appended, NewEvent, append_event, room_version},
    power::{POWER_LEVELS, check_levels},
    redact::append_redaction,
    relations::THREAD,
    require_joined, require_sender,
};
use crate::engine::{
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    presence,
    storage::{
        events::{EventDevice, SERVER},
        rate_limit::Bucket,
    },
};

impl Handler for SendMessage {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SendMessageResponse, HandlerError> {
        let (requester, user) = require_sender(context, cx.now)?;
        let device = requester.event_device();
        // https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers: per device and endpoint.
        let endpoint = format!("{}/{}", self.room_id, self.event_type);
        let id = send_once(context, device, &endpoint, &self.txn_id, || {
            count_event(context, &requester, cx.now)?;
            require_joined(context, &self.room_id, &user)?;
            let content = parse_object(Some(self.body.json()))?.into();
            if self.event_type == REDACTION {
                return append_redaction(context, cx, &self.room_id, &user, &content);
            }
            check_relation(context, &self.room_id, &user, &self.event_type, &content)?;
            let new = NewEvent {
                room: &self.room_id,
                sender: &user,
                kind: &self.event_type,
                state_key: None,
                content: &content,
            };
            append_event(context, cx, &new)
        })?;
        presence::on_activity(context, cx.now, user.as_str())?;
        Ok(SendMessageResponse::new(id.parse::<EventId>()?))
    }
}

impl Handler for SendStateEvent {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SendStateEventResponse, HandlerError> {
        let (requester, user) = require_sender(context, cx.now)?;
        count_event(context, &requester, cx.now)?;
        let (room, kind, state_key) = (&self.room_id, &*self.event_type, &*self.state_key);
        let content: Value = parse_object(Some(self.body.json()))?.into();
        let version = room_version(context, room);
        match kind {
            POWER_LEVELS => check_levels(version?, &content)?,
            aliases::CANONICAL => aliases::check_canonical(context, room, &content)?,
            _ => {}
        }
        let new = NewEvent {
            room,
            sender: &user,
            kind,
            state_key: Some(state_key),
            content: &content,
        };
        let id = match unchanged_state(context, &new)? {
            Some(id) => {
                require_joined(context, room, &user)?;
                id
            }
            None => append_event(context, cx, &new)?.id,
        };
        Ok(SendStateEventResponse::new(id.parse::<EventId>()?))
    }
}

/// Sends an event, unless the device sent one to this endpoint with this transaction id. Returns its id.
pub(super) fn send_once(
    context: &RequestContext<'_>,
    device: EventDevice<'_>,
    endpoint: &str,
    transaction: &str,
    send: impl FnOnce() -> Result<Appended, HandlerError>,
) -> Result<String, HandlerError> {
    if let Some(event) = device.find_transaction(context.tx, endpoint, transaction)? {
        return Ok(event);
    }
    let sent = send()?;
    device.save_transaction(context.tx, sent.position, endpoint, transaction)?;
    Ok(sent.id)
}

/// Counts an event against the rate limit of the account.
pub(super) fn count_event(
    context: &RequestContext<'_>,
    requester: &Requester,
    now: Timestamp,
) -> Result<(), HandlerError> {
    let bucket = Bucket {
        kind: "message",
        limit: context.config.limits.room_events,
        key: &requester.localpart,
    };
    Ok(bucket.check_and_take(context.tx, now)?)
}

/// Rejects a second reaction with the same key, and a thread on an event that is in a relation itself.
fn check_relation(
    context: &RequestContext<'_>,
    room: &RoomId,
    user: &UserId,
    kind: &str,
    content: &Value,
) -> Result<(), HandlerError> {
    let relation = &content["m.relates_to"];
    let Some(id) = relation["event_id"].as_str() else {
        return Ok(());
    };
    match relation["rel_type"].as_str() {
        Some("m.annotation") => {
            let condition = "events.relates_to = ?3 AND events.rel_type = 'm.annotation'
                 AND events.room = ?4 AND events.sender = ?5 AND events.kind = ?6";
            let values: [&dyn rusqlite::ToSql; 4] = [&id, &room.as_str(), &user.as_str(), &kind];
            for event in SERVER.query(context.tx, condition, &values)? {
                let other: Value = serde_json::from_str(&event.content)?;
                if other["m.relates_to"]["key"] == relation["key"] {
                    let error = "you reacted to this event with this key already";
                    return Err(ApiError::new(400, ErrorCode::DuplicateAnnotation, error).into());
                }
            }
        }
        Some(THREAD) => {
            if let Some(root) = SERVER.find(context.tx, room.as_str(), id)? {
                let root: Value = serde_json::from_str(&root.content)?;
                if root["m.relates_to"]["rel_type"].is_string() {
                    let error = "a thread cannot begin at an event that relates to another one";
                    return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// The current state event, if it has the sender and the content of the new one already.
fn unchanged_state(
    context: &RequestContext<'_>,
    new: &NewEvent<'_>,
) -> Result<Option<String>, HandlerError> {
    let (room, state_key) = (new.room.as_str(), new.state_key.unwrap_or_default());
    let Some(event) = SERVER.state(context.tx, room, new.kind, state_key, i64::MAX)? else {
        return Ok(None);
    };
    let content: Value = serde_json::from_str(&event.content)?;
    let is_same = content == *new.content && event.sender == new.sender.as_str();
    Ok(is_same.then_some(event.id))
}
