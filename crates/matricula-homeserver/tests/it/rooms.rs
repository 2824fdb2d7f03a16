//! Rooms: create, join, send, read, sync.

mod directory;
mod history;
mod lazy_loading;
mod membership;
mod redactions;
mod relations;
mod sync_changes;
mod versions;

use std::time::Duration;

use matricula_core::Method;
use matricula_homeserver::{Config, Limit, Limits};
use serde_json::{Value, json};

use crate::{Reply, TestServer, TestUser, text};

const CREATE: &str = "/_matrix/client/v3/createRoom";

fn create(home: &mut TestServer, me: &TestUser, body: Value) -> String {
    text(&home.post_as(&me.token, CREATE, body).ok(), "room_id")
}

fn room_path(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{room}/{rest}")
}

fn put(home: &mut TestServer, me: &TestUser, room: &str, rest: &str, body: Value) -> Reply {
    home.call_as(&me.token, Method::Put, &room_path(room, rest), body)
}

fn say(home: &mut TestServer, me: &TestUser, room: &str, txn: &str, said: &str) -> String {
    let body = json!({ "msgtype": "m.text", "body": said });
    let rest = format!("send/m.room.message/{txn}");
    text(&put(home, me, room, &rest, body).ok(), "event_id")
}

fn look(home: &mut TestServer, me: &TestUser, room: &str, rest: &str) -> Reply {
    home.get_as(&me.token, &room_path(room, rest))
}

fn enter(home: &mut TestServer, me: &TestUser, room: &str, how: &str) -> Reply {
    home.post_as(&me.token, &room_path(room, how), json!({}))
}

fn sync(home: &mut TestServer, me: &TestUser, query: &str) -> Value {
    home.get_as(&me.token, &format!("/_matrix/client/v3/sync{query}"))
        .ok()
}

fn since(home: &mut TestServer, me: &TestUser, batch: &Value) -> Value {
    let batch = batch["next_batch"].as_str().unwrap().to_owned();
    sync(home, me, &format!("?since={batch}"))
}

/// The message bodies, in order.
fn said(events: &Value) -> Vec<String> {
    let bodies = events.as_array().unwrap().iter();
    let bodies = bodies.filter_map(|event| event["content"]["body"].as_str());
    bodies.map(str::to_owned).collect()
}

fn kinds(events: &Value) -> Vec<&str> {
    let all = events.as_array().unwrap().iter();
    all.map(|event| event["type"].as_str().unwrap()).collect()
}

/// A public room of alice, and bob, who has not joined.
fn public() -> (TestServer, TestUser, TestUser, String) {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let room = create(
        &mut home,
        &alice,
        json!({ "preset": "public_chat", "name": "Tea" }),
    );
    (home, alice, bob, room)
}

#[test]
fn new_room_has_requested_state() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let room = create(
        &mut home,
        &alice,
        json!({
            "name": "Tea", "topic": "and biscuits", "preset": "trusted_private_chat",
            "invite": [bob.user_id], "is_direct": true,
            "creation_content": { "type": "m.space" },
            "initial_state": [{ "type": "org.example.a", "content": { "b": 1 } }],
            "power_level_content_override": { "invite": 50 },
        }),
    );
    let state = look(&mut home, &alice, &room, "state").ok();
    assert_eq!(
        kinds(&state),
        [
            "m.room.create",
            "m.room.member",
            "m.room.power_levels",
            "m.room.join_rules",
            "m.room.history_visibility",
            "m.room.guest_access",
            "org.example.a",
            "m.room.name",
            "m.room.topic",
            "m.room.member",
        ]
    );
    assert!(state[0]["event_id"].is_string() && state[0]["room_id"] == room);
    let mut part = |name: &str| look(&mut home, &alice, &room, &format!("state/{name}")).ok();
    assert_eq!(
        part("m.room.create/"),
        json!({ "room_version": "12", "type": "m.space", "additional_creators": [bob.user_id] })
    );
    assert_eq!(part("org.example.a/"), json!({ "b": 1 }));
    let levels = part("m.room.power_levels/");
    assert_eq!(levels["users"], json!({}), "creators stand above levels");
    assert_eq!(levels["invite"], 50);
    let invited = part(&format!("m.room.member/{}", bob.user_id));
    assert_eq!(
        invited,
        json!({ "membership": "invite", "is_direct": true })
    );
    look(&mut home, &alice, &room, "state/m.room.avatar/").err(404, "M_NOT_FOUND");
}

