//! Presence.

use std::time::Duration;

use serde_json::{Value, json};

use super::{events, put, say, shared_room, since, sync};
use crate::{Reply, TestServer, TestUser};

fn path(of: &TestUser) -> String {
    format!("/_matrix/client/v3/presence/{}/status", of.user_id)
}

fn set(home: &mut TestServer, me: &TestUser, body: Value) -> Reply {
    put(home, me, &path(me), body)
}

fn get(home: &mut TestServer, me: &TestUser, of: &TestUser) -> Value {
    home.get_as(&me.token, &path(of)).ok()
}

/// The presence of a user in a sync.
fn shown(synced: &Value, of: &TestUser) -> Option<Value> {
    let mut events = events(synced, "/presence").into_iter();
    let found = events.find(|event| event["sender"] == of.user_id.as_str());
    found.map(|event| event["content"].clone())
}

#[test]
fn presence_is_set_and_seen() {
    let (mut home, alice, bob, _) = shared_room();
    let first = sync(&mut home, &alice, "");
    assert_eq!(
        get(&mut home, &alice, &bob),
        json!({ "presence": "offline" })
    );
    set(
        &mut home,
        &bob,
        json!({ "presence": "online", "status_msg": "tea" }),
    )
    .ok();
    home.wait(Duration::from_secs(10));
    let expected = json!({ "presence": "online", "status_msg": "tea", "last_active_ago": 10_000,
        "currently_active": true });
    assert_eq!(get(&mut home, &alice, &bob), expected);
    let news = since(&mut home, &alice, &first);
    assert_eq!(shown(&news, &bob), Some(expected.clone()));
    assert_eq!(shown(&sync(&mut home, &alice, ""), &bob), Some(expected));
    assert_eq!(get(&mut home, &bob, &bob)["status_msg"], "tea");
    set(&mut home, &bob, json!({ "presence": "unavailable" })).ok();
    let later = since(&mut home, &alice, &news);
    let gone = json!({ "presence": "unavailable", "last_active_ago": 0 });
    assert_eq!(shown(&later, &bob), Some(gone));
    // The same again is no change.
    set(&mut home, &bob, json!({ "presence": "unavailable" })).ok();
    let same = since(&mut home, &alice, &later);
    assert_eq!(same, crate::empty_sync(&crate::text(&later, "next_batch")));
}

#[test]
fn presence_is_for_those_who_share_a_room() {
    let (mut home, alice, bob, room) = shared_room();
    let carol = home.sign_up("carol");
    let before = sync(&mut home, &carol, "?set_presence=offline");
    set(&mut home, &bob, json!({ "presence": "online" })).ok();
    home.get_as(&carol.token, &path(&bob))
        .err(403, "M_FORBIDDEN");
    let nothing = since(&mut home, &carol, &before);
    assert_eq!(shown(&nothing, &bob), None);
    put(
        &mut home,
        &carol,
        &path(&bob),
        json!({ "presence": "online" }),
    )
    .err(403, "M_FORBIDDEN");
    // Who begins to share a room learns what did not change.
    let hers = sync(&mut home, &alice, "");
    super::join(&mut home, &carol, &room);
    let joined = since(&mut home, &carol, &nothing);
    assert_eq!(shown(&joined, &bob).unwrap()["presence"], "online");
    let seen = since(&mut home, &alice, &hers);
    assert_eq!(shown(&seen, &carol).unwrap()["presence"], "online");
    assert_eq!(shown(&seen, &bob), None);
}

#[test]
fn sync_sets_presence() {
    let (mut home, alice, bob, _) = shared_room();
    let mut at = sync(&mut home, &alice, "?set_presence=offline");
    assert_eq!(shown(&at, &alice), None);
    for (query, expected) in [
        ("?set_presence=offline", None),
        ("", Some("online")),
        ("?set_presence=online", None),
        ("?set_presence=unavailable", Some("unavailable")),
        ("?set_presence=offline", None),
        ("?set_presence=online", Some("online")),
    ] {
        sync(&mut home, &bob, query);
        at = since(&mut home, &alice, &at);
        let state = shown(&at, &bob).map(|it| it["presence"].clone());
        assert_eq!(state, expected.map(Into::into), "{query}");
    }
    let path = "/_matrix/client/v3/sync?set_presence=busy";
    home.get_as(&bob.token, path).err(400, "M_INVALID_PARAM");
}

#[test]
fn absent_users_become_offline() {
    let (mut home, alice, bob, _) = shared_room();
    sync(&mut home, &bob, "");
    let mut at = sync(&mut home, &alice, "");
    for _ in 0..5 {
        home.wait(Duration::from_secs(59));
        at = since(&mut home, &alice, &at);
    }
    assert_eq!(get(&mut home, &alice, &bob)["presence"], "offline");
    assert_eq!(get(&mut home, &bob, &alice)["presence"], "online");
    let all = sync(&mut home, &alice, "");
    assert_eq!(shown(&all, &bob), None);
    assert_eq!(shown(&all, &alice).unwrap()["presence"], "online");
}

#[test]
fn idle_users_become_unavailable() {
    let (mut home, alice, bob, room) = shared_room();
    let mut at = sync(&mut home, &alice, "");
    sync(&mut home, &bob, "");
    let mut states = Vec::new();
    for minute in 0..9 {
        home.wait(Duration::from_secs(60));
        sync(&mut home, &bob, "");
        if minute == 6 {
            say(&mut home, &bob, &room, "still there");
        }
        at = since(&mut home, &alice, &at);
        if let Some(content) = shown(&at, &bob) {
            let state = content["presence"].as_str().unwrap().to_owned();
            states.push((minute, state));
        }
    }
    let expected = [(0, "online"), (4, "unavailable"), (6, "online")];
    let expected = expected.map(|(minute, state)| (minute, state.to_owned()));
    assert_eq!(states, expected);
}

#[test]
fn changed_profile_is_a_change_of_presence() {
    let (mut home, alice, bob, _) = shared_room();
    sync(&mut home, &bob, "");
    let first = sync(&mut home, &alice, "");
    let name = format!("/_matrix/client/v3/profile/{}/displayname", bob.user_id);
    put(&mut home, &bob, &name, json!({ "displayname": "Bob" })).ok();
    let news = since(&mut home, &alice, &first);
    assert_eq!(shown(&news, &bob).unwrap()["displayname"], "Bob");
}

#[test]
fn odd_presence_is_refused() {
    let (mut home, alice, bob, _) = shared_room();
    for (body, code) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({ "presence": "busy" }), "M_INVALID_PARAM"),
        (json!({ "presence": 1 }), "M_BAD_JSON"),
        (
            json!({ "presence": "online", "status_msg": [] }),
            "M_BAD_JSON",
        ),
        (
            json!({ "presence": "online", "status_msg": "x".repeat(513) }),
            "M_INVALID_PARAM",
        ),
    ] {
        set(&mut home, &alice, body).err(400, code);
    }
    assert_eq!(
        get(&mut home, &bob, &alice),
        json!({ "presence": "offline" })
    );
    let unknown = "/_matrix/client/v3/presence/@x:private.localhost/status";
    home.get_as(&alice.token, unknown).err(403, "M_FORBIDDEN");
}
