//! [Power levels](https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels): those of a new room,
//! and questions that the rules of authorisation do not answer.

use matricula_api::{ErrorCode, RoomId, UserId};
use matricula_rules::{
    RoomVersion,
    power_levels::{Action, RoomPower},
};
use serde_json::{Map, Value, json};

use super::{
    events::{CREATE, room_version, view_of},
    not_found,
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    storage::{events::SERVER, members},
};

pub(super) const POWER_LEVELS: &str = "m.room.power_levels";

/// The power levels of a new room. In versions where creators stand above all levels they are not named.
pub(super) fn initial_levels(version: RoomVersion, creator: &UserId, equals: &[UserId]) -> Value {
    let has_creators = version.rules().authorization.creators_have_unlimited_power;
    let mut users = Map::new();
    if !has_creators {
        for user in equals.iter().chain([creator]) {
            users.insert(user.as_str().to_owned(), json!(100));
        }
    }
    // Only creators replace a room whose creators stand above all levels.
    let tombstone = if has_creators { 150 } else { 100 };
    json!({
        "users": users, "users_default": 0, "events_default": 0, "state_default": 50,
        "ban": 50, "kick": 50, "redact": 50, "invite": 0,
        "events": {
            "m.room.power_levels": 100,
            "m.room.history_visibility": 100,
            "m.room.encryption": 100,
            "m.room.server_acl": 100,
            "m.room.tombstone": tombstone,
            "m.room.name": 50,
            "m.room.avatar": 50,
            "m.room.canonical_alias": 50,
        },
    })
}

/// Rejects power levels that are not of the right types.
pub(super) fn check_levels(version: RoomVersion, content: &Value) -> Result<(), ApiError> {
    let is_level = |level: &Value| {
        let is_text = || {
            level
                .as_str()
                .is_some_and(|it| it.trim().parse::<i64>().is_ok())
        };
        level.is_i64() || (!version.rules().authorization.integer_power_levels && is_text())
    };
    let has_levels = |name: &str| match content.get(name) {
        None => true,
        Some(Value::Object(levels)) => levels.values().all(is_level),
        Some(_) => false,
    };
    let single = [
        "users_default",
        "events_default",
        "state_default",
        "ban",
        "kick",
        "redact",
        "invite",
    ];
    let wrong = ["users", "events", "notifications"]
        .into_iter()
        .find(|name| !has_levels(name));
    let wrong = wrong.or_else(|| {
        let mut all = single.into_iter();
        all.find(|name| content.get(*name).is_some_and(|level| !is_level(level)))
    });
    match wrong {
        Some(name) => {
            let error = format!("power levels must be integers: {name} is not");
            Err(ApiError::new(400, ErrorCode::BadJson, error))
        }
        None => Ok(()),
    }
}

/// The power in a room.
pub(super) fn room_power(
    context: &RequestContext<'_>,
    room: &RoomId,
) -> Result<RoomPower, HandlerError> {
    let version = room_version(context, room)?;
    let state = |kind| SERVER.state(context.tx, room.as_str(), kind, "", i64::MAX);
    let create = state(CREATE)?.ok_or_else(|| not_found("this server has no such room"))?;
    let levels = state(POWER_LEVELS)?;
    let levels = levels.as_ref().map(|event| event.content.as_str());
    Ok(RoomPower::new(&view_of(&create), levels, version))
}

/// Whether a user has the power for something.
pub(super) fn may(
    context: &RequestContext<'_>,
    room: &RoomId,
    user: &UserId,
    action: Action<'_>,
) -> Result<bool, HandlerError> {
    Ok(room_power(context, room)?.may(user.as_str(), action))
}

/// A member who may invite others, if the room has one.
pub(super) fn inviter(
    context: &RequestContext<'_>,
    room: &RoomId,
) -> Result<Option<String>, HandlerError> {
    let power = room_power(context, room)?;
    let joined = members::joined(context.tx, room.as_str())?;
    let mut joined = joined.into_iter();
    Ok(joined.find(|user| power.may(user, Action::Invite)))
}
