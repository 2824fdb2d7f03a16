//! [Room creation](https://spec.matrix.org/v1.19/client-server-api/#creation).

use matricula_api::{
    ErrorCode, RoomId, UserId,
    client::{
        create_room::{CreateRoom, CreateRoomPreset, CreateRoomResponse, StateEvent},
        definitions::Visibility,
        list_joined_rooms::{GetJoinedRooms, GetJoinedRoomsResponse},
    },
};
use matricula_core::StepContext;
use serde_json::{Map, Value, json};

use super::{
    MAX_ROOMS, MEMBER,
    events::{NewEvent, append_event},
    forbidden,
    members::{Invitation, invite},
    power::{self, POWER_LEVELS},
    require_reader, require_sender,
};
use crate::engine::{
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{
        events::{count_rooms, insert_room},
        members,
    },
    util::ALPHANUMERIC,
};

/// The version of all rooms.
pub(crate) const ROOM_VERSION: &str = "11";
/// The maximum number of invitations of a new room.
const MAX_INVITES: usize = 100;
/// The maximum number of entries of `initial_state`.
const MAX_INITIAL_STATE: usize = 100;

impl Handler for CreateRoom {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<CreateRoomResponse, HandlerError> {
        let (requester, creator) = require_sender(context, cx.now)?;
        check(&self)?;
        // An error response is committed, too: it must not leave a part of a room.
        context.tx.execute_batch("SAVEPOINT room")?;
        let room = create(&self, context, cx, &requester, &creator);
        if room.is_err() {
            context.tx.execute_batch("ROLLBACK TO room")?;
        }
        context.tx.execute_batch("RELEASE room")?;
        Ok(CreateRoomResponse::new(room?))
    }
}

impl Handler for GetJoinedRooms {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetJoinedRoomsResponse, HandlerError> {
        let (_, user) = require_reader(context, cx.now)?;
        let rooms = members::joined_rooms(context.tx, user.as_str())?;
        let rooms = rooms.iter().map(|room| room.parse());
        Ok(GetJoinedRoomsResponse::new(
            rooms.collect::<Result<Vec<_>, _>>()?,
        ))
    }
}

fn create(
    request: &CreateRoom,
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    requester: &Requester,
    creator: &UserId,
) -> Result<RoomId, HandlerError> {
    if count_rooms(context.tx, requester.user)? >= MAX_ROOMS {
        let error = format!("an account creates at most {MAX_ROOMS} rooms");
        return Err(ApiError::new(403, ErrorCode::ResourceLimitExceeded, error).into());
    }
    let id = cx.entropy.text(ALPHANUMERIC, 18);
    let room: RoomId = format!("!{id}:{}", context.config.server_name).parse()?;
    insert_room(context.tx, cx.now, room.as_str(), requester.user)?;
    for (kind, state_key, content) in initial_events(request, creator)? {
        let new = NewEvent {
            room: &room,
            kind: &kind,
            state_key: Some(&state_key),
            content: &content,
        };
        append_event(context, cx, creator, &new)?;
    }
    for invited in request.invite.iter().flatten() {
        let invitation = Invitation {
            room: &room,
            sender: creator,
            invited,
            reason: None,
            is_direct: request.is_direct == Some(true),
        };
        invite(context, cx, &invitation)?;
    }
    Ok(room)
}

/// Checks what can be checked before anything is stored.
fn check(request: &CreateRoom) -> Result<(), ApiError> {
    let version = request.room_version.as_deref();
    if version.is_some_and(|it| it != ROOM_VERSION) {
        let error = format!("this server supports room version {ROOM_VERSION} only");
        return Err(ApiError::new(400, ErrorCode::UnsupportedRoomVersion, error));
    }
    let invites_threepid = request.invite_3pid.iter().flatten().next().is_some();
    let unsupported = [
        (request.room_alias_name.is_some(), "room_alias_name"),
        (invites_threepid, "invite_3pid"),
    ];
    if let Some((_, name)) = unsupported.into_iter().find(|(is_asked, _)| *is_asked) {
        let error = format!("this server does not support {name}; leave it out");
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
    }
    let is_reserved = |event: &&StateEvent| {
        let state_key = event.state_key.as_deref().unwrap_or_default();
        [MEMBER, "m.room.create"].contains(&&*event.event_type) || state_key.starts_with('@')
    };
    if let Some(event) = request.initial_state.iter().flatten().find(is_reserved) {
        let error = format!("initial_state must not contain {}", event.event_type);
        return Err(forbidden(error));
    }
    let invites = request.invite.iter().flatten().count();
    let initial_state = request.initial_state.iter().flatten().count();
    for (count, max, what) in [
        (invites, MAX_INVITES, "invitations"),
        (initial_state, MAX_INITIAL_STATE, "entries of initial_state"),
    ] {
        if count > max {
            let error = format!("a new room must have at most {max} {what}");
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
        }
    }
    Ok(())
}

/// The type, state key and content of a state event.
type InitialEvent = (String, String, Value);

/// The first events of a room, in the order that the specification prescribes.
fn initial_events(
    request: &CreateRoom,
    creator: &UserId,
) -> Result<Vec<InitialEvent>, HandlerError> {
    let is_public = request.visibility == Some(Visibility::Public);
    let preset = request.preset.clone().unwrap_or(if is_public {
        CreateRoomPreset::PublicChat
    } else {
        CreateRoomPreset::PrivateChat
    });
    let invited = request.invite.as_deref().unwrap_or_default();
    let equals = match preset {
        CreateRoomPreset::TrustedPrivateChat => invited,
        _ => &[],
    };
    let (join_rule, guests) = match preset {
        CreateRoomPreset::PublicChat => ("public", "forbidden"),
        _ => ("invite", "can_join"),
    };
    let mut create = parse_object(request.creation_content.as_ref().map(|it| it.json()))?;
    create.insert("room_version".to_owned(), ROOM_VERSION.into());
    let mut levels = power::initial_levels(creator, equals);
    let overrides = request.power_level_content_override.as_ref();
    for (name, value) in parse_object(overrides.map(|it| it.json()))? {
        levels[name] = value;
    }
    let visibility = json!({ "history_visibility": "shared" });
    let member = json!({ "membership": "join" });
    let mut events = vec![
        state_event("m.room.create", create.into()),
        (MEMBER.to_owned(), creator.as_str().to_owned(), member),
        state_event(POWER_LEVELS, levels),
        state_event("m.room.join_rules", json!({ "join_rule": join_rule })),
        state_event("m.room.history_visibility", visibility),
        state_event("m.room.guest_access", json!({ "guest_access": guests })),
    ];
    for event in request.initial_state.iter().flatten() {
        let content = parse_object(Some(event.content.json()))?;
        let state_key = event.state_key.clone().unwrap_or_default();
        events.push((event.event_type.clone(), state_key, content.into()));
    }
    if let Some(name) = &request.name {
        events.push(state_event("m.room.name", json!({ "name": name })));
    }
    if let Some(topic) = &request.topic {
        events.push(state_event("m.room.topic", json!({ "topic": topic })));
    }
    Ok(events)
}

fn state_event(kind: &str, content: Value) -> InitialEvent {
    (kind.to_owned(), String::new(), content)
}

/// Parses a JSON object of a client; a missing one is empty.
pub(super) fn parse_object(json: Option<&str>) -> Result<Map<String, Value>, ApiError> {
    let Some(json) = json else {
        return Ok(Map::new());
    };
    serde_json::from_str(json).map_err(|_| {
        let error = "the content of an event must be a JSON object";
        ApiError::new(400, ErrorCode::BadJson, error)
    })
}
