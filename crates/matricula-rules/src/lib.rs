//! The [Matrix rules](https://spec.matrix.org/v1.19/rooms/) that a server and a client share, as pure functions.
//!
//! Nothing here opens a socket, reads a clock or draws a random number. Events come in as the JSON text that was
//! received or stored, or as an [`EventView`] that borrows from it; results are small values, and errors say what is
//! wrong with what.
//!
//! | to | use |
//! |---|---|
//! | know what a room version does | [`RoomVersion::rules`] |
//! | write JSON in the one way that is hashed and signed | [`canonical_json`] |
//! | check the sizes of an event | [`limits`] |
//! | hash an event, find its id | [`hashes`] |
//! | sign and verify JSON objects and events | [`signing`] |
//! | redact an event | [`redaction`] |
//! | ask "may this user do that?" | [`power_levels`] |
//! | authorise an event against the state of its room | [`authorization`] |
//! | ask "may this user see that event?" | [`history_visibility`] |
//! | find what push rules say about an event | [`push`] |
//!
//! How a homeserver forms an event of a room:
//!
//! ```
//! use matricula_rules::{EventView, PrevEvents, RoomVersion, authorization, signing};
//!
//! let version = RoomVersion::V12;
//! let key = signing::SigningKey::from_seed("ed25519:1", [7; 32])?;
//!
//! let create = r#"{"type": "m.room.create", "state_key": "", "sender": "@alice:example.org",
//!     "content": {"room_version": "12"}, "origin_server_ts": 1, "depth": 1,
//!     "prev_events": [], "auth_events": []}"#;
//! let view = EventView::new("m.room.create", "@alice:example.org", r#"{"room_version": "12"}"#)
//!     .state_key("");
//! authorization::authorize(&view, &[], version)?;
//! let create = signing::hash_and_sign_event(create, version, "example.org", &key)?;
//!
//! // Then the creator joins: load the state that the rules ask for, and check it.
//! let room_id = create.event_id.replacen('$', "!", 1);
//! let join = EventView::new("m.room.member", "@alice:example.org", r#"{"membership": "join"}"#)
//!     .state_key("@alice:example.org")
//!     .room_id(&room_id)
//!     .prev_events(PrevEvents::One(&create.event_id));
//! let needed = authorization::required_state(&join, version);
//! assert!(needed.iter().any(|it| it.kind == "m.room.create"));
//! let state = [view.event_id(&create.event_id)];
//! authorization::authorize(&join, &state, version)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod authorization;
pub mod canonical_json;
mod event;
pub mod hashes;
pub mod history_visibility;
pub mod limits;
mod membership;
pub mod power_levels;
pub mod push;
mod raw;
pub mod redaction;
mod room_version;
pub mod signing;

pub use canonical_json::JsonError;
pub use event::{EventView, PrevEvents, ReceivedEvent};
pub use membership::{Membership, UnknownMembership};
pub use power_levels::PowerLevel;
pub use room_version::{
    AuthorizationRules, EventIdFormat, RedactionRules, RoomVersion, RoomVersionRules,
    UnknownRoomVersion,
};
