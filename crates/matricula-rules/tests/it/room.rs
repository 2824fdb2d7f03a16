//! A room whose state is built step by step.

use matricula_rules::{
    EventView, PrevEvents, RoomVersion,
    authorization::{Denied, authorize, required_state},
};
use serde_json::{Value, json};

pub(crate) const ALICE: &str = "@alice:example.org";
pub(crate) const BOB: &str = "@bob:example.org";
pub(crate) const CAROL: &str = "@carol:example.org";
pub(crate) const DAVE: &str = "@dave:other.org";

/// A state event.
#[derive(Clone)]
struct StateEvent {
    kind: String,
    state_key: String,
    sender: String,
    content: String,
    id: String,
}

/// A room that Alice created.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) version: RoomVersion,
    pub(crate) id: String,
    state: Vec<StateEvent>,
}

impl Room {
    /// A room with a create event and its creator in it.
    pub(crate) fn new(version: RoomVersion) -> Self {
        Self::with_create(version, json!({ "creator": ALICE }))
    }

    pub(crate) fn with_create(version: RoomVersion, content: Value) -> Self {
        let id = match version.rules().room_id_is_create_hash {
            true => "!m.room.create|".to_owned(),
            false => "!room:example.org".to_owned(),
        };
        let state = Vec::new();
        let room = Self { version, id, state };
        room.set("m.room.create", "", ALICE, content)
            .member(ALICE, "join")
    }

    /// Sets state without asking whether the sender may.
    pub(crate) fn set(mut self, kind: &str, state_key: &str, sender: &str, content: Value) -> Self {
        self.state
            .retain(|it| (&*it.kind, &*it.state_key) != (kind, state_key));
        self.state.push(StateEvent {
            kind: kind.to_owned(),
            state_key: state_key.to_owned(),
            sender: sender.to_owned(),
            content: content.to_string(),
            id: format!("${kind}|{state_key}"),
        });
        self
    }

    pub(crate) fn member(self, user: &str, membership: &str) -> Self {
        self.set(
            "m.room.member",
            user,
            user,
            json!({ "membership": membership }),
        )
    }

    pub(crate) fn join_rule(self, rule: &str) -> Self {
        self.set("m.room.join_rules", "", ALICE, json!({ "join_rule": rule }))
    }

    pub(crate) fn levels(self, content: Value) -> Self {
        self.set("m.room.power_levels", "", ALICE, content)
    }

    /// The state that the rules ask for, and no more.
    fn state_for(&self, event: &EventView<'_>) -> Vec<EventView<'_>> {
        let needed = required_state(event, self.version);
        assert!(needed.len() <= 6, "{needed:?}");
        let is_needed = |it: &&StateEvent| {
            let mut needed = needed.iter();
            needed.any(|key| key.kind == it.kind && key.state_key == it.state_key)
        };
        let state = self.state.iter().filter(is_needed);
        state.map(|it| view(it, &self.id)).collect()
    }

    /// Whether an event may enter the room.
    pub(crate) fn authorize(&self, event: &EventView<'_>) -> Result<(), Denied> {
        let event = match event.room_id {
            None => event.room_id(&self.id),
            Some(_) => *event,
        };
        let event = match event.prev_events {
            PrevEvents::None => event.prev_events(PrevEvents::One("$previous")),
            _ => event,
        };
        authorize(&event, &self.state_for(&event), self.version)
    }

    pub(crate) fn send(&self, sender: &str, kind: &str, content: Value) -> Result<(), Denied> {
        self.authorize(&EventView::new(kind, sender, &content.to_string()))
    }

    pub(crate) fn send_state(
        &self,
        sender: &str,
        kind: &str,
        state_key: &str,
        content: Value,
    ) -> Result<(), Denied> {
        self.authorize(&EventView::new(kind, sender, &content.to_string()).state_key(state_key))
    }

    pub(crate) fn set_membership(
        &self,
        sender: &str,
        target: &str,
        membership: &str,
    ) -> Result<(), Denied> {
        let content = json!({ "membership": membership });
        self.send_state(sender, "m.room.member", target, content)
    }
}

fn view<'a>(event: &'a StateEvent, room: &'a str) -> EventView<'a> {
    EventView::new(&event.kind, &event.sender, &event.content)
        .state_key(&event.state_key)
        .event_id(&event.id)
        .room_id(room)
}
