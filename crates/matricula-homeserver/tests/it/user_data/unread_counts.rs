//! Unread counts.

use serde_json::{Value, json};

use super::{in_room, own, put, say, send, shared_room, since, sync};
use crate::{TestServer, TestUser};

const PER_THREAD: &str = r#"{"room":{"timeline":{"unread_thread_notifications":true}}}"#;

/// The number of unread events, and of highlights among them.
fn counts(home: &mut TestServer, me: &TestUser, room: &str) -> (u64, u64) {
    let synced = sync(home, me, "");
    pair(&synced["rooms"]["join"][room]["unread_notifications"])
}

fn pair(counts: &Value) -> (u64, u64) {
    let number = |name: &str| counts[name].as_u64().unwrap();
    (number("notification_count"), number("highlight_count"))
}

/// The counts of the main timeline, and of a thread if it has any.
fn by_thread(
    home: &mut TestServer,
    me: &TestUser,
    room: &str,
    root: &str,
) -> ((u64, u64), Option<(u64, u64)>) {
    let synced = sync(home, me, &format!("?filter={PER_THREAD}"));
    let room = &synced["rooms"]["join"][room];
    let thread = room["unread_thread_notifications"].get(root).map(pair);
    (pair(&room["unread_notifications"]), thread)
}

fn read(home: &mut TestServer, me: &TestUser, room: &str, kind: &str, event: &str, body: Value) {
    let path = in_room(room, &format!("receipt/{kind}/{event}"));
    home.post_as(&me.token, &path, body).ok();
}

fn mention(who: &TestUser) -> Value {
    json!({ "msgtype": "m.text", "body": "x", "m.mentions": { "user_ids": [who.user_id] } })
}

#[test]
fn unread_events_count_in_their_own_sync() {
    let (mut home, alice, bob, room) = shared_room();
    let first = sync(&mut home, &bob, "");
    assert_eq!(
        pair(&first["rooms"]["join"][&room]["unread_notifications"]),
        (0, 0)
    );
    let one = say(&mut home, &alice, &room, "1");
    let news = since(&mut home, &bob, &first);
    let mine = &news["rooms"]["join"][&room];
    assert_eq!(mine["timeline"]["events"][0]["event_id"], one.as_str());
    assert_eq!(pair(&mine["unread_notifications"]), (1, 0));
    assert_eq!(mine.get("unread_thread_notifications"), None);
    send(&mut home, &alice, &room, mention(&bob));
    assert_eq!(counts(&mut home, &bob, &room), (2, 1));
    assert_eq!(counts(&mut home, &alice, &room), (0, 0), "her own");
    read(&mut home, &bob, &room, "m.read", &one, json!({}));
    let later = since(&mut home, &bob, &news);
    assert_eq!(
        pair(&later["rooms"]["join"][&room]["unread_notifications"]),
        (1, 1)
    );
}

#[test]
fn push_rules_decide_what_counts() {
    let (mut home, alice, bob, room) = shared_room();
    let text = |body: &str| json!({ "msgtype": "m.text", "body": body });
    for (content, expected) in [
        (text("hello"), (1, 0)),
        (json!({ "msgtype": "m.notice", "body": "x" }), (0, 0)),
        (mention(&bob), (1, 1)),
        (mention(&alice), (1, 0)),
        (
            json!({ "msgtype": "m.text", "body": "x", "m.mentions": { "room": true } }),
            (1, 1),
        ),
        (text("@room bob"), (1, 0)),
        (
            json!({ "msgtype": "m.text", "body": "x",
                "m.relates_to": { "rel_type": "m.replace", "event_id": "$x" } }),
            (0, 0),
        ),
    ] {
        let event = send(&mut home, &alice, &room, content.clone());
        assert_eq!(counts(&mut home, &bob, &room), expected, "{content}");
        read(&mut home, &bob, &room, "m.read", &event, json!({}));
        assert_eq!(counts(&mut home, &bob, &room), (0, 0));
    }
    // Bob may not notify the room.
    let everyone = json!({ "msgtype": "m.text", "body": "x", "m.mentions": { "room": true } });
    send(&mut home, &bob, &room, everyone);
    assert_eq!(counts(&mut home, &alice, &room), (1, 0));

    let global = "/_matrix/client/v3/pushrules/global";
    let quiet = json!({ "actions": [] });
    let loud = json!({ "actions": ["notify", { "set_tweak": "highlight" }], "pattern": "cake" });
    put(&mut home, &bob, &format!("{global}/content/cake"), loud).ok();
    put(&mut home, &bob, &format!("{global}/room/{room}"), quiet).ok();
    say(&mut home, &alice, &room, "tea");
    assert_eq!(counts(&mut home, &bob, &room), (0, 0));
    say(&mut home, &alice, &room, "a Cake?");
    assert_eq!(counts(&mut home, &bob, &room), (1, 1));
    send(&mut home, &alice, &room, mention(&bob));
    assert_eq!(counts(&mut home, &bob, &room), (2, 2));
    let master = format!("{global}/override/.m.rule.master/enabled");
    put(&mut home, &bob, &master, json!({ "enabled": true })).ok();
    send(&mut home, &alice, &room, mention(&bob));
    assert_eq!(counts(&mut home, &bob, &room), (2, 2));
}

#[test]
fn rules_see_the_beginning_of_long_texts() {
    let (mut home, alice, bob, room) = shared_room();
    let rule = "/_matrix/client/v3/pushrules/global/content/cake";
    let body = json!({ "actions": ["notify", { "set_tweak": "highlight" }], "pattern": "cake" });
    put(&mut home, &bob, rule, body).ok();
    for (body, highlights) in [
        (format!("cake {}", "é".repeat(20_000)), 1),
        (format!("{} cake", "é".repeat(20_000)), 0),
        (format!("{} cake", "é".repeat(2_045)), 1),
        (format!("{} cake", "é".repeat(2_046)), 0),
    ] {
        let event = say(&mut home, &alice, &room, &body);
        assert_eq!(
            counts(&mut home, &bob, &room),
            (1, highlights),
            "{}",
            body.len()
        );
        read(&mut home, &bob, &room, "m.read", &event, json!({}));
    }
}

