//! [Room creation](https://spec.matrix.org/v1.19/client-server-api/#creation).

use matricula_api::{
    ErrorCode, RoomAliasId, RoomId, UserId,
    client::{
        create_room::{CreateRoom, CreateRoomPreset, CreateRoomResponse, StateEvent},
        definitions::Visibility,
        list_joined_rooms::{GetJoinedRooms, GetJoinedRoomsResponse},
    },
};
use matricula_core::StepContext;
use matricula_rules::RoomVersion;
use serde_json::{Map, Value, json};

use super::{
    MAX_ROOMS, MEMBER,
    access::HISTORY_VISIBILITY,
    aliases::{self, CANONICAL},
    events::{CREATE, NewEvent, append_event, form_event, store_event},
    forbidden,
    membership::{Invitation, invite, member_content},
    power::{self, POWER_LEVELS},
    require_reader, require_sender,
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{members, rooms},
    util::ALPHANUMERIC,
};

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
        let version = check(&self)?;
        if rooms::count_of(context.tx, requester.user)? >= MAX_ROOMS {
            let error = format!("an account creates at most {MAX_ROOMS} rooms");
            return Err(ApiError::new(403, ErrorCode::ResourceLimitExceeded, error).into());
        }
        let room = atomically(context, || {
            let plan = Plan::new(&self, version, &creator)?;
            plan.carry_out(context, cx, requester.user)
        })?;
        Ok(CreateRoomResponse::new(room))
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
        let rooms = rooms.into_iter().map(|room| Ok(room.parse()?));
        let rooms = rooms.collect::<Result<Vec<RoomId>, HandlerError>>()?;
        Ok(GetJoinedRoomsResponse::new(rooms))
    }
}

/// Does all of something, or nothing: an error response is committed, too, and must not leave a part.
pub(super) fn atomically<T>(
    context: &RequestContext<'_>,
    act: impl FnOnce() -> Result<T, HandlerError>,
) -> Result<T, HandlerError> {
    context.tx.execute_batch("SAVEPOINT whole")?;
    let done = act();
    if done.is_err() {
        context.tx.execute_batch("ROLLBACK TO whole")?;
    }
    context.tx.execute_batch("RELEASE whole")?;
    done
}

/// The type, state key and content of a state event.
pub(super) type InitialEvent = (String, String, Value);

/// A room that is to be made.
pub(super) struct Plan<'a> {
    pub(super) version: RoomVersion,
    pub(super) creator: &'a UserId,
    pub(super) create: Value,
    /// The state events after the creator's membership, in order.
    pub(super) state: Vec<InitialEvent>,
    pub(super) alias: Option<&'a str>,
    pub(super) is_listed: bool,
    pub(super) invited: &'a [UserId],
    pub(super) is_direct: bool,
}

impl<'a> Plan<'a> {
    fn new(
        request: &'a CreateRoom,
        version: RoomVersion,
        creator: &'a UserId,
    ) -> Result<Self, HandlerError> {
        let is_listed = request.visibility == Some(Visibility::Public);
        let preset = request.preset.clone().unwrap_or(if is_listed {
            CreateRoomPreset::PublicChat
        } else {
            CreateRoomPreset::PrivateChat
        });
        let invited = request.invite.as_deref().unwrap_or_default();
        let equals = match preset {
            CreateRoomPreset::TrustedPrivateChat => invited,
            _ => &[],
        };
        let content = request.creation_content.as_ref();
        let mut create = parse_object(content.map(|it| it.json()))?;
        if version.rules().authorization.creators_have_unlimited_power {
            add_creators(&mut create, creator, equals)?;
        }
        Ok(Self {
            version,
            creator,
            create: create_content(create, version, creator),
            state: initial_state(request, version, (creator, equals), &preset)?,
            alias: request.room_alias_name.as_deref(),
            is_listed,
            invited,
            is_direct: request.is_direct == Some(true),
        })
    }

    /// Makes the room.
    pub(super) fn carry_out(
        &self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
        creator: i64,
    ) -> Result<RoomId, HandlerError> {
        let server = &context.config.server_name;
        let opaque = cx.entropy.text(ALPHANUMERIC, 18);
        let chosen: RoomId = format!("!{opaque}:{server}").parse()?;
        let event = |room| NewEvent {
            room,
            sender: self.creator,
            kind: CREATE,
            state_key: Some(""),
            content: &self.create,
        };
        // The id of the room comes before its first event or, in newer versions, from it.
        let is_hash = self.version.rules().room_id_is_create_hash;
        let known = (!is_hash).then_some(&chosen);
        let mut sent_at = context.event_time(cx.now);
        let (formed, room) = loop {
            let when = (known, sent_at);
            let formed = form_event(context, cx, self.version, when, &event(&chosen))?;
            let room = match is_hash {
                true => formed.id.replacen('$', "!", 1).parse()?,
                false => chosen.clone(),
            };
            if rooms::version(context.tx, room.as_str())?.is_none() {
                break (formed, room);
            }
            // Two equal rooms of the same millisecond would have the same id.
            sent_at += 1;
        };
        rooms::insert(
            context.tx,
            cx.now,
            room.as_str(),
            self.version.as_str(),
            creator,
        )?;
        store_event(context, &event(&room), &formed)?;

        let member = member_content(context, "join", self.creator, None)?;
        let own = (MEMBER.to_owned(), self.creator.as_str().to_owned(), member);
        let (before, after): (Vec<_>, Vec<_>) = self.state.iter().partition(|it| it.0 != CANONICAL);
        for (kind, state_key, content) in std::iter::once(&own).chain(before) {
            self.append(context, cx, &room, (kind, state_key, content))?;
        }
        if let Some(name) = self.alias {
            let alias = format!("#{name}:{server}");
            let id: RoomAliasId = alias.parse().map_err(|_| {
                let error = format!("{name:?} cannot be the name of a room alias");
                ApiError::new(400, ErrorCode::InvalidParam, error)
            })?;
            aliases::make(context, self.creator, &id, &room).map_err(|error| match error {
                HandlerError::Api(error) if error.code == ErrorCode::Unknown => {
                    let error = format!("the alias {alias} exists already");
                    ApiError::new(400, ErrorCode::RoomInUse, error).into()
                }
                error => error,
            })?;
            let content = json!({ "alias": alias });
            self.append(context, cx, &room, (CANONICAL, "", &content))?;
        }
        for (kind, state_key, content) in after {
            aliases::check_canonical(context, &room, content)?;
            self.append(context, cx, &room, (kind, state_key, content))?;
        }
        rooms::set_listed(context.tx, room.as_str(), self.is_listed)?;
        for invited in self.invited {
            let invitation = Invitation {
                room: &room,
                sender: self.creator,
                invited,
                reason: None,
                is_direct: self.is_direct,
            };
            invite(context, cx, &invitation)?;
        }
        Ok(room)
    }

