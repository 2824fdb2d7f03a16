//! Room versions: ids, creators, canonical JSON, upgrades.

use serde_json::{Value, json};

use super::{CREATE, create, enter, look, put, say};
use crate::{TestServer, text};

#[test]
fn every_version_can_be_used() {
    for version in 1..=12 {
        let mut home = TestServer::open();
        let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
        let body = json!({ "room_version": version.to_string(), "preset": "public_chat" });
        let room = create(&mut home, &alice, body);
        assert_eq!(room.contains(':'), version < 12, "{room}");
        let content = look(&mut home, &alice, &room, "state/m.room.create/").ok();
        assert_eq!(content["room_version"], version.to_string());
        let creator = json!(alice.user_id);
        assert_eq!(content.get("creator"), (version < 11).then_some(&creator));
        enter(&mut home, &bob, &room, "join").ok();
        let event = say(&mut home, &bob, &room, "1", "hello");
        assert_eq!(event.contains(':'), version < 3, "{event}");
        assert_eq!(event.len() == 44, version >= 3, "{event}");
        let name = json!({ "name": "mine" });
        put(&mut home, &bob, &room, "state/m.room.name/", name).err(403, "M_FORBIDDEN");
        let levels = look(&mut home, &alice, &room, "state/m.room.power_levels/").ok();
        let users = if version < 12 {
            json!({ alice.user_id.clone(): 100 })
        } else {
            json!({})
        };
        assert_eq!(levels["users"], users);
    }
}

#[test]
fn default_is_the_specifications() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    let room = create(&mut home, &alice, json!({}));
    let content = look(&mut home, &alice, &room, "state/m.room.create/").ok();
    assert_eq!(content, json!({ "room_version": "12" }));
    let path = "/_matrix/client/v3/capabilities";
    let capabilities = home.get_as(&alice.token, path).ok();
    let versions = &capabilities["capabilities"]["m.room_versions"];
    assert_eq!(versions["default"], "12");
    assert_eq!(versions["available"].as_object().unwrap().len(), 12);
}

#[test]
fn content_must_be_canonical() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    for (version, number, is_valid) in [
        ("5", json!(1.5), true),
        ("5", json!(9_007_199_254_740_992_i64), true),
        ("6", json!(1.5), false),
        ("6", json!(9_007_199_254_740_991_i64), true),
        ("6", json!(9_007_199_254_740_992_i64), false),
        ("12", json!(-9_007_199_254_740_991_i64), true),
        ("12", json!(-9_007_199_254_740_992_i64), false),
        ("12", json!({ "deep": [1, { "er": 0.1 }] }), false),
    ] {
        let room = create(&mut home, &alice, json!({ "room_version": version }));
        for rest in ["send/org.example.a/1", "state/org.example.a/"] {
            let sent = put(&mut home, &alice, &room, rest, json!({ "x": number }));
            match is_valid {
                true => drop(sent.ok()),
                false => drop(sent.err(400, "M_BAD_JSON")),
            }
        }
    }
}

#[test]
fn power_levels_are_checked() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    for (version, levels, is_valid) in [
        ("12", json!({ "users": "nobody" }), false),
        ("12", json!({ "users": { "@a:b.example": "50" } }), false),
        ("9", json!({ "events": { "org.example.a": "50" } }), true),
        ("12", json!({ "events": [] }), false),
        ("12", json!({ "ban": 1.5 }), false),
        ("12", json!({ "ban": null }), false),
        ("12", json!({ "notifications": { "room": 20 } }), true),
        ("12", json!({ "notifications": { "room": "20" } }), false),
        ("12", json!({ "org.example.own": "text" }), true),
    ] {
        let body = json!({ "room_version": version, "power_level_content_override": levels });
        let made = home.post_as(&alice.token, CREATE, body);
        let json = made.json();
        assert_eq!(made.0.status == 200, is_valid, "{version} {levels} {json}");
        if !is_valid {
            assert_eq!(json["errcode"], "M_BAD_JSON", "{version} {levels}");
        }
        let room = create(&mut home, &alice, json!({ "room_version": version }));
        let rest = "state/m.room.power_levels/";
        let mut whole = look(&mut home, &alice, &room, rest).ok();
        for (name, value) in levels.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let set = put(&mut home, &alice, &room, rest, whole);
        assert_eq!(
            set.0.status == 200,
            is_valid,
            "{version} {levels} {}",
            set.text()
        );
    }
}

#[test]
fn creators_stand_above_all_levels() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let body = json!({ "preset": "trusted_private_chat", "invite": [bob.user_id] });
    let room = create(&mut home, &alice, body);
    let content = look(&mut home, &alice, &room, "state/m.room.create/").ok();
    assert_eq!(content["additional_creators"], json!([bob.user_id]));
    let rest = "state/m.room.power_levels/";
    let mut levels = look(&mut home, &alice, &room, rest).ok();
    assert_eq!(levels["events"]["m.room.tombstone"], 150);
    levels["users"][&alice.user_id] = json!(100);
    put(&mut home, &alice, &room, rest, levels).err(403, "M_FORBIDDEN");
    for wrong in [json!("@a:b"), json!([1]), json!(["alice"])] {
        let body = json!({ "creation_content": { "additional_creators": wrong } });
        let made = home.post_as(&alice.token, CREATE, body);
        assert!(matches!(made.0.status, 400 | 403), "{}", made.text());
    }
}

#[test]
fn upgrade_moves_to_a_new_room() {
    for (old, new) in [("10", "11"), ("11", "12"), ("12", "12"), ("12", "11")] {
        let mut home = TestServer::open();
        let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
        let body = json!({ "room_version": old, "name": "Tea", "preset": "public_chat",
            "room_alias_name": "tea" });
        let room = create(&mut home, &alice, body);
        enter(&mut home, &bob, &room, "join").ok();
        let path = super::room_path(&room, "upgrade");
        let wish = json!({ "new_version": new });
        home.post_as(&bob.token, &path, wish.clone())
            .err(403, "M_FORBIDDEN");
        let unknown = json!({ "new_version": "99" });
        home.post_as(&alice.token, &path, unknown)
            .err(400, "M_UNSUPPORTED_ROOM_VERSION");
        let done = home.post_as(&alice.token, &path, wish).ok();
        let replacement = text(&done, "replacement_room");
        let tombstone = look(&mut home, &alice, &room, "state/m.room.tombstone/").ok();
        assert_eq!(tombstone["replacement_room"], replacement);
        let content = look(&mut home, &alice, &replacement, "state/m.room.create/").ok();
        assert_eq!(content["room_version"], new);
        assert_eq!(content["predecessor"]["room_id"], room);
        assert_eq!(content["predecessor"]["event_id"].is_string(), new != "12");
        let mut read = |rest: &str| look(&mut home, &alice, &replacement, rest).ok();
        assert_eq!(read("state/m.room.name/"), json!({ "name": "Tea" }));
        let rules: Value = read("state/m.room.join_rules/");
        assert_eq!(rules["join_rule"], "public");
        let alias = "/_matrix/client/v3/directory/room/%23tea:private.localhost";
        assert_eq!(home.get(alias).ok()["room_id"], replacement);
        // Others do not talk in the old room any more.
        let said = json!({ "body": "x" });
        put(&mut home, &bob, &room, "send/m.room.message/9", said).err(403, "M_FORBIDDEN");
        enter(&mut home, &bob, &replacement, "join").ok();
    }
}
