//! [Power levels](https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels): who may do what.

use matricula_api::{RoomId, UserId};
use serde_json::{Map, Value, json};

use super::{
    super::{refusal::Fault, routes::Call},
    forbidden,
};

const POWER_LEVELS: &str = "m.room.power_levels";

/// The power levels of a new room.
pub(super) fn of_a_new_room(creator: &UserId, equals: &[UserId]) -> Value {
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

impl Call<'_> {
    /// Refuses who may not send this kind of event; `is_state` where it is state.
    pub(super) fn may_send(
        &self,
        room: &RoomId,
        user: &UserId,
        kind: &str,
        is_state: bool,
    ) -> Result<(), Fault> {
        let levels = self.levels(room)?;
        let default = match is_state {
            true => number(&levels, "state_default").unwrap_or(50),
            false => number(&levels, "events_default").unwrap_or(0),
        };
        let needed = levels
            .get("events")
            .and_then(|it| number(it, kind))
            .unwrap_or(default);
        needs(&levels, user, needed, kind)
    }

    /// Refuses who may not invite.
    pub(super) fn may_invite(&self, room: &RoomId, user: &UserId) -> Result<(), Fault> {
        let levels = self.levels(room)?;
        let needed = number(&levels, "invite").unwrap_or(0);
        needs(&levels, user, needed, "an invitation")
    }

    fn levels(&self, room: &RoomId) -> Result<Value, Fault> {
        let levels = self.state(room.as_str(), POWER_LEVELS, "")?;
        Ok(levels.unwrap_or_else(|| json!({})))
    }
}

fn number(of: &Value, name: &str) -> Option<i64> {
    of.get(name)?.as_i64()
}

fn needs(levels: &Value, user: &UserId, needed: i64, what: &str) -> Result<(), Fault> {
    let own = levels.get("users").and_then(|it| number(it, user.as_str()));
    let has = own.or_else(|| number(levels, "users_default")).unwrap_or(0);
    if has < needed {
        let error = format!("{user} has power level {has}, and {what} needs {needed}");
        return Err(forbidden(error).into());
    }
    Ok(())
}
