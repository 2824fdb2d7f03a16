//! Events of any form, for redaction and hashes.

use matricula_rules::RoomVersion;
use serde_json::{Map, Value, json};

use super::random::Random;

const KINDS: [&str; 10] = [
    "m.room.member",
    "m.room.create",
    "m.room.join_rules",
    "m.room.power_levels",
    "m.room.aliases",
    "m.room.history_visibility",
    "m.room.redaction",
    "m.room.message",
    "m.room.third_party_invite",
    "org.example.custom",
];

/// Everything that any version keeps in the content of some type, and more.
const FIELDS: [&str; 26] = [
    "membership",
    "creator",
    "join_rule",
    "allow",
    "join_authorised_via_users_server",
    "ban",
    "events",
    "events_default",
    "kick",
    "redact",
    "state_default",
    "users",
    "users_default",
    "invite",
    "notifications",
    "aliases",
    "history_visibility",
    "redacts",
    "reason",
    "body",
    "m.relates_to",
    "room_version",
    "m.federate",
    "displayname",
    "é\"\\\n",
    "third_party_invite",
];

/// An event of this version with any content.
pub(super) fn any_event(random: &mut Random, version: RoomVersion) -> Value {
    let kind = random.pick(&KINDS);
    let mut content = Map::new();
    for field in FIELDS {
        if random.percent(40) {
            content.insert(field.to_owned(), any_value(random, version, 2));
        }
    }
    if random.percent(50) {
        content.insert(
            "third_party_invite".to_owned(),
            third_party_invite(random, version),
        );
    }
    let mut event = json!({
        "type": kind,
        "sender": "@alice:example.org",
        "content": content,
        "origin_server_ts": 1_700_000_000_000u64 + random.below(1_000_000) as u64,
        "depth": random.below(100),
        "hashes": { "sha256": "abc" },
        "signatures": { "example.org": { "ed25519:1": "sig" } },
        "auth_events": reference(version, "$auth:example.org"),
        "prev_events": reference(version, "$prev:example.org"),
        "unsigned": { "age_ts": 5 },
    });
    let is_create_of_twelve = version == RoomVersion::V12 && kind == "m.room.create";
    if !is_create_of_twelve {
        let id = if version == RoomVersion::V12 {
            "!hash"
        } else {
            "!room:example.org"
        };
        event["room_id"] = json!(id);
    }
    if version < RoomVersion::V3 {
        event["event_id"] = json!(format!("${}:example.org", random.below(1_000)));
    }
    if kind == "m.room.create" {
        event["state_key"] = json!("");
    } else if random.percent(60) {
        event["state_key"] = json!(random.pick(&["", "@alice:example.org", "x"]));
    }
    for (field, value) in [
        ("origin", json!("example.org")),
        ("membership", json!("join")),
        ("prev_state", json!([])),
        ("redacts", json!("$other:example.org")),
        ("org.example.extra", any_value(random, version, 1)),
    ] {
        if random.percent(40) {
            event[field] = value;
        }
    }
    event
}

/// A list with a reference to an event.
pub(super) fn reference(version: RoomVersion, id: &str) -> Value {
    if version < RoomVersion::V3 {
        json!([[id, { "sha256": "abc" }]])
    } else {
        json!([id])
    }
}

fn third_party_invite(random: &mut Random, version: RoomVersion) -> Value {
    let signed =
        json!({ "mxid": "@bob:example.org", "token": "t", "more": any_value(random, version, 1) });
    match random.below(5) {
        0 => json!({}),
        1 => json!({ "display_name": "b" }),
        2 => json!("text"),
        3 => json!({ "signed": signed }),
        _ => json!({ "signed": signed, "display_name": "b" }),
    }
}

fn any_value(random: &mut Random, version: RoomVersion, depth: usize) -> Value {
    match random.below(if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.percent(50)),
        2 => json!(random.below(1_000)),
        // Later versions refuse such numbers.
        3 if version < RoomVersion::V6 => json!(9_007_199_254_740_993u64 + random.below(9) as u64),
        3 => json!(-9_007_199_254_740_991i64),
        4 => json!(random.pick(&[
            "",
            "text",
            "日本語 \u{7f}\u{1f}\u{10ffff}",
            "\"\\/\u{8}\u{c}\n\r\t"
        ])),
        5 => json!("@alice:example.org"),
        6 => (0..random.below(3))
            .map(|_| any_value(random, version, depth - 1))
            .collect(),
        _ => {
            let names = ["b", "a", "\u{ffff}", "\u{10000}"];
            let entries = names.into_iter().take(random.below(5));
            let entries =
                entries.map(|name| (name.to_owned(), any_value(random, version, depth - 1)));
            Value::Object(entries.collect())
        }
    }
}
