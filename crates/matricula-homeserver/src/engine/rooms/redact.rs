//! [Redactions](https://spec.matrix.org/v1.19/client-server-api/#redactions).

use matricula_api::{
    ErrorCode, EventId, RoomId, UserId,
    client::redaction::{RedactEvent, RedactEventResponse},
};
use matricula_core::StepContext;
use matricula_rules::{power_levels::Action, redaction};
use serde_json::{Value, json};

use super::{
    client_event::REDACTION,
    events::{Appended, NewEvent, append_event, room_version},
    forbidden, not_found, power, require_joined, require_sender,
    send::{count_event, send_once},
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{
        events::{SERVER, redact},
        notifications,
    },
};

impl Handler for RedactEvent {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RedactEventResponse, HandlerError> {
        let (requester, user) = require_sender(context, cx.now)?;
        let device = requester.event_device();
        let endpoint = format!("{}/redact/{}", self.room_id, self.event_id);
        let id = send_once(context, device, &endpoint, &self.txn_id, || {
            count_event(context, &requester, cx.now)?;
            let mut content = json!({ "redacts": self.event_id.as_str() });
            if let Some(reason) = &self.reason {
                content["reason"] = json!(reason);
            }
            append_redaction(context, cx, &self.room_id, &user, &content)
        })?;
        Ok(RedactEventResponse::default().event_id(id.parse::<EventId>()?))
    }
}

/// Appends a redaction and applies it. `content` names the event to be redacted.
pub(super) fn append_redaction(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    room: &RoomId,
    user: &UserId,
    content: &Value,
) -> Result<Appended, HandlerError> {
    require_joined(context, room, user)?;
    let Some(id) = content["redacts"].as_str() else {
        let error = "a redaction names the event in `redacts` of its content";
        return Err(ApiError::new(400, ErrorCode::MissingParam, error).into());
    };
    let event = SERVER
        .find(context.tx, room.as_str(), id)?
        .ok_or_else(|| not_found("the room has no such event"))?;
    if !power::may(context, room, user, Action::Redact(&event.sender))? {
        let error = format!("{user} may redact only their own events");
        return Err(forbidden(error).into());
    }
    let new = NewEvent {
        room,
        sender: user,
        kind: REDACTION,
        state_key: None,
        content,
    };
    let appended = append_event(context, cx, &new)?;
    // A second redaction changes nothing.
    if event.redacted_by.is_none() {
        let version = room_version(context, room)?;
        let redacted = redaction::redact_content(&event.kind, &event.content, version);
        let redacted = redacted.map_err(|error| HandlerError::Internal(Box::new(error)))?;
        redact(context.tx, event.position, &redacted, appended.position)?;
        // There is nothing to read in it.
        notifications::remove_event(context.tx, room.as_str(), event.position)?;
    }
    Ok(appended)
}
