//! [Membership](https://spec.matrix.org/v1.19/client-server-api/#room-membership): invite, join, leave,
//! list members.

use matricula_api::{
    ErrorCode, Raw, RoomId, UserId,
    client::{
        inviting::{InviteUser, InviteUserResponse},
        joining::{JoinRoom, JoinRoomById, JoinRoomByIdResponse, JoinRoomResponse},
        leaving::{LeaveRoom, LeaveRoomResponse},
        rooms::{
            GetJoinedMembers, GetJoinedMembersResponse, GetRoomMembers, GetRoomMembersResponse,
        },
    },
};
use matricula_core::StepContext;
use serde_json::{Map, Value, json};

use super::{
    MEMBER,
    events::{NewEvent, append_event, content, membership, state_content, to_client},
    forbidden,
    power::check_invite,
    require_joined, require_reader, require_sender,
};
use crate::engine::{
    account::profile::profile,
    auth::user_lookup::user_by_name,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{events::room_exists, users::UserRow},
};

impl Handler for JoinRoomById {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<JoinRoomByIdResponse, HandlerError> {
        join(context, cx, &self.room_id, self.reason.as_deref())?;
        Ok(JoinRoomByIdResponse::new(self.room_id))
    }
}

impl Handler for JoinRoom {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<JoinRoomResponse, HandlerError> {
        let room = self.room_id_or_alias.as_str().parse::<RoomId>();
        let room = room.map_err(|_| unknown_room())?;
        join(context, cx, &room, self.reason.as_deref())?;
        Ok(JoinRoomResponse::new(room))
    }
}

impl Handler for InviteUser {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<InviteUserResponse, HandlerError> {
        let (_, user) = require_sender(context, cx.now)?;
        require_joined(context, &self.room_id, &user)?;
        check_invite(context, &self.room_id, &user)?;
        let invitation = Invitation {
            room: &self.room_id,
            sender: &user,
            invited: &self.user_id,
            reason: self.reason.as_deref(),
            is_direct: false,
        };
        invite(context, cx, &invitation)?;
        Ok(InviteUserResponse::default())
    }
}

impl Handler for LeaveRoom {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<LeaveRoomResponse, HandlerError> {
        // A suspended user may leave.
        let (_, user) = require_reader(context, cx.now)?;
        let current = membership(context, &self.room_id, &user)?;
        if !matches!(current.as_deref(), Some("join" | "invite")) {
            return Err(forbidden(format!("{user} is not in the room {}", self.room_id)).into());
        }
        let content = member_content(context, "leave", &user, self.reason.as_deref())?;
        append_member(context, cx, &self.room_id, (&user, &user), &content)?;
        Ok(LeaveRoomResponse::default())
    }
}

impl Handler for GetRoomMembers {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRoomMembersResponse, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        require_joined(context, &self.room_id, &user)?;
        let device = requester.event_device();
        let mut chunk = Vec::new();
        for event in device.room_members(context.tx, self.room_id.as_str())? {
            let content = content(&event)?;
            let is = |membership: &str| content["membership"] == membership;
            let included = self.membership.as_ref().is_none_or(|it| is(it.as_str()));
            let excluded = self.not_membership.as_ref();
            let excluded = excluded.is_some_and(|it| is(it.as_str()));
            if included && !excluded {
                chunk.push(Raw::from_json(to_client(&event, true)?.to_string())?);
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
        let (requester, user) = require_reader(context, cx.now)?;
        require_joined(context, &self.room_id, &user)?;
        let device = requester.event_device();
        let mut joined = Map::new();
        for event in device.room_members(context.tx, self.room_id.as_str())? {
            let content = content(&event)?;
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

fn unknown_room() -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, "this server has no such room")
}

fn join(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    room: &RoomId,
    reason: Option<&str>,
) -> Result<(), HandlerError> {
    let (_, user) = require_sender(context, cx.now)?;
    if !room_exists(context.tx, room.as_str())? {
        return Err(unknown_room().into());
    }
    match membership(context, room, &user)?.as_deref() {
        // Joining again changes nothing.
        Some("join") => return Ok(()),
        Some("invite") => {}
        Some("ban") => return Err(forbidden(format!("{user} is banned from {room}")).into()),
        _ => {
            let rules = state_content(context, room, "m.room.join_rules", "")?;
            if rules.is_none_or(|it| it["join_rule"] != "public") {
                return Err(forbidden(format!("{user} is not invited to {room}")).into());
            }
        }
    }
    let content = member_content(context, "join", &user, reason)?;
    append_member(context, cx, room, (&user, &user), &content)
}

/// An invitation of a user of this server.
pub(super) struct Invitation<'a> {
    pub(super) room: &'a RoomId,
    pub(super) sender: &'a UserId,
    pub(super) invited: &'a UserId,
    pub(super) reason: Option<&'a str>,
    pub(super) is_direct: bool,
}

/// Invites a user. The caller has checked that the sender may invite.
pub(super) fn invite(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    invitation: &Invitation<'_>,
) -> Result<(), HandlerError> {
    let Invitation { room, invited, .. } = invitation;
    match membership(context, room, invited)?.as_deref() {
        Some("join") => {
            return Err(forbidden(format!("{invited} is in the room already")).into());
        }
        Some("ban") => return Err(forbidden(format!("{invited} is banned from {room}")).into()),
        _ => {}
    }
    if local_user(context, invited)?.is_none() {
        let error = format!("this server has no user {invited}, and does not federate");
        return Err(ApiError::new(404, ErrorCode::NotFound, error).into());
    }
    let mut content = member_content(context, "invite", invited, invitation.reason)?;
    if invitation.is_direct {
        content["is_direct"] = true.into();
    }
    append_member(context, cx, room, (invitation.sender, invited), &content)
}

fn append_member(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    room: &RoomId,
    (sender, member): (&UserId, &UserId),
    content: &Value,
) -> Result<(), HandlerError> {
    let new = NewEvent {
        room,
        kind: MEMBER,
        state_key: Some(member.as_str()),
        content,
    };
    append_event(context, cx, sender, &new).map(drop)
}

/// The content of a membership event, with the display name and avatar of the user's profile.
fn member_content(
    context: &RequestContext<'_>,
    membership: &str,
    user: &UserId,
    reason: Option<&str>,
) -> Result<Value, HandlerError> {
    let mut content = json!({ "membership": membership });
    if let Some(reason) = reason {
        content["reason"] = reason.into();
    }
    if let Some(user) = local_user(context, user)?
        && membership != "leave"
    {
        for (name, value) in profile(context, user.id)? {
            if ["displayname", "avatar_url"].contains(&&*name) {
                content[name] = value;
            }
        }
    }
    Ok(content)
}

fn local_user(
    context: &RequestContext<'_>,
    user: &UserId,
) -> Result<Option<UserRow>, HandlerError> {
    user_by_name(context, Some(user.as_str()))
}
