//! [Membership](https://spec.matrix.org/v1.19/client-server-api/#room-membership): invite, join, knock,
//! leave, kick, ban, forget.

use std::borrow::Cow;

use matricula_api::{
    ErrorCode, RoomId, RoomIdOrAlias, UserId,
    client::{
        banning::{Ban, BanResponse, Unban, UnbanResponse},
        inviting::{InviteUser, InviteUserResponse},
        joining::{JoinRoom, JoinRoomById, JoinRoomByIdResponse, JoinRoomResponse},
        kicking::{Kick, KickResponse},
        knocking::{KnockRoom, KnockRoomResponse},
        leaving::{ForgetRoom, ForgetRoomResponse, LeaveRoom, LeaveRoomResponse},
    },
};
use matricula_core::{StepContext, Timestamp};
use serde_json::{Value, json};

use super::{
    MEMBER,
    aliases::find_alias,
    events::{NewEvent, append_event, membership, state_content},
    forbidden, not_found, require_reader, require_sender,
};
use crate::engine::{
    Request,
    auth::{localpart, user_lookup::user_by_name},
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    services::query_user,
    storage::{members, profiles, rooms, users::UserRow},
};

impl Handler for JoinRoomById {
    fn effective_body(request: &Request) -> Cow<'_, [u8]> {
        or_empty_object(request)
    }

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
    fn effective_body(request: &Request) -> Cow<'_, [u8]> {
        or_empty_object(request)
    }

    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<JoinRoomResponse, HandlerError> {
        let room = find_room(context, &self.room_id_or_alias)?;
        join(context, cx, &room, self.reason.as_deref())?;
        Ok(JoinRoomResponse::new(room))
    }
}

impl Handler for KnockRoom {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<KnockRoomResponse, HandlerError> {
        let room = find_room(context, &self.room_id_or_alias)?;
        let (_, user) = require_sender(context, cx.now)?;
        require_room(context, &room)?;
        if membership(context, &room, &user)?.as_deref() != Some("knock") {
            let content = member_content(context, "knock", &user, self.reason.as_deref())?;
            append_member(context, cx, &room, (&user, &user), &content)?;
        }
        Ok(KnockRoomResponse::new(room))
    }
}

impl Handler for InviteUser {
    fn precheck(context: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        require_sender(context, now)?;
        let body: Option<Value> = serde_json::from_slice(&context.request.body).ok();
        if body.is_some_and(|it| it.get("medium").is_some() && it.get("user_id").is_none()) {
            let error = "this server invites no email addresses or phone numbers; invite a user id";
            return Err(forbidden(error).into());
        }
        Ok(())
    }

    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<InviteUserResponse, HandlerError> {
        let (_, user) = require_sender(context, cx.now)?;
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
    fn effective_body(request: &Request) -> Cow<'_, [u8]> {
        or_empty_object(request)
    }

    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<LeaveRoomResponse, HandlerError> {
        // A suspended user may leave.
        let (_, user) = require_reader(context, cx.now)?;
        match membership(context, &self.room_id, &user)?.as_deref() {
            Some("join" | "invite" | "knock") => {
                let content = member_content(context, "leave", &user, self.reason.as_deref())?;
                append_member(context, cx, &self.room_id, (&user, &user), &content)?;
            }
            // Leaving again changes nothing.
            Some("leave") => {}
            _ => return Err(not_in_room(&user, &self.room_id).into()),
        }
        Ok(LeaveRoomResponse::default())
    }
}

impl Handler for ForgetRoom {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ForgetRoomResponse, HandlerError> {
        let (_, user) = require_reader(context, cx.now)?;
        match membership(context, &self.room_id, &user)?.as_deref() {
            Some("leave" | "ban") => {
                members::forget(context.tx, self.room_id.as_str(), user.as_str())?;
                Ok(ForgetRoomResponse::default())
            }
            Some(_) => {
                let error = "leave the room before you forget it";
                Err(ApiError::new(400, ErrorCode::Unknown, error).into())
            }
            None => Err(not_in_room(&user, &self.room_id).into()),
        }
    }
}

