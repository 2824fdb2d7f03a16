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
        refusal::{Fault, Refusal},
        routes::{Call, Serve},
        tokens::{ALPHANUMERIC, Bearer},
    },
    MAX_ROOMS, MEMBER, New, forbidden, power,
};

/// The version of every room here.
pub(in crate::engine) const ROOM_VERSION: &str = "11";
/// How many people a new room invites.
const MAX_INVITES: usize = 100;
/// How many pieces of state a new room begins with.
const MAX_INITIAL_STATE: usize = 100;

impl Serve for CreateRoom {
    fn serve(self, call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<CreateRoomResponse, Fault> {
        let (bearer, creator) = call.participant(cx.now)?;
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

impl Serve for GetJoinedRooms {
    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetJoinedRoomsResponse, Fault> {
        let (bearer, user) = call.reader(cx.now)?;
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
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
        bearer: &Bearer,
        creator: &UserId,
    ) -> Result<RoomId, Fault>;
    fn check(&self) -> Result<(), Refusal>;
    fn beginnings(&self, creator: &UserId) -> Result<Vec<(String, String, Value)>, Fault>;
}

impl Make for CreateRoom {
    fn make(
        &self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
        bearer: &Bearer,
        creator: &UserId,
    ) -> Result<RoomId, Fault> {
        let room = call.new_room(cx, bearer)?;
        for (kind, state_key, content) in self.beginnings(creator)? {
            let new = New {
                room: &room,
                kind: &kind,
                state_key: Some(&state_key),
                content: &content,
            };
            call.happens(cx, creator, &new)?;
        }
        let is_direct = self.is_direct == Some(true);
        for invited in self.invite.iter().flatten() {
            call.invites(cx, &room, creator, invited, None, is_direct)?;
        }
        Ok(room)
    }

    fn check(&self) -> Result<(), Refusal> {
        if self
            .room_version
            .as_deref()
            .is_some_and(|it| it != ROOM_VERSION)
        {
            let error = format!("rooms here have version {ROOM_VERSION}");
            return Err(Refusal::new(400, ErrorCode::UnsupportedRoomVersion, error));
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
            return Err(Refusal::new(400, ErrorCode::InvalidParam, error));
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
                Err(Refusal::new(400, ErrorCode::InvalidParam, error))
            }
            None => Ok(()),
        }
    }

    /// The events that a room begins with, in the order of the specification.
    fn beginnings(&self, creator: &UserId) -> Result<Vec<(String, String, Value)>, Fault> {
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
        let mut create = object(self.creation_content.as_ref().map(|it| it.json()))?;
        create.insert("room_version".to_owned(), ROOM_VERSION.into());
        let mut levels = power::of_a_new_room(creator, equals);
        for (name, value) in object(
            self.power_level_content_override
                .as_ref()
                .map(|it| it.json()),
        )? {
            levels[name] = value;
        }
        let mut all = vec![
            state("m.room.create", create.into()),
            (
                MEMBER.to_owned(),
                creator.as_str().to_owned(),
                json!({ "membership": "join" }),
            ),
            state("m.room.power_levels", levels),
            state("m.room.join_rules", json!({ "join_rule": join_rule })),
            state(
                "m.room.history_visibility",
                json!({ "history_visibility": "shared" }),
            ),
            state("m.room.guest_access", json!({ "guest_access": guests })),
        ];
        for event in self.initial_state.iter().flatten() {
            let content = object(Some(event.content.json()))?;
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
                .map(|(kind, it)| state(kind, it)),
        );
        Ok(all)
    }
}

fn state(kind: &str, content: Value) -> (String, String, Value) {
    (kind.to_owned(), String::new(), content)
}

/// A JSON object that somebody sent; an empty one where they sent none.
pub(super) fn object(json: Option<&str>) -> Result<Map<String, Value>, Refusal> {
    let Some(json) = json else {
        return Ok(Map::new());
    };
    serde_json::from_str(json).map_err(|_| {
        let error = "the content of an event is a JSON object";
        Refusal::new(400, ErrorCode::BadJson, error)
    })
}

impl Call<'_> {
    fn new_room(&self, cx: &mut StepContext<'_>, bearer: &Bearer) -> Result<RoomId, Fault> {
        let sql = "SELECT count(*) FROM rooms WHERE creator = ?1";
        let count: u32 = self.tx.query_row(sql, [bearer.user], |row| row.get(0))?;
        if count >= MAX_ROOMS {
            let error = format!("an account makes at most {MAX_ROOMS} rooms");
            return Err(Refusal::new(403, ErrorCode::ResourceLimitExceeded, error).into());
        }
        let id = cx.entropy.text(ALPHANUMERIC, 18);
        let id: RoomId = format!("!{id}:{}", self.home.config.server_name).parse()?;
        let sql = "INSERT INTO rooms (id, creator, created_at) VALUES (?1, ?2, ?3)";
        self.tx
            .execute(sql, params![id.as_str(), bearer.user, millis(cx.now)])?;
        Ok(id)
    }
}