#[test]
fn unsupported_room_options_are_rejected() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    for (body, code) in [
        (
            json!({ "room_version": "99" }),
            "M_UNSUPPORTED_ROOM_VERSION",
        ),
        (
            json!({ "invite_3pid": [{ "id_server": "x", "id_access_token": "x", "medium": "email",
                "address": "a@example.org" }] }),
            "M_INVALID_PARAM",
        ),
        (json!({ "creation_content": 7 }), "M_BAD_JSON"),
    ] {
        home.post_as(&alice.token, CREATE, body).err(400, code);
    }
    let nobody = json!({ "invite": ["@nobody:private.localhost"] });
    home.post_as(&alice.token, CREATE, nobody)
        .err(404, "M_NOT_FOUND");
    let elsewhere = json!({ "invite": ["@alice:elsewhere.example"] });
    home.post_as(&alice.token, CREATE, elsewhere)
        .err(404, "M_NOT_FOUND");
    // Nothing of the rejected rooms is stored.
    let joined = home
        .get_as(&alice.token, "/_matrix/client/v3/joined_rooms")
        .ok();
    assert_eq!(joined, json!({ "joined_rooms": [] }));
}

#[test]
fn transaction_id_sends_once() {
    let (mut home, alice, bob, room) = public();
    enter(&mut home, &bob, &room, "join").ok();
    let first = say(&mut home, &alice, &room, "1", "hello");
    assert_eq!(say(&mut home, &alice, &room, "1", "said otherwise"), first);
    // Transaction ids are per endpoint, user and device.
    assert_ne!(say(&mut home, &alice, &room, "2", "again"), first);
    put(
        &mut home,
        &alice,
        &room,
        "send/org.example.other/1",
        json!({}),
    )
    .ok();
    say(&mut home, &bob, &room, "1", "hello from bob");
    let phone = home.sign_in("alice");
    assert_ne!(say(&mut home, &phone, &room, "1", "from the phone"), first);

    let mine = look(&mut home, &alice, &room, &format!("event/{first}")).ok();
    assert_eq!(mine["unsigned"]["transaction_id"], "1");
    let seen = look(&mut home, &phone, &room, &format!("event/{first}")).ok();
    let unsigned = json!({ "age": 0, "membership": "join" });
    assert_eq!(seen["unsigned"], unsigned, "it is another device's");
    let all = look(&mut home, &alice, &room, "messages?dir=f&limit=100").ok();
    assert_eq!(
        said(&all["chunk"]),
        ["hello", "again", "hello from bob", "from the phone"]
    );
}

#[test]
fn transaction_survives_token_refresh() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": crate::PASSWORD, "refresh_token": true });
    let answer = home.register(body).ok();
    let mut alice = TestUser::of(&answer);
    let room = create(&mut home, &alice, json!({}));
    let first = say(&mut home, &alice, &room, "1", "hello");
    let refresh = json!({ "refresh_token": answer["refresh_token"] });
    let renewed = home.post("/_matrix/client/v3/refresh", refresh).ok();
    alice.token = text(&renewed, "access_token");
    assert_eq!(say(&mut home, &alice, &room, "1", "hello"), first);
}

#[test]
fn only_members_read_and_send() {
    let (mut home, alice, bob, room) = public();
    let spoken = json!({ "body": "x" });
    for rest in [
        "state",
        "members",
        "joined_members",
        "messages?dir=b",
        "state/m.room.name/",
    ] {
        look(&mut home, &bob, &room, rest).err(403, "M_FORBIDDEN");
        look(&mut home, &bob, "!none:private.localhost", rest).err(403, "M_FORBIDDEN");
    }
    put(
        &mut home,
        &bob,
        &room,
        "send/m.room.message/1",
        spoken.clone(),
    )
    .err(403, "M_FORBIDDEN");
    put(
        &mut home,
        &bob,
        &room,
        "state/m.room.name/",
        json!({ "name": "Mine" }),
    )
    .err(403, "M_FORBIDDEN");
    enter(&mut home, &bob, &room, "leave").err(403, "M_FORBIDDEN");
    enter(&mut home, &bob, &room, "join").ok();
    enter(&mut home, &bob, &room, "join").ok();
    put(&mut home, &bob, &room, "send/m.room.message/1", spoken).ok();
    // Bob may send messages, but not change state.
    put(
        &mut home,
        &bob,
        &room,
        "state/m.room.name/",
        json!({ "name": "Mine" }),
    )
    .err(403, "M_FORBIDDEN");
    let hers = format!("state/m.room.member/{}", alice.user_id);
    put(
        &mut home,
        &bob,
        &room,
        &hers,
        json!({ "membership": "join", "displayname": "his" }),
    )
    .err(403, "M_FORBIDDEN");
    enter(&mut home, &bob, &room, "leave").ok();
    look(&mut home, &bob, &room, "state").ok();
    look(&mut home, &bob, &room, "joined_members").err(403, "M_FORBIDDEN");
    let members = look(&mut home, &alice, &room, "joined_members").ok();
    assert_eq!(members, json!({ "joined": { alice.user_id: {} } }));
}

