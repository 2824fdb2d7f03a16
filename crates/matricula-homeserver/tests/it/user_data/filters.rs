//! Filters: stored ones, and what they let through.

use serde_json::{Value, json};

use super::{events, in_room, own, put, say, send, shared_room, since, sync};
use crate::{TestServer, TestUser, text};

fn store(home: &mut TestServer, me: &TestUser, filter: Value) -> String {
    let stored = home.post_as(&me.token, &own(me, "filter"), filter);
    text(&stored.ok(), "filter_id")
}

#[test]
fn filter_is_stored_and_read() {
    let (mut home, alice, bob, room) = shared_room();
    let filter = json!({ "room": { "timeline": { "limit": 1 } }, "org.example": { "x": 1 } });
    let id = store(&mut home, &alice, filter.clone());
    assert_eq!(
        store(&mut home, &alice, filter.clone()),
        id,
        "the same filter"
    );
    assert_ne!(store(&mut home, &alice, json!({})), id);
    let path = own(&alice, &format!("filter/{id}"));
    assert_eq!(home.get_as(&alice.token, &path).ok(), filter);
    home.get_as(&bob.token, &path).err(403, "M_FORBIDDEN");
    home.post_as(&bob.token, &own(&alice, "filter"), json!({}))
        .err(403, "M_FORBIDDEN");
    for unknown in ["999", "-1", "x"] {
        let path = own(&alice, &format!("filter/{unknown}"));
        home.get_as(&alice.token, &path).err(404, "M_NOT_FOUND");
        let path = format!("/_matrix/client/v3/sync?filter={unknown}");
        home.get_as(&alice.token, &path).err(400, "M_INVALID_PARAM");
    }
    let synced = sync(&mut home, &alice, &format!("?filter={id}"));
    let timeline = &synced["rooms"]["join"][&room]["timeline"];
    assert_eq!(timeline["events"].as_array().unwrap().len(), 1);
    assert_eq!(timeline["limited"], true);
    // Another user has another filter with this id, or none.
    let path = format!("/_matrix/client/v3/sync?filter={id}");
    home.get_as(&bob.token, &path).err(400, "M_INVALID_PARAM");
}

#[test]
fn stored_filters_are_bounded() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    let first = store(&mut home, &alice, json!({ "x": "first" }));
    let second = store(&mut home, &alice, json!({ "x": "second" }));
    for number in 2..101 {
        store(&mut home, &alice, json!({ "x": number }));
    }
    let path = |id: &str| own(&alice, &format!("filter/{id}"));
    home.get_as(&alice.token, &path(&first))
        .err(404, "M_NOT_FOUND");
    home.get_as(&alice.token, &path(&second)).ok();
    let large = json!({ "x": "x".repeat(65_536) });
    home.post_as(&alice.token, &own(&alice, "filter"), large)
        .err(413, "M_TOO_LARGE");
}

