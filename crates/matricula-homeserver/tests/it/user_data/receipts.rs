//! Receipts and read markers.

use serde_json::{Value, json};

use super::{in_room, of_room, own, say, send, shared_room, since, sync};
use crate::{Reply, TestServer, TestUser};

fn post(
    home: &mut TestServer,
    me: &TestUser,
    room: &str,
    kind: &str,
    event: &str,
    body: Value,
) -> Reply {
    let path = in_room(room, &format!("receipt/{kind}/{event}"));
    home.post_as(&me.token, &path, body)
}

fn receipts(synced: &Value, room: &str) -> Vec<Value> {
    of_room(synced, room, "ephemeral", "m.receipt")
}

/// A message in the thread about an event.
fn reply(home: &mut TestServer, me: &TestUser, room: &str, root: &str) -> String {
    relate(home, me, room, "m.thread", root)
}

fn relate(home: &mut TestServer, me: &TestUser, room: &str, kind: &str, to: &str) -> String {
    let relation = json!({ "rel_type": kind, "event_id": to });
    let content = json!({ "msgtype": "m.text", "body": "x", "m.relates_to": relation });
    send(home, me, room, content)
}

#[test]
fn receipts_reach_the_room() {
    let (mut home, alice, bob, room) = shared_room();
    let (one, two) = (
        say(&mut home, &alice, &room, "1"),
        say(&mut home, &alice, &room, "2"),
    );
    let first = sync(&mut home, &alice, "");
    assert_eq!(receipts(&first, &room), [] as [Value; 0]);
    post(&mut home, &bob, &room, "m.read", &one, json!({})).ok();
    let news = since(&mut home, &alice, &first);
    let ts = 1_700_000_000_000_u64;
    let read = |event: &str, who: &TestUser| json!({ event: { "m.read": { who.user_id.clone(): { "ts": ts } } } });
    assert_eq!(receipts(&news, &room), [read(&one, &bob)]);
    assert_eq!(
        receipts(&sync(&mut home, &bob, ""), &room),
        [read(&one, &bob)]
    );
    post(&mut home, &bob, &room, "m.read", &two, json!({})).ok();
    let later = since(&mut home, &alice, &news);
    assert_eq!(receipts(&later, &room), [read(&two, &bob)]);
    assert_eq!(
        receipts(&sync(&mut home, &alice, ""), &room),
        [read(&two, &bob)]
    );
    // The same one again is no change, and neither is an older one.
    for event in [&two, &one] {
        post(&mut home, &bob, &room, "m.read", event, json!({})).ok();
        let same = since(&mut home, &alice, &later);
        assert_eq!(same, crate::empty_sync(&crate::text(&later, "next_batch")));
    }
    // A new member gets those of before.
    let carol = home.sign_up("carol");
    let before = sync(&mut home, &carol, "");
    super::join(&mut home, &carol, &room);
    let joined = since(&mut home, &carol, &before);
    assert_eq!(receipts(&joined, &room), [read(&two, &bob)]);
}

#[test]
fn private_receipts_stay_private() {
    let (mut home, alice, bob, room) = shared_room();
    let event = say(&mut home, &alice, &room, "1");
    let his = sync(&mut home, &bob, "");
    let hers = sync(&mut home, &alice, "");
    post(&mut home, &bob, &room, "m.read.private", &event, json!({})).ok();
    let expected = json!({ event.clone(): { "m.read.private": {
        bob.user_id.clone(): { "ts": 1_700_000_000_000_u64 } } } });
    for synced in [since(&mut home, &bob, &his), sync(&mut home, &bob, "")] {
        assert_eq!(receipts(&synced, &room), std::slice::from_ref(&expected));
    }
    let news = since(&mut home, &alice, &hers);
    assert_eq!(news, crate::empty_sync(&crate::text(&hers, "next_batch")));
    assert_eq!(
        receipts(&sync(&mut home, &alice, ""), &room),
        [] as [Value; 0]
    );
    // The public one may be behind it.
    post(&mut home, &bob, &room, "m.read", &event, json!({})).ok();
    assert_eq!(receipts(&since(&mut home, &alice, &hers), &room).len(), 1);
}

#[test]
fn receipts_of_threads_are_separate() {
    let (mut home, alice, bob, room) = shared_room();
    let root = say(&mut home, &alice, &room, "root");
    let answer = reply(&mut home, &alice, &room, &root);
    let last = say(&mut home, &alice, &room, "last");
    let before = sync(&mut home, &alice, "");
    let main = json!({ "thread_id": "main" });
    let thread = json!({ "thread_id": root });
    post(&mut home, &bob, &room, "m.read", &last, main.clone()).ok();
    post(&mut home, &bob, &room, "m.read", &last, json!({})).ok();
    post(&mut home, &bob, &room, "m.read", &answer, thread.clone()).ok();
    let mut found = receipts(&since(&mut home, &alice, &before), &room);
    found.sort_by_key(Value::to_string);
    let receipt = |event: &str, thread: Option<&str>| {
        let mut receipt = json!({ "ts": 1_700_000_000_000_u64 });
        if let Some(thread) = thread {
            receipt["thread_id"] = thread.into();
        }
        json!({ event: { "m.read": { bob.user_id.clone(): receipt } } })
    };
    let mut expected = [
        receipt(&last, None),
        receipt(&last, Some("main")),
        receipt(&answer, Some(&root)),
    ];
    expected.sort_by_key(Value::to_string);
    assert_eq!(found, expected);
}

