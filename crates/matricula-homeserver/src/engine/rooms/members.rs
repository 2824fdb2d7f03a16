//! [Membership](https://spec.matrix.org/v1.19/client-server-api/#room-membership): invitations, coming
//! and going.

use matricula_api::Raw;
use matricula_api::{
    ErrorCode, RoomId, UserId,
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
use serde_json::{Value, json};

use super::{
    super::{
        login::{UserRow, find_user},
        names,
        refusal::{ApiError, HandlerError},
        routes::{Handler, RequestContext},
        tokens::Requester,
    },
    Event, MEMBER, NewEvent, forbidden,
};

impl Handler for JoinRoomById {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<JoinRoomByIdResponse, HandlerError> {
        call.join(cx, &self.room_id, self.reason.as_deref())?;
        Ok(JoinRoomByIdResponse::new(self.room_id))
    }
}

impl Handler for JoinRoom {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<JoinRoomResponse, HandlerError> {
        let room: RoomId = self
            .room_id_or_alias
            .as_str()
            .parse()
            .map_err(|_| unknown_room())?;
        call.join(cx, &room, self.reason.as_deref())?;
        Ok(JoinRoomResponse::new(room))
    }
}

impl Handler for InviteUser {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<InviteUserResponse, HandlerError> {
        let (_, user) = call.require_sender(cx.now)?;
        call.require_joined(&self.room_id, &user)?;
        call.check_invite(&self.room_id, &user)?;
        let reason = self.reason.as_deref();
        call.invite(cx, &self.room_id, &user, &self.user_id, reason, false)?;
        Ok(InviteUserResponse::default())
    }
}

impl Handler for LeaveRoom {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<LeaveRoomResponse, HandlerError> {
        // A suspended user may leave.
        let (_, user) = call.require_reader(cx.now)?;
        let is = call.membership(self.room_id.as_str(), user.as_str())?;
        if !matches!(is.as_deref(), Some("join" | "invite")) {
            return Err(forbidden(format!("{user} is not in the room {}", self.room_id)).into());
        }
        call.set_membership(
            cx,
            &self.room_id,
            (&user, &user),
            "leave",
            self.reason.as_deref(),
        )?;
        Ok(LeaveRoomResponse::default())
    }
}

impl Handler for GetRoomMembers {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRoomMembersResponse, HandlerError> {
        let (bearer, user) = call.require_reader(cx.now)?;
        call.require_joined(&self.room_id, &user)?;
        let mut chunk = Vec::new();
        for event in call.room_members(&bearer, &self.room_id)? {
            let content = event.content()?;
            let is = |wanted: &str| content["membership"] == wanted;
            let wanted = self.membership.as_ref().is_none_or(|it| is(it.as_str()));
            if wanted
                && !self
                    .not_membership
                    .as_ref()
                    .is_some_and(|it| is(it.as_str()))
            {
                chunk.push(Raw::from_json(event.to_client(true)?.to_string())?);
            }
        }
        Ok(GetRoomMembersResponse::default().chunk(chunk))
    }
}

impl Handler for GetJoinedMembers {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetJoinedMembersResponse, HandlerError> {
        let (bearer, user) = call.require_reader(cx.now)?;
        call.require_joined(&self.room_id, &user)?;
        let mut joined = serde_json::Map::new();
        for event in call.room_members(&bearer, &self.room_id)? {
            let content = event.content()?;
            if content["membership"] == "join" {
                let name = content.get("displayname").cloned().unwrap_or(Value::Null);
                let picture = content.get("avatar_url").cloned().unwrap_or(Value::Null);
                let member = json!({ "display_name": name, "avatar_url": picture });
                joined.insert(event.state_key.unwrap_or_default(), member);
            }
        }
        Ok(serde_json::from_value(json!({ "joined": joined }))?)
    }
}

fn unknown_room() -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, "this server has no such room")
}

