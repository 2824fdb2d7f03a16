//! Tests of `matricula-rules`, one module for each behaviour.
#![allow(clippy::unwrap_used)]

mod auth_events;
mod authorization;
mod canonical_json;
mod event_ids;
mod history_visibility;
mod limits;
mod live_rules;
mod power_level_changes;
mod power_levels;
mod push;
mod push_globs;
mod redaction;
mod restricted_rooms;
mod room;
mod room_versions;
mod signing;
mod third_party_invites;
