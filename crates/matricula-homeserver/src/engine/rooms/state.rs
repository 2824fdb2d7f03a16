//! Reading the state of a room, and single events.

use matricula_api::{
    Raw,
    client::rooms::{GetRoomEvent, GetRoomState, GetStateEvent, StateFormat},
    common::ClientEvent,
};
use matricula_core::StepContext;

use super::{
    access::ReadAccess,
    client_event::{Reader, Shape},
    not_found, require_reader,
};
use crate::engine::{context::RequestContext, error::HandlerError, handler::Handler};

impl Handler for GetRoomState {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Vec<Raw<ClientEvent>>, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        let room = self.room_id.as_str();
        let access = ReadAccess::require(context.tx, room, &user)?;
        let reader = Reader::new(context, &requester, &user, cx.now);
        let up_to = access.readable_state().unwrap_or(0);
        let state = reader.device.state_between(context.tx, room, 0, up_to)?;
        reader.write_raw(&access, &state)
    }
}

impl Handler for GetStateEvent {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Raw, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        let room = self.room_id.as_str();
        let access = ReadAccess::require(context.tx, room, &user)?;
        let reader = Reader::new(context, &requester, &user, cx.now);
        let up_to = access.readable_state().unwrap_or(0);
        let (kind, state_key) = (&self.event_type, &self.state_key);
        let event = reader
            .device
            .state(context.tx, room, kind, state_key, up_to)?;
        let event = event.ok_or_else(|| not_found("the room has no such state"))?;
        Ok(Raw::from_json(match self.format {
            Some(StateFormat::Event) => reader.write(&access, &event, Shape::WHOLE)?.to_string(),
            _ => event.content,
        })?)
    }
}

impl Handler for GetRoomEvent {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Raw<ClientEvent>, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        let (room, id) = (self.room_id.as_str(), self.event_id.as_str());
        // An event that may not be read is not distinguished from one that does not exist.
        let access = ReadAccess::load(context.tx, room, &user)?;
        let reader = Reader::new(context, &requester, &user, cx.now);
        let event = reader.device.find(context.tx, room, id)?;
        let is_visible = access.readable_state().is_some();
        let event = event.filter(|event| is_visible && access.may_read(event));
        let event = event.ok_or_else(|| not_found("the room has no such event"))?;
        let json = reader.write(&access, &event, Shape::WHOLE)?;
        Ok(Raw::from_json(json.to_string())?)
    }
}