#[test]
fn thread_of_a_receipt_must_fit() {
    let (mut home, alice, bob, room) = shared_room();
    let root = say(&mut home, &alice, &room, "root");
    let other = say(&mut home, &alice, &room, "other");
    let answer = reply(&mut home, &alice, &room, &root);
    let edit = relate(&mut home, &alice, &room, "m.replace", &answer);
    let second = relate(&mut home, &alice, &room, "m.reference", &edit);
    let third = relate(&mut home, &alice, &room, "m.reference", &second);
    let of_root = relate(&mut home, &alice, &room, "m.replace", &root);
    let odd = json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": 7 } });
    let odd = send(&mut home, &alice, &room, odd);
    for (event, thread, fits) in [
        (&root, "main", true),
        (&root, root.as_str(), true),
        (&other, "main", true),
        (&other, &root, false),
        (&answer, &root, true),
        (&answer, "main", false),
        (&answer, &answer, false),
        (&answer, &other, false),
        (&edit, &root, true),
        (&edit, "main", false),
        (&second, &root, true),
        // More than three hops away.
        (&third, &root, false),
        (&third, "main", true),
        (&of_root, "main", true),
        (&of_root, &root, false),
        (&odd, "main", true),
        (&other, "$unknown", false),
        (&other, "", false),
    ] {
        let body = json!({ "thread_id": thread });
        let reply = post(&mut home, &bob, &room, "m.read.private", event, body);
        match fits {
            true => drop(reply.ok()),
            false => drop(reply.err(400, "M_INVALID_PARAM")),
        }
    }
    for thread in [json!(7), json!(null), json!(["main"]), json!({})] {
        let body = json!({ "thread_id": thread });
        post(&mut home, &bob, &room, "m.read", &other, body).err(400, "M_INVALID_PARAM");
    }
    let main = json!({ "thread_id": "main" });
    post(&mut home, &bob, &room, "m.fully_read", &other, main).err(400, "M_INVALID_PARAM");
}

#[test]
fn odd_receipts_are_refused() {
    let (mut home, alice, bob, room) = shared_room();
    let event = say(&mut home, &alice, &room, "1");
    let made = home.post_as(&bob.token, "/_matrix/client/v3/createRoom", json!({}));
    let other = crate::text(&made.ok(), "room_id");
    let elsewhere = say(&mut home, &bob, &other, "2");
    for (room, kind, event, status, code) in [
        (&room, "m.seen", &event, 400, "M_INVALID_PARAM"),
        (&room, "m.read", &elsewhere, 404, "M_NOT_FOUND"),
        (&room, "m.fully_read", &elsewhere, 404, "M_NOT_FOUND"),
        (&other, "m.read", &elsewhere, 403, "M_FORBIDDEN"),
    ] {
        post(&mut home, &alice, room, kind, event, json!({})).err(status, code);
    }
    let path = in_room(&room, &format!("receipt/m.read/{event}"));
    home.post(&path, json!({ "thread_id": 7 }))
        .err(401, "M_MISSING_TOKEN");
    home.post_as(&alice.token, &path, json!([]))
        .err(400, "M_BAD_JSON");
    let markers = in_room(&room, "read_markers");
    for (body, status, code) in [
        (json!({ "m.read": 7 }), 400, "M_BAD_JSON"),
        (json!({ "m.read": elsewhere }), 404, "M_NOT_FOUND"),
        (json!({ "m.fully_read": "x" }), 404, "M_NOT_FOUND"),
        (
            json!({ "m.fully_read": event, "m.read.private": elsewhere }),
            404,
            "M_NOT_FOUND",
        ),
    ] {
        home.post_as(&alice.token, &markers, body).err(status, code);
    }
    let data = own(&alice, &format!("rooms/{room}/account_data/m.fully_read"));
    home.get_as(&alice.token, &data).err(404, "M_NOT_FOUND");
    home.post_as(&alice.token, &markers, json!({})).ok();
}

#[test]
fn read_markers_set_all_three() {
    let (mut home, alice, bob, room) = shared_room();
    let (one, two) = (
        say(&mut home, &alice, &room, "1"),
        say(&mut home, &alice, &room, "2"),
    );
    let before = sync(&mut home, &bob, "");
    let markers = in_room(&room, "read_markers");
    let body = json!({ "m.fully_read": one, "m.read": one, "m.read.private": two });
    home.post_as(&bob.token, &markers, body).ok();
    let news = since(&mut home, &bob, &before);
    let marked = of_room(&news, &room, "account_data", "m.fully_read");
    assert_eq!(marked, [json!({ "event_id": one })]);
    let receipt = json!({ bob.user_id.clone(): { "ts": 1_700_000_000_000_u64 } });
    assert_eq!(
        receipts(&news, &room),
        [json!({ one.clone(): { "m.read": receipt }, two.clone(): { "m.read.private": receipt } })]
    );
    let data = own(&bob, &format!("rooms/{room}/account_data/m.fully_read"));
    assert_eq!(
        home.get_as(&bob.token, &data).ok(),
        json!({ "event_id": one })
    );
    // By the other endpoint, too; and it does not go back.
    post(&mut home, &bob, &room, "m.fully_read", &two, json!({})).ok();
    home.post_as(&bob.token, &markers, json!({ "m.fully_read": one }))
        .ok();
    assert_eq!(
        home.get_as(&bob.token, &data).ok(),
        json!({ "event_id": two })
    );
    let later = since(&mut home, &bob, &news);
    assert_eq!(
        receipts(&later, &room),
        [] as [Value; 0],
        "a marker is no receipt"
    );
}