#[test]
fn private_room_needs_invite() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let room = create(&mut home, &alice, json!({}));
    enter(&mut home, &bob, &room, "join").err(403, "M_FORBIDDEN");
    enter(&mut home, &bob, "!none:private.localhost", "join").err(404, "M_NOT_FOUND");
    home.post_as(
        &bob.token,
        "/_matrix/client/v3/join/%23tea:private.localhost",
        json!({}),
    )
    .err(404, "M_NOT_FOUND");
    let invite = json!({ "user_id": bob.user_id });
    home.post_as(&bob.token, &room_path(&room, "invite"), invite.clone())
        .err(403, "M_FORBIDDEN");
    home.post_as(&alice.token, &room_path(&room, "invite"), invite.clone())
        .ok();
    let news = sync(&mut home, &bob, "");
    let state = &news["rooms"]["invite"][&room]["invite_state"]["events"];
    let members = state
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["type"] == "m.room.member");
    let mut members: Vec<_> = members.map(|it| text(it, "state_key")).collect();
    members.sort();
    assert_eq!(members, [alice.user_id.clone(), bob.user_id.clone()]);
    home.post_as(
        &bob.token,
        &format!("/_matrix/client/v3/join/{room}"),
        json!({}),
    )
    .ok();
    home.post_as(&alice.token, &room_path(&room, "invite"), invite)
        .err(403, "M_FORBIDDEN");
    let left = enter(&mut home, &bob, &room, "leave");
    left.ok();
    let gone = look(&mut home, &alice, &room, "members?membership=leave").ok();
    assert_eq!(gone["chunk"][0]["state_key"], bob.user_id.as_str());
    let there = look(&mut home, &alice, &room, "members?not_membership=leave").ok();
    assert_eq!(there["chunk"].as_array().unwrap().len(), 1);
}

#[test]
fn messages_paginate_in_both_directions() {
    let (mut home, alice, _, room) = public();
    for number in 0..25 {
        say(
            &mut home,
            &alice,
            &room,
            &number.to_string(),
            &number.to_string(),
        );
    }
    for (dir, mut expected) in [
        ("f", (0..25).collect::<Vec<_>>()),
        ("b", (0..25).rev().collect()),
    ] {
        let (mut from, mut read) = (String::new(), Vec::new());
        let mut pages = 0;
        loop {
            let page = look(
                &mut home,
                &alice,
                &room,
                &format!("messages?dir={dir}&limit=7{from}"),
            )
            .ok();
            read.extend(said(&page["chunk"]));
            pages += 1;
            let Some(end) = page["end"].as_str() else {
                break;
            };
            from = format!("&from={end}");
        }
        let expected: Vec<_> = expected.drain(..).map(|it| it.to_string()).collect();
        assert_eq!(read, expected, "{dir}");
        assert_eq!(pages, 5, "32 events in pages of 7");
    }
    look(&mut home, &alice, &room, "messages?dir=b&from=nonsense").err(400, "M_INVALID_PARAM");
}

#[test]
fn unchanged_state_creates_no_event() {
    let (mut home, alice, _, room) = public();
    let mut set = |topic: &str| {
        let body = json!({ "topic": topic });
        text(
            &put(&mut home, &alice, &room, "state/m.room.topic/", body).ok(),
            "event_id",
        )
    };
    let first = set("a");
    assert_eq!(set("a"), first);
    assert_ne!(set("b"), first);
    assert_ne!(set("a"), first);
    let event = look(&mut home, &alice, &room, "state/m.room.topic/?format=event").ok();
    assert_eq!(event["content"], json!({ "topic": "a" }));
    assert_eq!(event["state_key"], "");
}

#[test]
fn too_large_events_are_rejected() {
    let (mut home, alice, _, room) = public();
    let body = json!({ "body": "x".repeat(65_000) });
    put(&mut home, &alice, &room, "send/m.room.message/1", body).err(413, "M_TOO_LARGE");
    let kind = "k".repeat(256);
    put(
        &mut home,
        &alice,
        &room,
        &format!("send/{kind}/1"),
        json!({}),
    )
    .err(413, "M_TOO_LARGE");
    let body = json!({ "body": "x".repeat(63_000) });
    put(&mut home, &alice, &room, "send/m.room.message/1", body).ok();
    put(
        &mut home,
        &alice,
        &room,
        "send/m.room.message/2",
        json!(["no object"]),
    )
    .err(400, "M_BAD_JSON");
}

