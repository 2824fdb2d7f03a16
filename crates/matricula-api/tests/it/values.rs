//! Open enums and additional fields are preserved.

use matricula_api::{
    Raw,
    client::{
        capabilities::{Capabilities, GetCapabilities, RoomVersionStability},
        definitions::Visibility,
        policy_server::GetWellknownPolicy,
        wellknown::GetWellknown,
    },
    common::{ClientEvent, PresenceState},
};
use serde_json::json;

use crate::read;

#[test]
fn unlisted_enum_values_are_preserved() {
    for text in ["public", "private", "friends"] {
        let visibility = Visibility::from(text);
        assert_eq!(visibility.as_str(), text);
        let stored = serde_json::to_string(&visibility).unwrap();
        assert_eq!(stored, format!("{text:?}"));
        assert_eq!(
            serde_json::from_str::<Visibility>(&stored).unwrap(),
            visibility
        );
    }
    assert_eq!(
        Visibility::from("friends"),
        Visibility::Other("friends".into())
    );
    assert_eq!(PresenceState::Online.to_string(), "online");
    assert!(serde_json::from_str::<PresenceState>("5").is_err());
}

#[test]
fn additional_fields_are_preserved() {
    let body = r#"{"capabilities":{"m.room_versions":{"default":"1","available":{"1":"stable","x":"odd"}},"com.example.limit":{"max":600}}}"#;
    let capabilities = read::<GetCapabilities>(200, body).unwrap().capabilities;
    let versions = capabilities.room_versions.as_ref().unwrap();
    assert_eq!(versions.available["1"], RoomVersionStability::Stable);
    assert_eq!(versions.available["x"].as_str(), "odd");
    assert_eq!(capabilities.extra["com.example.limit"]["max"], 600);
    let written = serde_json::to_value(&capabilities).unwrap();
    let given: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(written, given["capabilities"]);
    assert_eq!(
        serde_json::from_value::<Capabilities>(written).unwrap(),
        capabilities
    );
}

#[test]
fn additional_fields_can_be_typed() {
    let keys =
        read::<GetWellknownPolicy>(200, r#"{"public_keys": {"ed25519": "a", "other": "b"}}"#)
            .unwrap()
            .public_keys;
    assert_eq!(keys.ed25519, "a");
    assert_eq!(keys.extra["other"], "b");
    let body = r#"{"public_keys":{"ed25519":"a","other":5}}"#;
    let found = read::<GetWellknownPolicy>(200, body).unwrap();
    let invalid = found.public_keys.extra.invalid().next().unwrap();
    assert_eq!((invalid.0, invalid.1.json()), ("other", "5"));
    assert_eq!(serde_json::to_string(&found).unwrap(), body);
}

#[test]
fn null_in_open_object_is_absence() {
    let body = r#"{"m.homeserver": {"base_url": "https://a"}, "m.identity_server": null}"#;
    let found = read::<GetWellknown>(200, body).unwrap();
    assert_eq!(found.identity_server, None);
    assert_eq!(found.extra.len(), 0);
}

#[test]
fn raw_json_is_unchanged() {
    let text = r#"{"event_id": "$e",  "type":"m.x","sender":"@a:b", "room_id": "!r:b",
        "origin_server_ts": 1, "content": {"big": 1e3}, "new": 1}"#;
    let raw: Raw<ClientEvent> = serde_json::from_str(text).unwrap();
    assert_eq!(raw.json(), text);
    assert_eq!(serde_json::to_string(&raw).unwrap(), text);
    let event = raw.read().unwrap();
    assert_eq!(event.event_type, "m.x");
    assert_eq!(event.origin_server_ts.unwrap().as_millis(), 1);
    assert_eq!(raw.clone(), raw);
    assert!(Raw::<ClientEvent>::from_json("{".into()).is_err());
    let other: Raw = Raw::new(&json!({"a": 1})).unwrap();
    assert_eq!(format!("{other:?}"), "Raw(7 bytes)");
}
