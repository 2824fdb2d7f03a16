//! Content hashes, reference hashes and the ids made of them.

use matricula_rules::{
    JsonError, RoomVersion,
    hashes::{content_hash, event_id, reference_hash, room_id},
    redaction::redact,
};

const EVENT: &str = r#"{
    "type": "m.room.message", "sender": "@u:domain", "room_id": "!r:domain", "depth": 4,
    "content": { "body": "x" }, "origin_server_ts": 5, "prev_events": [], "auth_events": [],
    "hashes": { "sha256": "abc" }, "signatures": { "domain": { "ed25519:1": "s" } }
}"#;

const CREATE: &str = r#"{
    "type": "m.room.create", "sender": "@u:domain", "state_key": "", "depth": 1,
    "content": { "room_version": "12" }, "origin_server_ts": 5, "prev_events": [], "auth_events": []
}"#;

#[test]
fn ids_have_the_format_of_the_version() {
    for version in RoomVersion::ALL {
        let event = EVENT.replacen('{', r#"{"event_id": "$chosen:domain","#, 1);
        let id = event_id(&event, version).unwrap();
        match version {
            RoomVersion::V1 | RoomVersion::V2 => assert_eq!(id, "$chosen:domain"),
            RoomVersion::V3 => assert_eq!(id.len(), 44),
            _ => {
                assert_eq!(id.len(), 44);
                assert!(!id.contains(['+', '/']));
            }
        }
    }
}

#[test]
fn version_three_uses_standard_base64() {
    // Some hash among these has a character that the two alphabets write differently.
    let differ = (0..20).any(|depth| {
        let event = EVENT.replace("\"depth\": 4", &format!("\"depth\": {depth}"));
        let [third, fourth] =
            [RoomVersion::V3, RoomVersion::V4].map(|it| event_id(&event, it).unwrap());
        assert_eq!(third.replace('+', "-").replace('/', "_"), fourth);
        third != fourth
    });
    assert!(differ);
}

#[test]
fn reference_hash_survives_redaction() {
    for version in RoomVersion::ALL {
        let redacted = redact(EVENT, version).unwrap();
        assert_eq!(
            reference_hash(&redacted, version),
            reference_hash(EVENT, version)
        );
        assert_ne!(
            content_hash(&redacted, version),
            content_hash(EVENT, version)
        );
    }
}

#[test]
fn hashes_leave_out_what_may_change() {
    let version = RoomVersion::V11;
    let changed = EVENT.replace(r#""s""#, r#""t""#);
    let changed = changed.replacen('{', r#"{"unsigned": {"age": 3}, "#, 1);
    assert_eq!(
        reference_hash(&changed, version),
        reference_hash(EVENT, version)
    );
    assert_eq!(
        content_hash(&changed, version),
        content_hash(EVENT, version)
    );
    // The content hash leaves out the hashes; the reference hash covers them.
    let rehashed = EVENT.replace("abc", "abd");
    assert_ne!(
        reference_hash(&rehashed, version),
        reference_hash(EVENT, version)
    );
    assert_eq!(
        content_hash(&rehashed, version),
        content_hash(EVENT, version)
    );
}

#[test]
fn room_id_of_version_twelve_is_the_create_hash() {
    let version = RoomVersion::V12;
    let id = event_id(CREATE, version).unwrap();
    let room = room_id(CREATE, version).unwrap();
    assert_eq!(room[1..], id[1..]);
    assert!(room.starts_with('!') && id.starts_with('$'));
    for version in &RoomVersion::ALL[..11] {
        assert_eq!(room_id(EVENT, *version).as_deref(), Ok("!r:domain"));
        assert!(room_id(CREATE, *version).is_err());
    }
}

#[test]
fn missing_fields_are_errors() {
    let missing = event_id(EVENT, RoomVersion::V1).unwrap_err();
    assert_eq!(missing.to_string(), "event_id must be a text");
    assert!(event_id(r#"{"content":{}}"#, RoomVersion::V12).is_err());
    assert!(event_id(r#"{"type":"m.x"}"#, RoomVersion::V12).is_err());
    assert_eq!(
        event_id("[]", RoomVersion::V12),
        Err(JsonError::NotAnObject)
    );
    assert!(content_hash(r#"{"a":0.5}"#, RoomVersion::V6).is_err());
    assert!(content_hash(r#"{"a":0.5}"#, RoomVersion::V5).is_ok());
}
