//! [Power levels](https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels): who may do what.

use std::collections::BTreeMap;

use matricula_api::{ErrorCode, RoomId, UserId};
use matricula_rules::{EventView, RoomVersion, power_levels::RoomPower};
use serde_json::{Map, Value, json};

use super::{events::state_content, forbidden};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    storage::events::{SERVER, state},
};

pub(super) const POWER_LEVELS: &str = "m.room.power_levels";

/// The power levels of a new room.
pub(super) fn initial_levels(creator: &UserId, equals: &[UserId]) -> Value {
    let mut users = Map::new();
    for user in equals.iter().chain([creator]) {
        users.insert(user.as_str().to_owned(), json!(100));
    }
    json!({
        "users": users, "users_default": 0, "events_default": 0, "state_default": 50,
        "ban": 50, "kick": 50, "redact": 50, "invite": 0,
        "events": { "m.room.power_levels": 100, "m.room.history_visibility": 100 },
    })
}

/// The power in a room.
pub(super) fn room_power(
    context: &RequestContext<'_>,
    room: &RoomId,
) -> Result<RoomPower, HandlerError> {
    let condition = "events.room = ?3 AND events.kind = 'm.room.create'
         ORDER BY events.position LIMIT 1";
    let create = SERVER.query(context.tx, condition, &[&room.as_str()])?;
    let create = create.first().ok_or_else(|| {
        let error = format!("the room {room} has no m.room.create");
        HandlerError::Internal(error.into())
    })?;
    let levels = state(context.tx, room.as_str(), POWER_LEVELS, "")?;
    let levels = levels.as_ref().map(|(_, content)| content.as_str());
    let create = EventView::new(&create.kind, &create.sender, &create.content);
    Ok(RoomPower::new(&create, levels, RoomVersion::V11))
}

/// Rejects users who may not send this type of event, or state event.
pub(super) fn check_send(
    context: &RequestContext<'_>,
    room: &RoomId,
    user: &UserId,
    kind: &str,
    is_state: bool,
) -> Result<(), HandlerError> {
    let levels = levels(context, room)?;
    let default = if is_state {
        number(&levels, "state_default").unwrap_or(50)
    } else {
        number(&levels, "events_default").unwrap_or(0)
    };
    let needed = levels
        .get("events")
        .and_then(|it| number(it, kind))
        .unwrap_or(default);
    require_level(&levels, user, needed, kind)
}

/// Rejects users who may not invite.
pub(super) fn check_invite(
    context: &RequestContext<'_>,
    room: &RoomId,
    user: &UserId,
) -> Result<(), HandlerError> {
    let levels = levels(context, room)?;
    let needed = number(&levels, "invite").unwrap_or(0);
    require_level(&levels, user, needed, "an invitation")
}

/// Rejects invalid power levels, and changes of levels above the sender's own, by the
/// [authorization rules](https://spec.matrix.org/v1.19/rooms/v11/#authorization-rules).
pub(super) fn check_levels_change(
    context: &RequestContext<'_>,
    room: &RoomId,
    user: &UserId,
    content: &Value,
) -> Result<(), HandlerError> {
    let before = levels(context, room)?;
    let own = level_of(&before, user);
    let (old, new) = (flatten(&before).unwrap_or_default(), flatten(content));
    let new = new.ok_or_else(|| {
        let error = "power levels must be integers";
        ApiError::new(400, ErrorCode::BadJson, error)
    })?;
    for name in old.keys().chain(new.keys()) {
        let (was, is) = (old.get(name), new.get(name));
        let is_equal = name.0 == "users" && name.1 != user.as_str() && was >= Some(&own);
        if was != is && (was.max(is) > Some(&own) || is_equal) {
            let error = format!(
                "{user} has power level {own}, and must not change {}",
                name.1
            );
            return Err(forbidden(error).into());
        }
    }
    Ok(())
}

fn levels(context: &RequestContext<'_>, room: &RoomId) -> Result<Value, HandlerError> {
    let levels = state_content(context, room, POWER_LEVELS, "")?;
    Ok(levels.unwrap_or_else(|| json!({})))
}

fn number(of: &Value, name: &str) -> Option<i64> {
    of.get(name)?.as_i64()
}

/// All levels, by the object that contains them and their name; none where one is not an integer.
fn flatten(levels: &Value) -> Option<BTreeMap<(String, String), i64>> {
    let mut all = BTreeMap::new();
    for (name, value) in levels.as_object()? {
        match value {
            Value::Object(inner) => {
                for (of, level) in inner {
                    all.insert((name.clone(), of.clone()), level.as_i64()?);
                }
            }
            level => drop(all.insert((String::new(), name.clone()), level.as_i64()?)),
        }
    }
    Some(all)
}

fn level_of(levels: &Value, user: &UserId) -> i64 {
    let own = levels.get("users").and_then(|it| number(it, user.as_str()));
    own.or_else(|| number(levels, "users_default")).unwrap_or(0)
}

fn require_level(
    levels: &Value,
    user: &UserId,
    needed: i64,
    what: &str,
) -> Result<(), HandlerError> {
    let has = level_of(levels, user);
    if has < needed {
        let error = format!("{user} has power level {has}, and {what} needs {needed}");
        return Err(forbidden(error).into());
    }
    Ok(())
}
