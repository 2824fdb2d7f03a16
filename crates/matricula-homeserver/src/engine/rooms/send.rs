//! [Sending events](https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room), once for
//! each transaction id.

use matricula_api::{
    EventId,
    client::{
        room_send::{SendMessage, SendMessageResponse},
        room_state::{SendStateEvent, SendStateEventResponse},
    },
};
use matricula_core::{StepContext, Timestamp};

use super::{
    MEMBER,
    create::parse_object,
    events::{NewEvent, append_event},
    forbidden,
    power::{POWER_LEVELS, check_levels_change, check_send},
    require_joined, require_sender,
};
use crate::engine::{
    auth::requester::Requester,
    context::RequestContext,
    error::HandlerError,
    handler::Handler,
    presence,
    storage::{events::state, rate_limit::Bucket},
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
        if let Some(event) = device.find_transaction(context.tx, &endpoint, &self.txn_id)? {
            return Ok(SendMessageResponse::new(event.parse::<EventId>()?));
        }
        count_event(context, &requester, cx.now)?;
        require_joined(context, &self.room_id, &user)?;
        check_send(context, &self.room_id, &user, &self.event_type, false)?;
        let content = parse_object(Some(self.body.json()))?.into();
        let new = NewEvent {
            room: &self.room_id,
            kind: &self.event_type,
            state_key: None,
            content: &content,
        };
        let event = append_event(context, cx, &user, &new)?;
        device.save_transaction(context.tx, event.position, &endpoint, &self.txn_id)?;
        presence::on_activity(context, cx.now, user.as_str())?;
        Ok(SendMessageResponse::new(event.id.parse::<EventId>()?))
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
        require_joined(context, room, &user)?;
        check_send(context, room, &user, kind, true)?;
        if kind == MEMBER || kind == "m.room.create" {
            let error = format!("{kind} cannot be set directly; use the endpoints for it");
            return Err(forbidden(error).into());
        }
        if state_key.starts_with('@') && state_key != user.as_str() {
            return Err(forbidden("this state key belongs to another user").into());
        }
        let content = parse_object(Some(self.body.json()))?.into();
        if kind == POWER_LEVELS {
            check_levels_change(context, room, &user, &content)?;
        }
        let new = NewEvent {
            room,
            kind,
            state_key: Some(state_key),
            content: &content,
        };
        let event = match unchanged_state(context, &new)? {
            Some(event) => event,
            None => append_event(context, cx, &user, &new)?.id,
        };
        Ok(SendStateEventResponse::new(event.parse::<EventId>()?))
    }
}

/// Counts an event against the rate limit of the account.
fn count_event(
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

/// The current state event, if it has the content of the new one already.
fn unchanged_state(
    context: &RequestContext<'_>,
    new: &NewEvent<'_>,
) -> Result<Option<String>, HandlerError> {
    let state_key = new.state_key.unwrap_or_default();
    let Some((id, content)) = state(context.tx, new.room.as_str(), new.kind, state_key)? else {
        return Ok(None);
    };
    let content: serde_json::Value = serde_json::from_str(&content)?;
    Ok((content == *new.content).then_some(id))
}