impl Handler for Kick {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<KickResponse, HandlerError> {
        let is_member = |is: &str| matches!(is, "join" | "invite" | "knock");
        let target = (&self.room_id, &self.user_id);
        moderate(
            context,
            cx,
            target,
            "leave",
            self.reason.as_deref(),
            is_member,
        )?;
        Ok(KickResponse::default())
    }
}

impl Handler for Ban {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<BanResponse, HandlerError> {
        let target = (&self.room_id, &self.user_id);
        moderate(context, cx, target, "ban", self.reason.as_deref(), |_| true)?;
        Ok(BanResponse::default())
    }
}

impl Handler for Unban {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<UnbanResponse, HandlerError> {
        let target = (&self.room_id, &self.user_id);
        let is_banned = |is: &str| is == "ban";
        moderate(
            context,
            cx,
            target,
            "leave",
            self.reason.as_deref(),
            is_banned,
        )?;
        Ok(UnbanResponse::default())
    }
}

/// The body of an operation that clients call without one.
fn or_empty_object(request: &Request) -> Cow<'_, [u8]> {
    let body: &[u8] = if request.body.is_empty() {
        b"{}"
    } else {
        &request.body
    };
    Cow::Borrowed(body)
}

/// Changes the membership of another user, whose present membership must be fit for it.
fn moderate(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    (room, target): (&RoomId, &UserId),
    to: &str,
    reason: Option<&str>,
    is_fit: impl Fn(&str) -> bool,
) -> Result<(), HandlerError> {
    let (_, user) = require_sender(context, cx.now)?;
    require_room(context, room)?;
    let current = membership(context, room, target)?;
    let current = current.as_deref().unwrap_or("leave");
    if !is_fit(current) {
        let error = format!("{target} is not in the room, or is banned already: {current}");
        return Err(ApiError::new(403, ErrorCode::BadState, error).into());
    }
    let content = member_content(context, to, target, reason)?;
    append_member(context, cx, room, (&user, target), &content)
}

/// The room of an id or alias, which need not exist if it is an id.
pub(super) fn find_room(
    context: &RequestContext<'_>,
    name: &RoomIdOrAlias,
) -> Result<RoomId, HandlerError> {
    if let Ok(room) = name.as_str().parse::<RoomId>() {
        return Ok(room);
    }
    Ok(find_alias(context, name.as_str())?.0.parse()?)
}

pub(super) fn require_room(
    context: &RequestContext<'_>,
    room: &RoomId,
) -> Result<(), HandlerError> {
    rooms::version(context.tx, room.as_str())?
        .ok_or_else(|| not_found("this server has no such room"))?;
    Ok(())
}

fn not_in_room(user: &UserId, room: &RoomId) -> ApiError {
    forbidden(format!("{user} is not in the room {room}"))
}

fn join(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    room: &RoomId,
    reason: Option<&str>,
) -> Result<(), HandlerError> {
    let (requester, user) = require_sender(context, cx.now)?;
    require_room(context, room)?;
    // Joining again changes nothing.
    if membership(context, room, &user)?.as_deref() == Some("join") {
        return Ok(());
    }
    if requester.is_guest {
        let access = state_content(context, room, "m.room.guest_access", "")?;
        if access.is_none_or(|it| it["guest_access"] != "can_join") {
            let error = "guests cannot join this room; register first";
            return Err(ApiError::new(403, ErrorCode::GuestAccessForbidden, error).into());
        }
    }
    let mut content = member_content(context, "join", &user, reason)?;
    if let Some(authoriser) = restricted::authoriser(context, room, &user)? {
        content["join_authorised_via_users_server"] = json!(authoriser);
    }
    append_member(context, cx, room, (&user, &user), &content)
}

/// [Restricted rooms](https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms).
mod restricted {
    use super::{
        HandlerError, RequestContext, RoomId, UserId, Value, members, membership, state_content,
    };
    use crate::engine::rooms::power;

