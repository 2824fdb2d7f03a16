//! Typing notifications.

use std::time::Duration;

use serde_json::{Value, json};

use super::{in_room, of_room, put, say, shared_room, since, sync};
use crate::{Reply, TestServer, TestUser};

fn set(home: &mut TestServer, me: &TestUser, room: &str, body: Value) -> Reply {
    let path = in_room(room, &format!("typing/{}", me.user_id));
    put(home, me, &path, body)
}

/// Who is typing, if that changed.
fn typing(synced: &Value, room: &str) -> Vec<Value> {
    let contents = of_room(synced, room, "ephemeral", "m.typing");
    contents
        .into_iter()
        .map(|it| it["user_ids"].clone())
        .collect()
}

#[test]
fn typing_begins_and_ends() {
    let (mut home, alice, bob, room) = shared_room();
    let first = sync(&mut home, &alice, "");
    assert_eq!(typing(&first, &room), [] as [Value; 0]);
    set(
        &mut home,
        &bob,
        &room,
        json!({ "typing": true, "timeout": 10_000 }),
    )
    .ok();
    let news = since(&mut home, &alice, &first);
    assert_eq!(typing(&news, &room), [json!([bob.user_id])]);
    assert_eq!(
        typing(&sync(&mut home, &alice, ""), &room),
        [json!([bob.user_id])]
    );
    // To go on is no change.
    set(
        &mut home,
        &bob,
        &room,
        json!({ "typing": true, "timeout": 20_000 }),
    )
    .ok();
    let same = since(&mut home, &alice, &news);
    assert_eq!(same, crate::empty_sync(&crate::text(&news, "next_batch")));
    set(&mut home, &alice, &room, json!({ "typing": true })).ok();
    let both = since(&mut home, &alice, &news);
    assert_eq!(typing(&both, &room), [json!([alice.user_id, bob.user_id])]);
    set(&mut home, &bob, &room, json!({ "typing": false })).ok();
    let one = since(&mut home, &alice, &both);
    assert_eq!(typing(&one, &room), [json!([alice.user_id])]);
    set(&mut home, &bob, &room, json!({ "typing": false })).ok();
    let same = since(&mut home, &alice, &one);
    assert_eq!(same, crate::empty_sync(&crate::text(&one, "next_batch")));
}

#[test]
fn typing_expires() {
    let (mut home, alice, bob, room) = shared_room();
    set(
        &mut home,
        &bob,
        &room,
        json!({ "typing": true, "timeout": 10_000 }),
    )
    .ok();
    let mut seen = sync(&mut home, &alice, "");
    home.wait(Duration::from_millis(9_999));
    assert_eq!(
        typing(&since(&mut home, &alice, &seen), &room),
        [] as [Value; 0]
    );
    home.wait(Duration::from_millis(1));
    seen = since(&mut home, &alice, &seen);
    assert_eq!(typing(&seen, &room), [json!([])]);
    let same = since(&mut home, &alice, &seen);
    assert_eq!(same, crate::empty_sync(&crate::text(&seen, "next_batch")));
    // Without a timeout it takes 30 seconds, and never more than two minutes.
    for (body, lasts) in [
        (json!({ "typing": true }), 30),
        (
            json!({ "typing": true, "timeout": 9_007_199_254_740_991_u64 }),
            120,
        ),
    ] {
        set(&mut home, &bob, &room, body).ok();
        seen = since(&mut home, &alice, &seen);
        assert_eq!(typing(&seen, &room), [json!([bob.user_id])]);
        home.wait(Duration::from_secs(lasts) - Duration::from_millis(1));
        assert_eq!(
            typing(&since(&mut home, &alice, &seen), &room),
            [] as [Value; 0]
        );
        home.wait(Duration::from_millis(1));
        seen = since(&mut home, &alice, &seen);
        assert_eq!(typing(&seen, &room), [json!([])]);
    }
    // A timeout of zero is no typing.
    set(
        &mut home,
        &bob,
        &room,
        json!({ "typing": true, "timeout": 0 }),
    )
    .ok();
    assert_eq!(
        typing(&since(&mut home, &alice, &seen), &room),
        [] as [Value; 0]
    );
}

#[test]
fn clock_set_back_ends_typing() {
    let (mut home, alice, bob, room) = shared_room();
    set(&mut home, &bob, &room, json!({ "typing": true })).ok();
    let seen = sync(&mut home, &alice, "");
    home.now = matricula_core::Timestamp::from_millis(1_600_000_000_000);
    assert_eq!(typing(&since(&mut home, &alice, &seen), &room), [json!([])]);
}

#[test]
fn leaving_ends_typing() {
    let (mut home, alice, bob, room) = shared_room();
    set(&mut home, &bob, &room, json!({ "typing": true })).ok();
    let seen = sync(&mut home, &alice, "");
    home.post_as(&bob.token, &in_room(&room, "leave"), json!({}))
        .ok();
    let news = since(&mut home, &alice, &seen);
    assert_eq!(typing(&news, &room), [json!([])]);
    say(&mut home, &alice, &room, "he left");
}

#[test]
fn odd_typing_requests_are_refused() {
    let (mut home, alice, bob, room) = shared_room();
    for (body, code) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({ "typing": "true" }), "M_BAD_JSON"),
        (json!({ "typing": true, "timeout": -1 }), "M_BAD_JSON"),
        (json!({ "typing": true, "timeout": "10" }), "M_BAD_JSON"),
        (json!([]), "M_BAD_JSON"),
    ] {
        set(&mut home, &alice, &room, body).err(400, code);
    }
    let path = in_room(&room, &format!("typing/{}", bob.user_id));
    put(&mut home, &alice, &path, json!({ "typing": true })).err(403, "M_FORBIDDEN");
    let carol = home.sign_up("carol");
    for room in [room.as_str(), "!other:private.localhost"] {
        set(&mut home, &carol, room, json!({ "typing": true })).err(403, "M_FORBIDDEN");
    }
}
