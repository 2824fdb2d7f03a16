//! What users store about themselves, and what they show each other: one module for each kind.

mod account_data;
mod filters;
mod ignored_users;
mod openid;
mod presence;
mod push_rules;
mod random_requests;
mod receipts;
mod reports;
mod tags;
mod turn;
mod typing;
mod unread_counts;

use matricula_core::Method;
use serde_json::{Value, json};

use crate::{Reply, TestServer, TestUser, text};

/// A path below that of a user.
fn own(me: &TestUser, rest: &str) -> String {
    format!("/_matrix/client/v3/user/{}/{rest}", me.user_id)
}

/// A path below that of a room.
fn in_room(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{room}/{rest}")
}

fn put(home: &mut TestServer, me: &TestUser, path: &str, body: Value) -> Reply {
    home.call_as(&me.token, Method::Put, path, body)
}

fn delete(home: &mut TestServer, me: &TestUser, path: &str) -> Reply {
    home.call_as(&me.token, Method::Delete, path, json!({}))
}

fn sync(home: &mut TestServer, me: &TestUser, query: &str) -> Value {
    let path = format!("/_matrix/client/v3/sync{query}");
    home.get_as(&me.token, &path).ok()
}

/// What changed since a sync.
fn since(home: &mut TestServer, me: &TestUser, before: &Value) -> Value {
    sync(home, me, &format!("?since={}", text(before, "next_batch")))
}

/// A room of alice that bob has joined.
fn shared_room() -> (TestServer, TestUser, TestUser, String) {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let body = json!({ "preset": "public_chat" });
    let made = home.post_as(&alice.token, "/_matrix/client/v3/createRoom", body);
    let room = text(&made.ok(), "room_id");
    join(&mut home, &bob, &room);
    (home, alice, bob, room)
}

fn join(home: &mut TestServer, me: &TestUser, room: &str) {
    let path = in_room(room, "join");
    home.post_as(&me.token, &path, json!({})).ok();
}

/// Sends an event and returns its id.
fn send(home: &mut TestServer, me: &TestUser, room: &str, content: Value) -> String {
    let txn = home.entropy_text();
    let path = in_room(room, &format!("send/m.room.message/{txn}"));
    text(&put(home, me, &path, content).ok(), "event_id")
}

fn say(home: &mut TestServer, me: &TestUser, room: &str, body: &str) -> String {
    send(home, me, room, json!({ "msgtype": "m.text", "body": body }))
}

/// The events of a section of a sync, by the pointer of the section.
fn events(synced: &Value, section: &str) -> Vec<Value> {
    let events = synced.pointer(&format!("{section}/events"));
    events.map_or_else(Vec::new, |it| it.as_array().unwrap().clone())
}

/// The contents of the events of a type in a section of a joined room.
fn of_room(synced: &Value, room: &str, section: &str, kind: &str) -> Vec<Value> {
    let section = &synced["rooms"]["join"][room][section]["events"];
    let events = section.as_array().into_iter().flatten();
    let events = events.filter(|event| event["type"] == kind);
    events.map(|event| event["content"].clone()).collect()
}
