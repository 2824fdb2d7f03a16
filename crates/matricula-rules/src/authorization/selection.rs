//! Which state events authorise an event.

use std::borrow::Cow;

use super::{CREATE, Denied, JOIN_RULES, MEMBER, POWER_LEVELS, THIRD_PARTY_INVITE};
use crate::{EventView, Membership, RoomVersion, raw::Object};

/// The type and state key of a state event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct StateKey<'a> {
    /// The type.
    pub kind: &'static str,
    /// The state key.
    pub state_key: Cow<'a, str>,
}

impl<'a> StateKey<'a> {
    fn new(kind: &'static str, state_key: impl Into<Cow<'a, str>>) -> Self {
        let state_key = state_key.into();
        Self { kind, state_key }
    }
}

/// The state that [`authorize`](super::authorize) reads for an event, without duplicates. Some of it may not exist in
/// the room.
pub fn required_state<'a>(event: &EventView<'a>, version: RoomVersion) -> Vec<StateKey<'a>> {
    if event.kind == CREATE {
        return Vec::new();
    }
    let mut needed = vec![
        StateKey::new(CREATE, ""),
        StateKey::new(POWER_LEVELS, ""),
        StateKey::new(MEMBER, event.sender),
    ];
    if event.kind == MEMBER {
        add_state_for_member(&mut needed, event, version);
    }
    needed
}

/// The state events whose ids belong in `auth_events` of an event, by the
/// [selection algorithm](https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection). Those that the room
/// does not have are left out there.
pub fn auth_events<'a>(event: &EventView<'a>, version: RoomVersion) -> Vec<StateKey<'a>> {
    let mut selected = required_state(event, version);
    let with_create = version.rules().authorization.create_is_auth_event;
    selected.retain(|it| with_create || it.kind != CREATE);
    selected
}

/// Checks the auth events of an event themselves: each must be selected by [`auth_events`], be there once, and be in
/// the same room. Servers do it for events that they receive, before [`authorize`](super::authorize).
///
/// # Errors
/// If an auth event is wrong, or the create event is missing.
pub fn check_auth_events(
    event: &EventView<'_>,
    list: &[EventView<'_>],
    version: RoomVersion,
) -> Result<(), Denied> {
    let selected = auth_events(event, version);
    for (index, entry) in list.iter().enumerate() {
        let wrong = |problem| {
            Err(Denied::AuthEvents {
                problem,
                kind: entry.kind.to_owned(),
                state_key: entry.state_key.unwrap_or_default().to_owned(),
            })
        };
        let is_entry = |it: &StateKey<'_>| entry.is_state(it.kind, &it.state_key);
        let is_same = |it: &EventView<'_>| it.kind == entry.kind && it.state_key == entry.state_key;
        if !selected.iter().any(is_entry) {
            return wrong("it does not authorise this event");
        }
        if list[..index].iter().any(is_same) {
            return wrong("it is there twice");
        }
        if entry.room_id != event.room_id {
            return wrong("it is in another room");
        }
    }
    let with_create = version.rules().authorization.create_is_auth_event;
    let has_create = list.iter().any(|it| it.is_state(CREATE, ""));
    if with_create && event.kind != CREATE && !has_create {
        return Err(Denied::NoCreateEvent);
    }
    Ok(())
}

/// What a membership event needs more than other events.
fn add_state_for_member<'a>(
    needed: &mut Vec<StateKey<'a>>,
    event: &EventView<'a>,
    version: RoomVersion,
) {
    let rules = version.rules().authorization;
    let Some(target) = event.state_key else {
        return;
    };
    if target != event.sender {
        needed.push(StateKey::new(MEMBER, target));
    }
    let content = Object::parse(event.content).unwrap_or_default();
    let membership = content.text("membership").and_then(|it| it.parse().ok());
    match membership {
        Some(Membership::Join) => {
            needed.push(StateKey::new(JOIN_RULES, ""));
            let key = "join_authorised_via_users_server";
            if let Some(user) = content.text(key).filter(|_| rules.restricted)
                && user != event.sender
                && user != target
            {
                needed.push(StateKey::new(MEMBER, user));
            }
        }
        Some(Membership::Invite) => {
            needed.push(StateKey::new(JOIN_RULES, ""));
            let invite = content.object("third_party_invite");
            let token = invite.and_then(|it| it.object("signed")?.text("token"));
            if let Some(token) = token {
                needed.push(StateKey::new(THIRD_PARTY_INVITE, token));
            }
        }
        Some(Membership::Knock) if rules.knock => needed.push(StateKey::new(JOIN_RULES, "")),
        _ => {}
    }
}
