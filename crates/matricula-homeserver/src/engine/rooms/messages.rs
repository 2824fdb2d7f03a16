//! [Looking at rooms](https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room): their
//! state, one event, and pages of them.

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
    super::{
        refusal::{ApiError, HandlerError},
        routes::{Handler, RequestContext},
    },
    DEFAULT_PAGE, Event, MAX_PAGE, position_token,
};

impl Handler for GetRoomState {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Vec<Raw<ClientEvent>>, HandlerError> {
        let (bearer, user) = call.require_reader(cx.now)?;
        call.require_joined(&self.room_id, &user)?;
        client_events(&call.state_between(&bearer, self.room_id.as_str(), 0, i64::MAX)?)
    }
}

impl Handler for GetStateEvent {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Raw, HandlerError> {
        let (bearer, user) = call.require_reader(cx.now)?;
        let room = self.room_id.as_str();
        call.require_joined(&self.room_id, &user)?;
        let what = "events.room = ?3 AND events.kind = ?4 AND events.state_key = ?5
             ORDER BY events.position DESC LIMIT 1";
        let found =
            call.query_events(&bearer, what, &[&room, &self.event_type, &self.state_key])?;
        let event = found
            .first()
            .ok_or_else(|| not_found("the room has no such state"))?;
        Ok(Raw::from_json(match self.format {
            Some(StateFormat::Event) => event.to_client(true)?.to_string(),
            _ => event.content.clone(),
        })?)
    }
}

impl Handler for GetRoomEvent {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Raw<ClientEvent>, HandlerError> {
        let (bearer, user) = call.require_reader(cx.now)?;
        call.require_joined(&self.room_id, &user)?;
        let what = "events.room = ?3 AND events.id = ?4";
        let with = [self.room_id.as_str(), self.event_id.as_str()];
        let found = call.query_events(&bearer, what, &[&with[0], &with[1]])?;
        let event = found
            .first()
            .ok_or_else(|| not_found("the room has no such event"))?;
        Ok(Raw::from_json(event.to_client(true)?.to_string())?)
    }
}

impl Handler for GetRoomMessages {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRoomMessagesResponse, HandlerError> {
        let (bearer, user) = call.require_reader(cx.now)?;
        let room = self.room_id.as_str();
        call.require_joined(&self.room_id, &user)?;
        let is_back = self.dir == Direction::B;
        let end = match is_back {
            true => call.newest_position()?,
            false => 0,
        };
        let position = |token| call.parse_position(token);
        let from = self.from.as_deref().map_or(Ok(end), position)?;
        let to = self.to.as_deref().map(position).transpose()?;
        let limit = self.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let page = match is_back {
            true => {
                let what = "events.room = ?3 AND events.position <= ?4 AND events.position > ?5
                     ORDER BY events.position DESC LIMIT ?6";
                call.query_events(&bearer, what, &[&room, &from, &to.unwrap_or(0), &limit])?
            }
            false => {
                let what = "events.room = ?3 AND events.position > ?4 AND events.position <= ?5
                     ORDER BY events.position LIMIT ?6";
                call.query_events(
                    &bearer,
                    what,
                    &[&room, &from, &to.unwrap_or(i64::MAX), &limit],
                )?
            }
        };
        // Where the page is not full, nothing comes after it.
        let last = page.last().filter(|_| page.len() as i64 == limit);
        let end = last.map(|last| position_token(last.position - i64::from(is_back)));
        let mut response =
            GetRoomMessagesResponse::new(position_token(from), client_events(&page)?);
        response.end = end;
        Ok(response)
    }
}

fn client_events(events: &[Event]) -> Result<Vec<Raw<ClientEvent>>, HandlerError> {
    let shown = events
        .iter()
        .map(|event| Ok(Raw::from_json(event.to_client(true)?.to_string())?));
    shown.collect()
}

fn not_found(error: &'static str) -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, error)
}