#[test]
fn filters_with_wrong_types_are_refused() {
    let (mut home, alice, _, room) = shared_room();
    for (filter, code) in [
        (json!({ "room": [] }), "M_BAD_JSON"),
        (json!({ "room": { "rooms": "!a:b" } }), "M_BAD_JSON"),
        (json!({ "room": { "rooms": [7] } }), "M_BAD_JSON"),
        (json!({ "room": { "not_rooms": ["a"] } }), "M_BAD_JSON"),
        (json!({ "room": { "include_leave": 1 } }), "M_BAD_JSON"),
        (
            json!({ "room": { "timeline": { "limit": "10" } } }),
            "M_BAD_JSON",
        ),
        (
            json!({ "room": { "timeline": { "limit": -1 } } }),
            "M_BAD_JSON",
        ),
        (
            json!({ "room": { "timeline": { "limit": 1.5 } } }),
            "M_BAD_JSON",
        ),
        (
            json!({ "room": { "timeline": { "types": "m.*" } } }),
            "M_BAD_JSON",
        ),
        (
            json!({ "room": { "timeline": { "types": [1] } } }),
            "M_BAD_JSON",
        ),
        (
            json!({ "room": { "state": { "senders": ["alice"] } } }),
            "M_BAD_JSON",
        ),
        (
            json!({ "room": { "state": { "lazy_load_members": "true" } } }),
            "M_BAD_JSON",
        ),
        (
            json!({ "room": { "ephemeral": { "contains_url": 0 } } }),
            "M_BAD_JSON",
        ),
        (json!({ "presence": { "not_types": {} } }), "M_BAD_JSON"),
        (json!({ "account_data": 1 }), "M_BAD_JSON"),
        (json!({ "event_fields": "content" }), "M_BAD_JSON"),
        (json!({ "event_format": 7 }), "M_BAD_JSON"),
        (json!({ "event_format": "xml" }), "M_INVALID_PARAM"),
    ] {
        home.post_as(&alice.token, &own(&alice, "filter"), filter.clone())
            .err(400, code);
        let path = format!("/_matrix/client/v3/sync?filter={filter}");
        home.get_as(&alice.token, &path).err(400, code);
    }
    for filter in ["{", "[]", "x", "", "null"] {
        let path = format!("/_matrix/client/v3/sync?filter={filter}");
        assert_eq!(home.get_as(&alice.token, &path).0.status, 400, "{filter}");
    }
    for (filter, code) in [
        ("{", "M_NOT_JSON"),
        ("[]", "M_BAD_JSON"),
        (r#"{"types":"m.*"}"#, "M_BAD_JSON"),
    ] {
        let path = in_room(&room, &format!("messages?dir=b&filter={filter}"));
        home.get_as(&alice.token, &path).err(400, code);
    }
    for filter in [
        json!({}),
        json!({ "room": null }),
        json!({ "room": { "timeline": {} } }),
    ] {
        sync(&mut home, &alice, &format!("?filter={filter}"));
    }
}

#[test]
fn timeline_filter_drops_events() {
    let (mut home, alice, bob, room) = shared_room();
    let first = sync(&mut home, &alice, "");
    say(&mut home, &alice, &room, "a");
    say(&mut home, &bob, &room, "b");
    send(
        &mut home,
        &bob,
        &room,
        json!({ "body": "c", "url": "mxc://x/y" }),
    );
    let at = text(&first, "next_batch");
    let (alice_id, bob_id) = (alice.user_id.clone(), bob.user_id.clone());
    for (filter, expected) in [
        (json!({}), vec!["a", "b", "c"]),
        (json!({ "senders": [alice_id] }), vec!["a"]),
        (json!({ "not_senders": [alice_id] }), vec!["b", "c"]),
        (
            json!({ "senders": [alice_id, bob_id], "not_senders": [bob_id] }),
            vec!["a"],
        ),
        (json!({ "senders": [] }), vec![]),
        (json!({ "types": ["m.room.*"] }), vec!["a", "b", "c"]),
        (json!({ "types": ["m.room.name"] }), vec![]),
        (json!({ "not_types": ["*.message"] }), vec![]),
        (
            json!({ "types": ["*"], "not_types": ["m.reaction"] }),
            vec!["a", "b", "c"],
        ),
        (json!({ "contains_url": true }), vec!["c"]),
        (json!({ "contains_url": false }), vec!["a", "b"]),
        (json!({ "rooms": [room] }), vec!["a", "b", "c"]),
        (json!({ "not_rooms": [room] }), vec![]),
        (json!({ "rooms": ["!other:private.localhost"] }), vec![]),
        (json!({ "senders": [bob_id], "limit": 1 }), vec!["c"]),
    ] {
        let query = json!({ "room": { "timeline": filter } });
        let news = sync(&mut home, &alice, &format!("?since={at}&filter={query}"));
        let timeline = format!("/rooms/join/{room}/timeline");
        let bodies: Vec<_> = events(&news, &timeline)
            .iter()
            .map(|event| text(&event["content"], "body"))
            .collect();
        assert_eq!(bodies, expected, "{filter}");
    }
    let filter = json!({ "contains_url": true });
    let path = in_room(&room, &format!("messages?dir=b&filter={filter}&limit=100"));
    let page = home.get_as(&alice.token, &path).ok();
    assert_eq!(page["chunk"].as_array().unwrap().len(), 1);
}

#[test]
fn sections_and_rooms_can_be_filtered() {
    let (mut home, alice, bob, room) = shared_room();
    for kind in ["org.example.a", "org.example.b"] {
        put(
            &mut home,
            &alice,
            &own(&alice, &format!("account_data/{kind}")),
            json!({}),
        )
        .ok();
        let path = own(&alice, &format!("rooms/{room}/account_data/{kind}"));
        put(&mut home, &alice, &path, json!({})).ok();
    }
    let event = say(&mut home, &bob, &room, "a");
    let path = in_room(&room, &format!("receipt/m.read/{event}"));
    home.post_as(&bob.token, &path, json!({})).ok();
    let path = in_room(&room, &format!("typing/{}", bob.user_id));
    put(&mut home, &bob, &path, json!({ "typing": true })).ok();
    sync(&mut home, &bob, "");
    let mut kinds = |filter: Value, section: &str| -> Vec<String> {
        let synced = sync(&mut home, &alice, &format!("?filter={filter}"));
        let section = section.replace("ROOM", &format!("/rooms/join/{room}"));
        let events = events(&synced, &section);
        events.iter().map(|event| text(event, "type")).collect()
    };
    let a = json!({ "types": ["*.a"] });
    let nothing: [&str; 0] = [];
    assert_eq!(
        kinds(json!({ "account_data": a }), "/account_data"),
        ["org.example.a"]
    );
    let of_rooms = |part: &str, filter: Value| json!({ "room": { part: filter } });
    let section = "ROOM/account_data";
    assert_eq!(
        kinds(of_rooms("account_data", a), section),
        ["org.example.a"]
    );
    let section = "ROOM/ephemeral";
    assert_eq!(kinds(json!({}), section), ["m.receipt", "m.typing"]);
    let typing = json!({ "not_types": ["m.receipt"] });
    assert_eq!(kinds(of_rooms("ephemeral", typing), section), ["m.typing"]);
    let elsewhere = json!({ "not_rooms": [room] });
    assert_eq!(
        kinds(of_rooms("ephemeral", elsewhere.clone()), section),
        nothing
    );
    assert_eq!(kinds(json!({}), "/presence").len(), 2);
    let not_of_bob = json!({ "presence": { "not_senders": [bob.user_id] } });
    assert_eq!(kinds(not_of_bob, "/presence").len(), 1);
    let state = json!({ "types": ["m.room.name"] });
    assert_eq!(kinds(of_rooms("state", state), "ROOM/state"), nothing);
    assert_eq!(
        kinds(json!({ "room": elsewhere }), "ROOM/timeline"),
        nothing
    );
    let synced = sync(
        &mut home,
        &alice,
        &format!("?filter={}", json!({ "room": { "rooms": [] } })),
    );
    assert_eq!(synced.get("rooms"), None);
}

#[test]
fn only_wanted_fields_are_sent() {
    let (mut home, alice, _, room) = shared_room();
    let first = sync(&mut home, &alice, "");
    send(
        &mut home,
        &alice,
        &room,
        json!({ "body": "a", "msgtype": "m.text" }),
    );
    let filter = json!({ "event_fields": ["type", "content.body"] });
    let at = text(&first, "next_batch");
    let news = sync(&mut home, &alice, &format!("?since={at}&filter={filter}"));
    let sent = &news["rooms"]["join"][&room]["timeline"]["events"][0];
    assert_eq!(
        *sent,
        json!({ "type": "m.room.message", "content": { "body": "a" } })
    );
    let whole = since(&mut home, &alice, &first);
    let sent = &whole["rooms"]["join"][&room]["timeline"]["events"][0];
    assert!(sent["event_id"].is_string());
}