#[test]
fn sending_is_rate_limited() {
    let limits = Limits::default().room_events(Limit::new(1.0, 2));
    let mut home = TestServer::new(Config::default().limits(limits));
    let alice = home.sign_up("alice");
    let room = create(&mut home, &alice, json!({}));
    let first = say(&mut home, &alice, &room, "1", "a");
    say(&mut home, &alice, &room, "2", "b");
    let third = put(
        &mut home,
        &alice,
        &room,
        "send/m.room.message/3",
        json!({ "body": "c" }),
    );
    assert_eq!(third.err(429, "M_LIMIT_EXCEEDED")["retry_after_ms"], 1000);
    assert_eq!(say(&mut home, &alice, &room, "1", "a"), first);
    home.wait(Duration::from_secs(1));
    say(&mut home, &alice, &room, "3", "c");
}

#[test]
fn guests_and_suspended_cannot_send() {
    let mut home = TestServer::new(Config::default().guests(true).admin("root"));
    let (root, alice) = (home.sign_up("root"), home.sign_up("alice"));
    let room = create(&mut home, &alice, json!({ "preset": "public_chat" }));
    let path = format!("/_matrix/client/v1/admin/suspend/{}", alice.user_id);
    home.call_as(
        &root.token,
        Method::Put,
        &path,
        json!({ "suspended": true }),
    )
    .ok();
    put(&mut home, &alice, &room, "send/m.room.message/1", json!({})).err(403, "M_USER_SUSPENDED");
    look(&mut home, &alice, &room, "state").ok();
    enter(&mut home, &alice, &room, "leave").ok();
    let guest = home
        .post("/_matrix/client/v3/register?kind=guest", json!({}))
        .ok();
    home.post_as(&text(&guest, "access_token"), CREATE, json!({}))
        .err(403, "M_GUEST_ACCESS_FORBIDDEN");
}

#[test]
fn creation_cannot_set_members() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let join = json!({ "membership": "join" });
    for event in [
        json!({ "type": "m.room.member", "state_key": bob.user_id, "content": join }),
        json!({ "type": "m.room.create", "content": {} }),
        json!({ "type": "org.example.a", "state_key": bob.user_id, "content": {} }),
    ] {
        let body = json!({ "initial_state": [event] });
        home.post_as(&alice.token, CREATE, body)
            .err(403, "M_FORBIDDEN");
    }
    assert_eq!(sync(&mut home, &bob, "").get("rooms"), None);
}

#[test]
fn declined_invite_hides_room() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let room = create(&mut home, &alice, json!({ "invite": [bob.user_id] }));
    let invited = sync(&mut home, &bob, "");
    say(&mut home, &alice, &room, "1", "among ourselves");
    enter(&mut home, &bob, &room, "leave").ok();
    let all = r#"?filter={"room":{"include_leave":true}}"#;
    for news in [since(&mut home, &bob, &invited), sync(&mut home, &bob, all)] {
        let left = &news["rooms"]["leave"][&room];
        assert_eq!(kinds(&left["timeline"]["events"]), ["m.room.member"]);
        assert_eq!(left["state"]["events"], json!([]));
    }
}

#[test]
fn power_levels_limit_changes() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    // A version in which the creator has a level.
    let body = json!({ "preset": "public_chat", "room_version": "11" });
    let room = create(&mut home, &alice, body);
    enter(&mut home, &bob, &room, "join").ok();
    let rest = "state/m.room.power_levels/";
    let levels = look(&mut home, &alice, &room, rest).ok();
    let with = |name: &str, value: Value| {
        let mut changed = levels.clone();
        changed[name] = value;
        changed
    };
    let users = |hers: i64, his: i64| {
        let users = json!({ alice.user_id.clone(): hers, bob.user_id.clone(): his });
        let mut changed = with("users", users);
        changed["events"] = json!({});
        changed
    };
    put(&mut home, &alice, &room, rest, users(100, 101)).err(403, "M_FORBIDDEN");
    put(&mut home, &alice, &room, rest, with("ban", json!(101))).err(403, "M_FORBIDDEN");
    put(&mut home, &alice, &room, rest, with("ban", json!("50"))).err(400, "M_BAD_JSON");
    put(&mut home, &alice, &room, rest, users(100, 50)).ok();
    put(&mut home, &bob, &room, rest, users(0, 50)).err(403, "M_FORBIDDEN");
    put(&mut home, &bob, &room, rest, users(100, 100)).err(403, "M_FORBIDDEN");
    put(&mut home, &bob, &room, rest, users(100, 0)).ok();
}

#[test]
fn deleted_device_frees_transactions() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    let room = create(&mut home, &alice, json!({}));
    let device = json!({ "device_id": "phone" });
    let phone = TestUser::of(&home.login("alice", device.clone()).ok());
    let first = say(&mut home, &phone, &room, "1", "before");
    home.post_as(&phone.token, "/_matrix/client/v3/logout", json!({}))
        .ok();
    let phone = TestUser::of(&home.login("alice", device).ok());
    assert_ne!(say(&mut home, &phone, &room, "1", "after"), first);
}