impl RequestContext<'_> {
    fn join(
        &self,
        cx: &mut StepContext<'_>,
        room: &RoomId,
        reason: Option<&str>,
    ) -> Result<(), HandlerError> {
        let (_, user) = self.require_sender(cx.now)?;
        if !self.room_exists(room.as_str())? {
            return Err(unknown_room().into());
        }
        match self.membership(room.as_str(), user.as_str())?.as_deref() {
            // To join once more changes nothing.
            Some("join") => return Ok(()),
            Some("invite") => {}
            Some("ban") => return Err(forbidden(format!("{user} is banned from {room}")).into()),
            _ => {
                let rules = self.state_content(room.as_str(), "m.room.join_rules", "")?;
                if rules.is_none_or(|it| it["join_rule"] != "public") {
                    return Err(forbidden(format!("{user} is not invited to {room}")).into());
                }
            }
        }
        self.set_membership(cx, room, (&user, &user), "join", reason)
    }

    /// Invites somebody of this server.
    pub(super) fn invite(
        &self,
        cx: &mut StepContext<'_>,
        room: &RoomId,
        who: &UserId,
        whom: &UserId,
        reason: Option<&str>,
        is_direct: bool,
    ) -> Result<(), HandlerError> {
        match self.membership(room.as_str(), whom.as_str())?.as_deref() {
            Some("join") => return Err(forbidden(format!("{whom} is in the room already")).into()),
            Some("ban") => return Err(forbidden(format!("{whom} is banned from {room}")).into()),
            _ => {}
        }
        if self.local_user(whom)?.is_none() {
            let error = format!("this server has no user {whom}, and reaches no other server");
            return Err(ApiError::new(404, ErrorCode::NotFound, error).into());
        }
        let mut content = self.member_content("invite", whom, reason)?;
        if is_direct {
            content["is_direct"] = true.into();
        }
        self.append_membership(cx, room, (who, whom), &content)
    }

    fn set_membership(
        &self,
        cx: &mut StepContext<'_>,
        room: &RoomId,
        (who, whom): (&UserId, &UserId),
        membership: &str,
        reason: Option<&str>,
    ) -> Result<(), HandlerError> {
        let content = self.member_content(membership, whom, reason)?;
        self.append_membership(cx, room, (who, whom), &content)
    }

    fn append_membership(
        &self,
        cx: &mut StepContext<'_>,
        room: &RoomId,
        (who, whom): (&UserId, &UserId),
        content: &Value,
    ) -> Result<(), HandlerError> {
        let new = NewEvent {
            room,
            kind: MEMBER,
            state_key: Some(whom.as_str()),
            content,
        };
        self.append_event(cx, who, &new).map(drop)
    }

    /// The content of a membership event, with what the profile says.
    fn member_content(
        &self,
        membership: &str,
        user: &UserId,
        reason: Option<&str>,
    ) -> Result<Value, HandlerError> {
        let mut content = json!({ "membership": membership });
        if let Some(reason) = reason {
            content["reason"] = reason.into();
        }
        if let Some(known) = self.local_user(user)?
            && membership != "leave"
        {
            for (name, value) in self.profile(known.id)? {
                if ["displayname", "avatar_url"].contains(&&*name) {
                    content[name] = value;
                }
            }
        }
        Ok(content)
    }

    fn local_user(&self, user: &UserId) -> Result<Option<UserRow>, HandlerError> {
        match names::existing_localpart(&self.homeserver.config, user.as_str()) {
            Some(localpart) => find_user(self.tx, &localpart),
            None => Ok(None),
        }
    }

    /// Everybody's membership of a room, as it is now.
    fn room_members(&self, bearer: &Requester, room: &RoomId) -> Result<Vec<Event>, HandlerError> {
        let what = "events.position IN (
                SELECT max(position) FROM events WHERE room = ?3 AND kind = 'm.room.member'
                    AND state_key IS NOT NULL GROUP BY state_key
            ) ORDER BY events.position";
        self.query_events(bearer, what, &[&room.as_str()])
    }

    /// Somebody's membership of each room that they have to do with, as it is now.
    pub(super) fn memberships(
        &self,
        bearer: &Requester,
        user: &UserId,
    ) -> Result<Vec<Event>, HandlerError> {
        let what = "events.position IN (
                SELECT max(position) FROM events WHERE kind = 'm.room.member' AND state_key = ?3
                    GROUP BY room
            ) ORDER BY events.position";
        self.query_events(bearer, what, &[&user.as_str()])
    }
}
