//! What a redaction leaves of an event, by room version.

use matricula_rules::{
    EventView, RoomVersion,
    redaction::{redact, redact_content, redacted_event},
};
use serde_json::{Value, json};

fn redacted(event: &Value, version: RoomVersion) -> Value {
    serde_json::from_str(&redact(&event.to_string(), version).unwrap()).unwrap()
}

/// The names of the content that are left, in every version.
fn content_left(kind: &str, content: &Value) -> Vec<Vec<String>> {
    let left = |version| {
        let event = json!({ "type": kind, "sender": "@a:b.org", "content": content });
        let event = redacted(&event, version);
        let by_itself = redact_content(kind, &content.to_string(), version).unwrap();
        assert_eq!(by_itself.parse::<Value>().unwrap(), event["content"]);
        event["content"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    RoomVersion::ALL.into_iter().map(left).collect()
}

/// Checks what is left from each of the named versions on.
#[track_caller]
fn assert_left(kind: &str, content: &Value, expected: &[(RoomVersion, &[&str])]) {
    let left = content_left(kind, content);
    for (version, left) in RoomVersion::ALL.into_iter().zip(left) {
        let expected = expected.iter().rev().find(|(since, _)| version >= *since);
        let (_, expected) = expected.unwrap();
        assert_eq!(left, *expected, "{kind} in version {version}");
    }
}

#[test]
fn fields_outside_the_content_are_stripped() {
    let always = [
        "auth_events",
        "content",
        "depth",
        "event_id",
        "hashes",
        "origin_server_ts",
        "prev_events",
        "room_id",
        "sender",
        "signatures",
        "state_key",
        "type",
    ];
    let until_ten = ["membership", "origin", "prev_state"];
    let never = ["age_ts", "redacts", "unsigned", "org.example.custom"];
    let names = always.into_iter().chain(until_ten).chain(never);
    let mut event: Value = names
        .map(|name| (name.to_owned(), json!("x")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    event["content"] = json!({ "a": 1 });
    for version in RoomVersion::ALL {
        let left = redacted(&event, version);
        let mut expected: Vec<&str> = always.to_vec();
        if version < RoomVersion::V11 {
            expected.extend(until_ten);
        }
        expected.sort_unstable();
        let left: Vec<_> = left.as_object().unwrap().keys().collect();
        assert_eq!(left, expected, "version {version}");
    }
}

#[test]
fn content_of_ordinary_events_is_removed() {
    let content = json!({ "body": "secret", "membership": "join", "aliases": [] });
    for kind in [
        "m.room.message",
        "m.room.name",
        "m.room.encrypted",
        "m.room.third_party_invite",
    ] {
        assert_left(kind, &content, &[(RoomVersion::V1, &[])]);
    }
}

#[test]
fn membership_content_is_stripped() {
    let content = json!({
        "membership": "invite",
        "displayname": "A",
        "join_authorised_via_users_server": "@a:b.org",
        "third_party_invite": { "display_name": "a", "signed": { "token": "t", "x": 1 } },
    });
    assert_left(
        "m.room.member",
        &content,
        &[
            (RoomVersion::V1, &["membership"]),
            (
                RoomVersion::V9,
                &["join_authorised_via_users_server", "membership"],
            ),
            (
                RoomVersion::V11,
                &[
                    "join_authorised_via_users_server",
                    "membership",
                    "third_party_invite",
                ],
            ),
        ],
    );
    let event = json!({ "type": "m.room.member", "content": content });
    let invite = &redacted(&event, RoomVersion::V11)["content"]["third_party_invite"];
    assert_eq!(*invite, json!({ "signed": { "token": "t", "x": 1 } }));
}

#[test]
fn invite_without_signed_part_is_emptied() {
    let content = |invite: Value| json!({ "membership": "invite", "third_party_invite": invite });
    for invite in [json!({ "display_name": "a" }), json!({})] {
        let event = json!({ "type": "m.room.member", "content": content(invite) });
        let left = redacted(&event, RoomVersion::V11);
        assert_eq!(left["content"], content(json!({})));
    }
    for invite in [json!("x"), json!(null), json!([1])] {
        assert_left(
            "m.room.member",
            &content(invite),
            &[(RoomVersion::V1, &["membership"])],
        );
    }
}

#[test]
fn create_content_is_stripped() {
    let content = json!({ "creator": "@a:b.org", "m.federate": false, "room_version": "11" });
    assert_left(
        "m.room.create",
        &content,
        &[
            (RoomVersion::V1, &["creator"]),
            (RoomVersion::V11, &["creator", "m.federate", "room_version"]),
        ],
    );
}

#[test]
fn join_rules_content_is_stripped() {
    let content = json!({ "join_rule": "restricted", "allow": [], "other": 1 });
    assert_left(
        "m.room.join_rules",
        &content,
        &[
            (RoomVersion::V1, &["join_rule"]),
            (RoomVersion::V8, &["allow", "join_rule"]),
        ],
    );
}

#[test]
fn power_levels_content_is_stripped() {
    let content = json!({
        "ban": 50, "events": {}, "events_default": 0, "invite": 0, "kick": 50, "redact": 50,
        "state_default": 50, "users": {}, "users_default": 0, "notifications": {}, "historical": 1,
    });
    let always = [
        "ban",
        "events",
        "events_default",
        "kick",
        "redact",
        "state_default",
        "users",
        "users_default",
    ];
    let mut with_invite = always.to_vec();
    with_invite.insert(3, "invite");
    assert_left(
        "m.room.power_levels",
        &content,
        &[(RoomVersion::V1, &always), (RoomVersion::V11, &with_invite)],
    );
}

#[test]
fn other_state_is_stripped() {
    let aliases = json!({ "aliases": ["#a:b.org"], "x": 1 });
    assert_left(
        "m.room.aliases",
        &aliases,
        &[(RoomVersion::V1, &["aliases"]), (RoomVersion::V6, &[])],
    );
    let visibility = json!({ "history_visibility": "joined", "x": 1 });
    assert_left(
        "m.room.history_visibility",
        &visibility,
        &[(RoomVersion::V1, &["history_visibility"])],
    );
    let redaction = json!({ "redacts": "$x", "reason": "spam" });
    assert_left(
        "m.room.redaction",
        &redaction,
        &[(RoomVersion::V1, &[]), (RoomVersion::V11, &["redacts"])],
    );
}

#[test]
fn redaction_changes_nothing_the_second_time() {
    let event = json!({
        "type": "m.room.member", "sender": "@a:b.org", "origin": "b.org", "unsigned": {},
        "content": { "membership": "join", "third_party_invite": { "signed": {}, "x": 1 } },
    });
    for version in RoomVersion::ALL {
        let once = redact(&event.to_string(), version).unwrap();
        assert_eq!(redact(&once, version), Ok(once));
    }
}

#[test]
fn texts_and_numbers_stay_as_received() {
    let event =
        r#"{"type":"m.room.create","content":{"creator":"\u0040a:b.org","n":1.50},"depth":1e3}"#;
    assert_eq!(
        redact(event, RoomVersion::V11).unwrap(),
        r#"{"content":{"creator":"\u0040a:b.org","n":1.50},"depth":1e3,"type":"m.room.create"}"#,
    );
}

#[test]
fn events_of_another_form_are_errors() {
    for event in [
        "[]",
        "{}",
        r#"{"type":1,"content":{}}"#,
        r#"{"type":"m.x"}"#,
        r#"{"type":"m.x","content":[]}"#,
    ] {
        assert!(redact(event, RoomVersion::V12).is_err(), "{event}");
    }
}

#[test]
fn redacted_event_is_found_in_both_places() {
    let view = |content| EventView::new("m.room.redaction", "@a:b.org", content);
    let both = view(r#"{"redacts":"$content"}"#).redacts("$beside");
    assert_eq!(
        redacted_event(&both, RoomVersion::V10).as_deref(),
        Some("$beside")
    );
    assert_eq!(
        redacted_event(&both, RoomVersion::V11).as_deref(),
        Some("$content")
    );
    let beside = view("{}").redacts("$beside");
    assert_eq!(
        redacted_event(&beside, RoomVersion::V11).as_deref(),
        Some("$beside")
    );
    let content = view(r#"{"redacts":"$content"}"#);
    assert_eq!(
        redacted_event(&content, RoomVersion::V10).as_deref(),
        Some("$content")
    );
    assert_eq!(redacted_event(&view("{}"), RoomVersion::V12), None);
}
