//! The members of a room.

use matricula_api::{
    Raw,
    client::rooms::{
        GetJoinedMembers, GetJoinedMembersResponse, GetRoomMembers, GetRoomMembersResponse,
    },
};
use matricula_core::StepContext;
use serde_json::{Map, Value, json};

use super::{
    MEMBER,
    access::ReadAccess,
    client_event::{Reader, Shape},
    positions::parse_position,
    require_joined, require_reader,
};
use crate::engine::{
    context::RequestContext, error::HandlerError, handler::Handler, storage::events::SERVER,
};

impl Handler for GetRoomMembers {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRoomMembersResponse, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        let room = self.room_id.as_str();
        let access = ReadAccess::require(context.tx, room, &user)?;
        let at = self.at.as_deref();
        let at = at.map(|token| parse_position(context, token)).transpose()?;
        let readable = access.readable_state().unwrap_or(0);
        let up_to = at.unwrap_or(i64::MAX).min(readable);
        let reader = Reader::new(context, &requester, &user, cx.now);
        let shape = Shape {
            with_room: true,
            with_relations: false,
        };
        let mut chunk = Vec::new();
        for event in reader
            .device
            .state_of_kind(context.tx, room, MEMBER, up_to)?
        {
            let content: Value = serde_json::from_str(&event.content)?;
            let is = |membership: &str| content["membership"] == membership;
            let included = self.membership.as_ref().is_none_or(|it| is(it.as_str()));
            let excluded = self.not_membership.as_ref();
            let excluded = excluded.is_some_and(|it| is(it.as_str()));
            if included && !excluded {
                let json = reader.write(&access, &event, shape)?;
                chunk.push(Raw::from_json(json.to_string())?);
            }
        }
        Ok(GetRoomMembersResponse::default().chunk(chunk))
    }
}

impl Handler for GetJoinedMembers {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetJoinedMembersResponse, HandlerError> {
        let (_, user) = require_reader(context, cx.now)?;
        require_joined(context, &self.room_id, &user)?;
        let mut joined = Map::new();
        let room = self.room_id.as_str();
        for event in SERVER.state_of_kind(context.tx, room, MEMBER, i64::MAX)? {
            let content: Value = serde_json::from_str(&event.content)?;
            if content["membership"] == "join" {
                let field = |name: &str| content.get(name).cloned().unwrap_or(Value::Null);
                let member = json!({
                    "display_name": field("displayname"),
                    "avatar_url": field("avatar_url"),
                });
                joined.insert(event.state_key.unwrap_or_default(), member);
            }
        }
        Ok(serde_json::from_value(json!({ "joined": joined }))?)
    }
}
