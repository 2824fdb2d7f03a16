//! [Reading rooms](https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room): state,
//! single events, pages of events.

use matricula_api::{
    ErrorCode, Raw,
    client::{
        definitions::Direction,
        message_pagination::{GetRoomMessages, GetRoomMessagesResponse},
        rooms::{GetRoomEvent, GetRoomState, GetStateEvent, StateFormat},
    },
    common::ClientEvent,
};
use matricula_core::StepContext;

use super::{
    DEFAULT_PAGE, MAX_PAGE,
    events::{parse_position, position_token, to_client},
    require_joined, require_reader,
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    filters,
    handler::Handler,
    storage::{events::EventRow, stream},
};

impl Handler for GetRoomState {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Vec<Raw<ClientEvent>>, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        require_joined(context, &self.room_id, &user)?;
        let (device, room) = (requester.event_device(), self.room_id.as_str());
        client_events(&device.state_between(context.tx, room, 0, i64::MAX)?)
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
        require_joined(context, &self.room_id, &user)?;
        let condition = "events.room = ?3 AND events.kind = ?4 AND events.state_key = ?5
             ORDER BY events.position DESC LIMIT 1";
        let values: [&dyn rusqlite::ToSql; 3] = [&room, &self.event_type, &self.state_key];
        let device = requester.event_device();
        let found = device.query(context.tx, condition, &values)?;
        let event = found
            .first()
            .ok_or_else(|| not_found("the room has no such state"))?;
        Ok(Raw::from_json(match self.format {
            Some(StateFormat::Event) => to_client(event, true)?.to_string(),
            _ => event.content.clone(),
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
        require_joined(context, &self.room_id, &user)?;
        let condition = "events.room = ?3 AND events.id = ?4";
        let (room, id) = (self.room_id.as_str(), self.event_id.as_str());
        let device = requester.event_device();
        let found = device.query(context.tx, condition, &[&room, &id])?;
        let event = found
            .first()
            .ok_or_else(|| not_found("the room has no such event"))?;
        Ok(Raw::from_json(to_client(event, true)?.to_string())?)
    }
}

impl Handler for GetRoomMessages {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRoomMessagesResponse, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        let room = self.room_id.as_str();
        require_joined(context, &self.room_id, &user)?;
        let is_back = self.dir == Direction::B;
        let end = if is_back {
            stream::newest(context.tx)?
        } else {
            0
        };
        let position = |token| parse_position(context, token);
        let from = self.from.as_deref().map_or(Ok(end), position)?;
        let to = self.to.as_deref().map(position).transpose()?;
        let limit = self.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (condition, to) = if is_back {
            let condition = "events.room = ?3 AND events.position <= ?4 AND events.position > ?5
                 ORDER BY events.position DESC LIMIT ?6";
            (condition, to.unwrap_or(0))
        } else {
            let condition = "events.room = ?3 AND events.position > ?4 AND events.position <= ?5
                 ORDER BY events.position LIMIT ?6";
            (condition, to.unwrap_or(i64::MAX))
        };
        let device = requester.event_device();
        let filter = filters::of_query(self.filter.as_deref())?;
        let page = device.query(context.tx, condition, &[&room, &from, &to, &limit])?;
        // A page that is not full is the last one.
        let last = page.last().filter(|_| page.len() as i64 == limit);
        let end = last.map(|last| position_token(last.position - i64::from(is_back)));
        let mut events = Vec::new();
        for event in page {
            if filter.matches_event(&event)? {
                events.push(event);
            }
        }
        let mut response =
            GetRoomMessagesResponse::new(position_token(from), client_events(&events)?);
        response.end = end;
        Ok(response)
    }
}

fn client_events(events: &[EventRow]) -> Result<Vec<Raw<ClientEvent>>, HandlerError> {
    let events = events
        .iter()
        .map(|event| Ok(Raw::from_json(to_client(event, true)?.to_string())?));
    events.collect()
}

fn not_found(error: &'static str) -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, error)
}
