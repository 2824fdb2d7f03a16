//! [Making rooms](https://spec.matrix.org/v1.19/client-server-api/#creation).

use matricula_api::{
    ErrorCode, RoomId, UserId,
    client::{
        create_room::{CreateRoom, CreateRoomPreset, CreateRoomResponse, StateEvent},
        definitions::Visibility,
        list_joined_rooms::{GetJoinedRooms, GetJoinedRoomsResponse},
    },
};
use matricula_core::StepContext;
use rusqlite::params;
use serde_json::{Map, Value, json};

use super::{
    super::{
        millis,
        refusal::{ApiError, HandlerError},
        routes::{Handler, RequestContext},
        tokens::{ALPHANUMERIC, Requester},
    },
    MAX_ROOMS, MEMBER, NewEvent, forbidden, power,
};

/// The version of every room here.
pub(in crate::engine) const ROOM_VERSION: &str = "11";
/// How many people a new room invites.
const MAX_INVITES: usize = 100;
/// How many pieces of state a new room begins with.
const MAX_INITIAL_STATE: usize = 100;

impl Handler for CreateRoom {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<CreateRoomResponse, HandlerError> {
        let (bearer, creator) = call.require_sender(cx.now)?;
        self.check()?;
        // A refusal is committed like any answer: it must leave no half of a room.
        call.tx.execute_batch("SAVEPOINT room")?;
        let made = self.make(call, cx, &bearer, &creator);
        if made.is_err() {
            call.tx.execute_batch("ROLLBACK TO room")?;
        }
        call.tx.execute_batch("RELEASE room")?;
        Ok(CreateRoomResponse::new(made?))
    }
}

impl Handler for GetJoinedRooms {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetJoinedRoomsResponse, HandlerError> {
        let (bearer, user) = call.require_reader(cx.now)?;
        let mut rooms = Vec::new();
        for event in call.memberships(&bearer, &user)? {
            if event.content()?["membership"] == "join" {
                rooms.push(event.room.parse()?);
            }
        }
        Ok(GetJoinedRoomsResponse::new(rooms))
    }
}

trait Make {
    fn make(
        &self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
        bearer: &Requester,
        creator: &UserId,
    ) -> Result<RoomId, HandlerError>;
    fn check(&self) -> Result<(), ApiError>;
    fn beginnings(&self, creator: &UserId) -> Result<Vec<(String, String, Value)>, HandlerError>;
}

impl Make for CreateRoom {
    fn make(
        &self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
        bearer: &Requester,
        creator: &UserId,
    ) -> Result<RoomId, HandlerError> {
        let room = call.insert_room(cx, bearer)?;
        for (kind, state_key, content) in self.beginnings(creator)? {
            let new = NewEvent {
                room: &room,
                kind: &kind,
                state_key: Some(&state_key),
                content: &content,
            };
            call.append_event(cx, creator, &new)?;
        }
        let is_direct = self.is_direct == Some(true);
        for invited in self.invite.iter().flatten() {
            call.invite(cx, &room, creator, invited, None, is_direct)?;
        }
        Ok(room)
    }

    fn check(&self) -> Result<(), ApiError> {
        if self
            .room_version
            .as_deref()
            .is_some_and(|it| it != ROOM_VERSION)
        {
            let error = format!("rooms here have version {ROOM_VERSION}");
            return Err(ApiError::new(400, ErrorCode::UnsupportedRoomVersion, error));
        }
        let unsupported = [
            (self.room_alias_name.is_some(), "room_alias_name"),
            (
                self.invite_3pid.iter().flatten().next().is_some(),
                "invite_3pid",
            ),
        ];
        if let Some((_, name)) = unsupported.into_iter().find(|(is_asked, _)| *is_asked) {
            let error = format!("this server does not do {name}; leave it out");
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
        }
        let is_reserved = |event: &StateEvent| {
            let state_key = event.state_key.as_deref().unwrap_or_default();
            [MEMBER, "m.room.create"].contains(&&*event.event_type) || state_key.starts_with('@')
        };
        if let Some(event) = self
            .initial_state
            .iter()
            .flatten()
            .find(|it| is_reserved(it))
        {
            let error = format!("initial_state does not set {} of anybody", event.event_type);
            return Err(forbidden(error));
        }
        let counts = [
            (
                self.invite.iter().flatten().count(),
                MAX_INVITES,
                "invitations",
            ),
            (
                self.initial_state.iter().flatten().count(),
                MAX_INITIAL_STATE,
                "initial_state",
            ),
        ];
        match counts.into_iter().find(|(count, most, _)| count > most) {
            Some((_, most, what)) => {
                let error = format!("a new room has at most {most} {what}");
                Err(ApiError::new(400, ErrorCode::InvalidParam, error))
            }
            None => Ok(()),
        }
    }

