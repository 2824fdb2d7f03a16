//! The [stripped state](https://spec.matrix.org/v1.19/client-server-api/#stripped-state) of rooms that a
//! user is invited to or knocks on.

use serde_json::{Value, json};

use super::Syncing;
use crate::engine::{
    account_data,
    error::HandlerError,
    rooms::MEMBER,
    storage::{events::SERVER, members::RoomOfMember},
};

/// The types of the state that one sees who is not in the room.
const STRIPPED: [&str; 9] = [
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
    "m.room.history_visibility",
    "m.room.guest_access",
];

impl Syncing<'_> {
    /// Whether an invitation is from a user whom this user ignores, or this user wants none at all.
    pub(super) fn hides_invitation(&self, member: &RoomOfMember) -> Result<bool, HandlerError> {
        if account_data::blocks_invites(self.reader.context, self.requester.user)? {
            return Ok(true);
        }
        let event = SERVER.at(self.reader.context.tx, member.position)?;
        Ok(event.is_some_and(|event| self.ignored.contains(&event.sender)))
    }

    /// The state of a room that an invited or knocking user sees, with the events of both members.
    pub(super) fn stripped_state(&self, member: &RoomOfMember) -> Result<Vec<Value>, HandlerError> {
        let tx = self.reader.context.tx;
        let mut events = Vec::new();
        for kind in STRIPPED {
            events.extend(SERVER.state(tx, &member.room, kind, "", member.position)?);
        }
        let own = SERVER.at(tx, member.position)?;
        if let Some(own) = own {
            if own.sender != self.reader.user.as_str() {
                let (room, sender) = (&member.room, &own.sender);
                events.extend(SERVER.state(tx, room, MEMBER, sender, member.position)?);
            }
            events.push(own);
        }
        let strip = |event: &crate::engine::storage::events::EventRow| {
            Ok(json!({
                "type": event.kind,
                "state_key": event.state_key,
                "sender": event.sender,
                "content": serde_json::from_str::<Value>(&event.content)?,
            }))
        };
        events.iter().map(strip).collect()
    }
}