    /// A member who may invite, on whose behalf this user joins a restricted room; none where the room is
    /// not restricted, or the user is invited or in none of the rooms that it allows.
    pub(super) fn authoriser(
        context: &RequestContext<'_>,
        room: &RoomId,
        user: &UserId,
    ) -> Result<Option<String>, HandlerError> {
        let rules = state_content(context, room, "m.room.join_rules", "")?;
        let rules = rules.unwrap_or(Value::Null);
        let is_restricted = matches!(
            rules["join_rule"].as_str(),
            Some("restricted" | "knock_restricted")
        );
        let current = membership(context, room, user)?;
        if !is_restricted || current.as_deref() == Some("invite") {
            return Ok(None);
        }
        let allowed = rules["allow"].as_array().into_iter().flatten();
        let allowed = allowed.filter(|it| it["type"] == "m.room_membership");
        for other in allowed.filter_map(|it| it["room_id"].as_str()) {
            let is = members::membership(context.tx, other, user.as_str())?;
            if is.as_deref() == Some("join") {
                return power::inviter(context, room);
            }
        }
        Ok(None)
    }
}

/// An invitation of a user of this server.
pub(super) struct Invitation<'a> {
    pub(super) room: &'a RoomId,
    pub(super) sender: &'a UserId,
    pub(super) invited: &'a UserId,
    pub(super) reason: Option<&'a str>,
    pub(super) is_direct: bool,
}

/// Invites a user.
pub(super) fn invite(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    invitation: &Invitation<'_>,
) -> Result<(), HandlerError> {
    let Invitation { room, invited, .. } = invitation;
    require_room(context, room)?;
    let mut content = member_content(context, "invite", invited, invitation.reason)?;
    if invitation.is_direct {
        content["is_direct"] = true.into();
    }
    if local_user(context, invited)?.is_none() {
        if let Some(localpart) = localpart::existing_localpart(context.config, invited.as_str()) {
            query_user(context, &localpart, invited.as_str());
        }
        let error = format!("this server has no user {invited}, and does not federate");
        return Err(ApiError::new(404, ErrorCode::NotFound, error).into());
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
        sender,
        kind: MEMBER,
        state_key: Some(member.as_str()),
        content,
    };
    append_event(context, cx, &new).map(drop)
}

/// The content of a membership event. With a membership that others see as a person, it has the display
/// name and avatar of the user's profile.
pub(super) fn member_content(
    context: &RequestContext<'_>,
    membership: &str,
    user: &UserId,
    reason: Option<&str>,
) -> Result<Value, HandlerError> {
    let mut content = json!({ "membership": membership });
    if let Some(reason) = reason {
        content["reason"] = reason.into();
    }
    if matches!(membership, "join" | "invite" | "knock")
        && let Some(user) = local_user(context, user)?
    {
        for (name, value) in profiles::fields(context.tx, user.id)? {
            if ["displayname", "avatar_url"].contains(&&*name) {
                content[name] = serde_json::from_str(&value)?;
            }
        }
    }
    Ok(content)
}

/// Writes a user's changed display name and avatar to the rooms that the user is joined to.
pub(crate) fn update_profile(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: &UserId,
) -> Result<(), HandlerError> {
    for room in members::joined_rooms(context.tx, user.as_str())? {
        let room: RoomId = room.parse()?;
        let current = state_content(context, &room, MEMBER, user.as_str())?;
        let mut content = member_content(context, "join", user, None)?;
        let via = "join_authorised_via_users_server";
        if let Some(authoriser) = current.as_ref().and_then(|it| it.get(via)) {
            content[via] = authoriser.clone();
        }
        let is_same =
            |name: &str| current.as_ref().and_then(|it| it.get(name)) == content.get(name);
        if !(is_same("displayname") && is_same("avatar_url")) {
            append_member(context, cx, &room, (user, user), &content)?;
        }
    }
    Ok(())
}

fn local_user(
    context: &RequestContext<'_>,
    user: &UserId,
) -> Result<Option<UserRow>, HandlerError> {
    user_by_name(context, Some(user.as_str()))
}