    /// The events that a room begins with, in the order of the specification.
    fn beginnings(&self, creator: &UserId) -> Result<Vec<(String, String, Value)>, HandlerError> {
        let is_public = self.visibility == Some(Visibility::Public);
        let preset = self.preset.clone().unwrap_or(match is_public {
            true => CreateRoomPreset::PublicChat,
            false => CreateRoomPreset::PrivateChat,
        });
        let invited = self.invite.as_deref().unwrap_or_default();
        let equals = match preset {
            CreateRoomPreset::TrustedPrivateChat => invited,
            _ => &[],
        };
        let (join_rule, guests) = match preset {
            CreateRoomPreset::PublicChat => ("public", "forbidden"),
            _ => ("invite", "can_join"),
        };
        let mut create = parse_object(self.creation_content.as_ref().map(|it| it.json()))?;
        create.insert("room_version".to_owned(), ROOM_VERSION.into());
        let mut levels = power::initial_levels(creator, equals);
        for (name, value) in parse_object(
            self.power_level_content_override
                .as_ref()
                .map(|it| it.json()),
        )? {
            levels[name] = value;
        }
        let mut all = vec![
            state_event("m.room.create", create.into()),
            (
                MEMBER.to_owned(),
                creator.as_str().to_owned(),
                json!({ "membership": "join" }),
            ),
            state_event("m.room.power_levels", levels),
            state_event("m.room.join_rules", json!({ "join_rule": join_rule })),
            state_event(
                "m.room.history_visibility",
                json!({ "history_visibility": "shared" }),
            ),
            state_event("m.room.guest_access", json!({ "guest_access": guests })),
        ];
        for event in self.initial_state.iter().flatten() {
            let content = parse_object(Some(event.content.json()))?;
            let state_key = event.state_key.clone().unwrap_or_default();
            all.push((event.event_type.clone(), state_key, content.into()));
        }
        let name = self
            .name
            .as_ref()
            .map(|it| ("m.room.name", json!({ "name": it })));
        let topic = self
            .topic
            .as_ref()
            .map(|it| ("m.room.topic", json!({ "topic": it })));
        all.extend(
            [name, topic]
                .into_iter()
                .flatten()
                .map(|(kind, it)| state_event(kind, it)),
        );
        Ok(all)
    }
}

fn state_event(kind: &str, content: Value) -> (String, String, Value) {
    (kind.to_owned(), String::new(), content)
}

/// A JSON object that somebody sent; an empty one where they sent none.
pub(super) fn parse_object(json: Option<&str>) -> Result<Map<String, Value>, ApiError> {
    let Some(json) = json else {
        return Ok(Map::new());
    };
    serde_json::from_str(json).map_err(|_| {
        let error = "the content of an event is a JSON object";
        ApiError::new(400, ErrorCode::BadJson, error)
    })
}

impl RequestContext<'_> {
    fn insert_room(
        &self,
        cx: &mut StepContext<'_>,
        bearer: &Requester,
    ) -> Result<RoomId, HandlerError> {
        let sql = "SELECT count(*) FROM rooms WHERE creator = ?1";
        let count: u32 = self.tx.query_row(sql, [bearer.user], |row| row.get(0))?;
        if count >= MAX_ROOMS {
            let error = format!("an account makes at most {MAX_ROOMS} rooms");
            return Err(ApiError::new(403, ErrorCode::ResourceLimitExceeded, error).into());
        }
        let id = cx.entropy.text(ALPHANUMERIC, 18);
        let id: RoomId = format!("!{id}:{}", self.homeserver.config.server_name).parse()?;
        let sql = "INSERT INTO rooms (id, creator, created_at) VALUES (?1, ?2, ?3)";
        self.tx
            .execute(sql, params![id.as_str(), bearer.user, millis(cx.now)])?;
        Ok(id)
    }
}