    fn append(
        &self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
        room: &RoomId,
        (kind, state_key, content): (&str, &str, &Value),
    ) -> Result<(), HandlerError> {
        let new = NewEvent {
            room,
            sender: self.creator,
            kind,
            state_key: Some(state_key),
            content,
        };
        append_event(context, cx, &new).map(drop)
    }
}

/// Checks what can be checked before anything is stored, and returns the room's version.
fn check(request: &CreateRoom) -> Result<RoomVersion, ApiError> {
    let version = match request.room_version.as_deref() {
        None => RoomVersion::default(),
        Some(version) => {
            version
                .parse()
                .map_err(|error: matricula_rules::UnknownRoomVersion| {
                    ApiError::new(400, ErrorCode::UnsupportedRoomVersion, error.to_string())
                })?
        }
    };
    if request.invite_3pid.iter().flatten().next().is_some() {
        let error =
            "this server invites no email addresses or phone numbers; leave out invite_3pid";
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
    }
    let is_reserved = |event: &&StateEvent| [MEMBER, CREATE].contains(&&*event.event_type);
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
    Ok(version)
}

/// Makes these users creators, beside those that the request names.
fn add_creators(
    create: &mut Map<String, Value>,
    creator: &UserId,
    equals: &[UserId],
) -> Result<(), ApiError> {
    let named = create.get("additional_creators").cloned();
    let named = named.unwrap_or_else(|| json!([]));
    let Value::Array(mut all) = named else {
        let error = "additional_creators must be a list of user ids";
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
    };
    for user in equals {
        if user != creator && !all.iter().any(|it| it == user.as_str()) {
            all.push(json!(user.as_str()));
        }
    }
    if all.is_empty() {
        create.remove("additional_creators");
    } else {
        create.insert("additional_creators".to_owned(), all.into());
    }
    Ok(())
}

/// The content of `m.room.create`: what the request says, the version and, in older versions, the creator.
pub(super) fn create_content(
    mut create: Map<String, Value>,
    version: RoomVersion,
    creator: &UserId,
) -> Value {
    create.insert("room_version".to_owned(), version.as_str().into());
    if version.rules().authorization.creator_is_sender {
        create.remove("creator");
    } else {
        create.insert("creator".to_owned(), creator.as_str().into());
    }
    create.into()
}

/// The first state events of a room after the creator's membership, in the order that the specification
/// prescribes. A later one of a type and key replaces an earlier one.
fn initial_state(
    request: &CreateRoom,
    version: RoomVersion,
    (creator, equals): (&UserId, &[UserId]),
    preset: &CreateRoomPreset,
) -> Result<Vec<InitialEvent>, HandlerError> {
    let (join_rule, guests) = match preset {
        CreateRoomPreset::PublicChat => ("public", "forbidden"),
        _ => ("invite", "can_join"),
    };
    let mut levels = power::initial_levels(version, creator, equals);
    let overrides = request.power_level_content_override.as_ref();
    for (name, value) in parse_object(overrides.map(|it| it.json()))? {
        levels[name] = value;
    }
    power::check_levels(version, &levels)?;
    let visibility = json!({ "history_visibility": "shared" });
    let mut events = vec![
        state_event(POWER_LEVELS, levels),
        state_event("m.room.join_rules", json!({ "join_rule": join_rule })),
        state_event(HISTORY_VISIBILITY, visibility),
        state_event("m.room.guest_access", json!({ "guest_access": guests })),
    ];
    for event in request.initial_state.iter().flatten() {
        let content: Value = parse_object(Some(event.content.json()))?.into();
        if event.event_type == POWER_LEVELS {
            power::check_levels(version, &content)?;
        }
        let state_key = event.state_key.clone().unwrap_or_default();
        set(&mut events, (event.event_type.clone(), state_key, content));
    }
    if let Some(name) = &request.name {
        set(
            &mut events,
            state_event("m.room.name", json!({ "name": name })),
        );
    }
    if let Some(topic) = &request.topic {
        let text = json!([{ "body": topic, "mimetype": "text/plain" }]);
        let content = json!({ "topic": topic, "m.topic": { "m.text": text } });
        set(&mut events, state_event("m.room.topic", content));
    }
    Ok(events)
}

/// Adds a state event, or replaces the one with its type and state key.
fn set(events: &mut Vec<InitialEvent>, event: InitialEvent) {
    let mut same = events
        .iter_mut()
        .filter(|it| it.0 == event.0 && it.1 == event.1);
    match same.next() {
        Some(earlier) => *earlier = event,
        None => events.push(event),
    }
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