#[test]
fn further_receipt_counts() {
    let (mut home, alice, bob, room) = shared_room();
    let all = ["a", "b", "c", "d"].map(|body| say(&mut home, &alice, &room, body));
    for (kind, event, left) in [
        ("m.read.private", 1, 2),
        ("m.read", 0, 2),
        ("m.read", 2, 1),
        ("m.read.private", 2, 1),
        ("m.read.private", 3, 0),
    ] {
        read(&mut home, &bob, &room, kind, &all[event], json!({}));
        assert_eq!(counts(&mut home, &bob, &room), (left, 0), "{kind} {event}");
    }
    // To send an event is to have read the others.
    say(&mut home, &alice, &room, "e");
    say(&mut home, &bob, &room, "f");
    assert_eq!(counts(&mut home, &bob, &room), (0, 0));
    // The marker is no receipt.
    let last = say(&mut home, &alice, &room, "g");
    read(&mut home, &bob, &room, "m.fully_read", &last, json!({}));
    assert_eq!(counts(&mut home, &bob, &room), (1, 0));
}

#[test]
fn threads_are_counted_separately() {
    let (mut home, alice, bob, room) = shared_room();
    let root = say(&mut home, &alice, &room, "root");
    let in_thread = |mut content: Value| {
        content["m.relates_to"] = json!({ "rel_type": "m.thread", "event_id": root });
        content
    };
    let message = || json!({ "msgtype": "m.text", "body": "x" });
    let answer = send(&mut home, &alice, &room, in_thread(message()));
    send(&mut home, &alice, &room, in_thread(mention(&bob)));
    let last = say(&mut home, &alice, &room, "last");
    assert_eq!(
        counts(&mut home, &bob, &room),
        (4, 1),
        "all of them without the filter"
    );
    let of_bob = |home: &mut TestServer| by_thread(home, &bob, &room, &root);
    assert_eq!(of_bob(&mut home), ((2, 0), Some((2, 1))));
    read(
        &mut home,
        &bob,
        &room,
        "m.read",
        &last,
        json!({ "thread_id": "main" }),
    );
    assert_eq!(of_bob(&mut home), ((0, 0), Some((2, 1))));
    read(
        &mut home,
        &bob,
        &room,
        "m.read",
        &answer,
        json!({ "thread_id": root }),
    );
    assert_eq!(of_bob(&mut home), ((0, 0), Some((1, 1))));
    read(&mut home, &bob, &room, "m.read", &last, json!({}));
    assert_eq!(of_bob(&mut home), ((0, 0), None));
    // What one sends in a thread reads that thread alone.
    say(&mut home, &alice, &room, "main");
    send(&mut home, &alice, &room, in_thread(message()));
    send(&mut home, &bob, &room, in_thread(message()));
    assert_eq!(of_bob(&mut home), ((1, 0), None));
}

#[test]
fn ignored_and_left_rooms_count_nothing() {
    let (mut home, alice, bob, room) = shared_room();
    say(&mut home, &alice, &room, "1");
    let path = own(&bob, "account_data/m.ignored_user_list");
    let list = json!({ "ignored_users": { alice.user_id.clone(): {} } });
    put(&mut home, &bob, &path, list).ok();
    assert_eq!(counts(&mut home, &bob, &room), (0, 0));
    put(&mut home, &bob, &path, json!({})).ok();
    assert_eq!(counts(&mut home, &bob, &room), (1, 0));
    home.post_as(&bob.token, &in_room(&room, "leave"), json!({}))
        .ok();
    say(&mut home, &alice, &room, "2");
    super::join(&mut home, &bob, &room);
    assert_eq!(counts(&mut home, &bob, &room), (0, 0));
}

#[test]
fn new_members_count_from_their_join() {
    let (mut home, alice, _, room) = shared_room();
    say(&mut home, &alice, &room, "1");
    let carol = home.sign_up("carol");
    super::join(&mut home, &carol, &room);
    assert_eq!(counts(&mut home, &carol, &room), (0, 0));
    say(&mut home, &alice, &room, "2");
    assert_eq!(counts(&mut home, &carol, &room), (1, 0));
}

#[test]
fn redacted_events_do_not_count() {
    let (mut home, alice, bob, room) = shared_room();
    let event = send(&mut home, &alice, &room, mention(&bob));
    say(&mut home, &alice, &room, "2");
    assert_eq!(counts(&mut home, &bob, &room), (2, 1));
    let path = in_room(&room, &format!("redact/{event}/1"));
    put(&mut home, &alice, &path, json!({})).ok();
    assert_eq!(counts(&mut home, &bob, &room), (1, 0));
}

#[test]
fn counts_change_without_receipts() {
    let (mut home, alice, bob, room) = shared_room();
    let event = say(&mut home, &alice, &room, "1");
    let filter = r#"{"room":{"ephemeral":{"types":[]}}}"#;
    let before = sync(&mut home, &bob, &format!("?filter={filter}"));
    // On another device.
    read(&mut home, &bob, &room, "m.read", &event, json!({}));
    let at = crate::text(&before, "next_batch");
    let news = sync(&mut home, &bob, &format!("?since={at}&filter={filter}"));
    let mine = &news["rooms"]["join"][&room];
    assert_eq!(pair(&mine["unread_notifications"]), (0, 0));
    assert_eq!(mine.get("ephemeral"), None);
}
