//! [Room upgrades](https://spec.matrix.org/v1.19/client-server-api/#room-upgrades).

use matricula_api::{
    ErrorCode, RoomId, UserId,
    client::room_upgrades::{UpgradeRoom, UpgradeRoomResponse},
};
use matricula_core::StepContext;
use matricula_rules::{RoomVersion, UnknownRoomVersion, power_levels::Action};
use serde_json::{Map, Value, json};

use super::{
    MEMBER,
    access::HISTORY_VISIBILITY,
    create::{InitialEvent, Plan, atomically, create_content},
    events::{CREATE, NewEvent, append_event, room_version},
    forbidden, power,
    power::POWER_LEVELS,
    require_joined, require_sender,
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{aliases, events::SERVER, rooms},
};

const TOMBSTONE: &str = "m.room.tombstone";
/// The state that a new room takes over.
const COPIED: [&str; 9] = [
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.guest_access",
    HISTORY_VISIBILITY,
    "m.room.join_rules",
    POWER_LEVELS,
];

impl Handler for UpgradeRoom {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<UpgradeRoomResponse, HandlerError> {
        let (requester, user) = require_sender(context, cx.now)?;
        let parsed: Result<RoomVersion, UnknownRoomVersion> = self.new_version.parse();
        let version = parsed.map_err(|error| {
            ApiError::new(400, ErrorCode::UnsupportedRoomVersion, error.to_string())
        })?;
        require_joined(context, &self.room_id, &user)?;
        if !power::may(context, &self.room_id, &user, Action::SendState(TOMBSTONE))? {
            let error = format!("{user} may not upgrade the room");
            return Err(forbidden(error).into());
        }
        let creators = self.additional_creators.as_deref().unwrap_or_default();
        let room = atomically(context, || {
            let old = &self.room_id;
            let plan = plan(context, old, version, &user, creators)?;
            let new = plan.carry_out(context, cx, requester.user)?;
            retire(context, cx, old, &new, &user)?;
            Ok(new)
        })?;
        Ok(UpgradeRoomResponse::new(room.as_str()))
    }
}

fn plan<'a>(
    context: &RequestContext<'_>,
    old: &RoomId,
    version: RoomVersion,
    user: &'a UserId,
    creators: &[String],
) -> Result<Plan<'a>, HandlerError> {
    let (tx, room) = (context.tx, old.as_str());
    let mut create = Map::new();
    let mut state: Vec<InitialEvent> = Vec::new();
    for event in SERVER.state_between(tx, room, 0, i64::MAX)? {
        let content: Value = serde_json::from_str(&event.content)?;
        let state_key = event.state_key.unwrap_or_default();
        if event.kind == CREATE {
            create = content.as_object().cloned().unwrap_or_default();
            continue;
        }
        let is_copied = COPIED.contains(&&*event.kind) && state_key.is_empty();
        let is_ban = event.kind == MEMBER && content["membership"] == "ban";
        if is_copied || is_ban {
            state.push((event.kind, state_key, content));
        }
    }
    // The creators of the old room are not those of the new one.
    create.remove("additional_creators");
    let mut predecessor = json!({ "room_id": room });
    let has_creators = version.rules().authorization.creators_have_unlimited_power;
    if has_creators {
        if !creators.is_empty() {
            create.insert("additional_creators".to_owned(), json!(creators));
        }
    } else if let Some(newest) = SERVER.newest(tx, room)? {
        predecessor["event_id"] = json!(newest.id);
    }
    create.insert("predecessor".to_owned(), predecessor);
    let was = room_version(context, old)?;
    let had_creators = was.rules().authorization.creators_have_unlimited_power;
    for (kind, _, levels) in &mut state {
        if kind != POWER_LEVELS {
            continue;
        }
        let Some(users) = levels["users"].as_object_mut() else {
            continue;
        };
        if has_creators {
            // Creators stand above all levels, and must not be named.
            users.retain(|name, _| name != user.as_str() && !creators.contains(name));
        } else if had_creators {
            users.insert(user.as_str().to_owned(), json!(100));
        }
    }
    Ok(Plan {
        version,
        creator: user,
        create: create_content(create, version, user),
        state,
        alias: None,
        is_listed: rooms::is_listed(tx, room)? == Some(true),
        invited: &[],
        is_direct: false,
    })
}

/// Marks the old room as replaced, moves its aliases, and stops people from talking there.
fn retire(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    old: &RoomId,
    new: &RoomId,
    user: &UserId,
) -> Result<(), HandlerError> {
    let mut append = |kind: &str, content: &Value| {
        let event = NewEvent {
            room: old,
            sender: user,
            kind,
            state_key: Some(""),
            content,
        };
        append_event(context, cx, &event).map(drop)
    };
    let body = "This room has been replaced.";
    append(
        TOMBSTONE,
        &json!({ "body": body, "replacement_room": new.as_str() }),
    )?;
    aliases::move_all(context.tx, old.as_str(), new.as_str())?;
    rooms::set_listed(context.tx, old.as_str(), false)?;
    let levels = SERVER.state(context.tx, old.as_str(), POWER_LEVELS, "", i64::MAX)?;
    if let Some(levels) = levels
        && power::may(context, old, user, Action::SendState(POWER_LEVELS))?
    {
        let mut levels: Value = serde_json::from_str(&levels.content)?;
        let restricted = levels["users_default"]
            .as_i64()
            .unwrap_or(0)
            .saturating_add(1)
            .max(50);
        let needed = |name: &str| levels[name].as_i64().unwrap_or(0).max(restricted);
        let (events, invite) = (needed("events_default"), needed("invite"));
        levels["events_default"] = json!(events);
        levels["invite"] = json!(invite);
        append(POWER_LEVELS, &levels)?;
    }
    Ok(())
}
