//! Redactions, by both endpoints.

use serde_json::json;

use super::{create, enter, look, public, put, say};
use crate::{TestServer, text};

#[test]
fn redaction_leaves_what_the_room_version_keeps() {
    for version in ["1", "3", "6", "10", "11", "12"] {
        let mut home = TestServer::open();
        let alice = home.sign_up("alice");
        let room = create(&mut home, &alice, json!({ "room_version": version }));
        for (endpoint, txn) in [("redact", "a"), ("send", "b")] {
            let event = say(&mut home, &alice, &room, &format!("said-{txn}"), "a secret");
            // Ids of version 3 are Base64.
            let in_path = |id: &str| id.replace('/', "%2F");
            let done = match endpoint {
                "redact" => {
                    let rest = format!("redact/{}/{txn}", in_path(&event));
                    put(&mut home, &alice, &room, &rest, json!({ "reason": "oops" }))
                }
                _ => {
                    let content = json!({ "redacts": event, "reason": "oops" });
                    put(&mut home, &alice, &room, "send/m.room.redaction/b", content)
                }
            };
            let redaction = text(&done.ok(), "event_id");
            let found = look(
                &mut home,
                &alice,
                &room,
                &format!("event/{}", in_path(&event)),
            )
            .ok();
            assert_eq!(found["content"], json!({}), "{version} {endpoint}");
            let because = &found["unsigned"]["redacted_because"];
            assert_eq!(because["event_id"], redaction);
            assert_eq!(because["content"]["reason"], "oops");
            // Both places, in all versions.
            let shown = look(
                &mut home,
                &alice,
                &room,
                &format!("event/{}", in_path(&redaction)),
            )
            .ok();
            assert_eq!(shown["redacts"], event, "{version}");
            assert_eq!(shown["content"]["redacts"], event, "{version}");
        }
    }
}

#[test]
fn transaction_redacts_once() {
    let (mut home, alice, _, room) = public();
    let event = say(&mut home, &alice, &room, "1", "x");
    let rest = format!("redact/{event}/t");
    let first = put(&mut home, &alice, &room, &rest, json!({})).ok();
    assert_eq!(put(&mut home, &alice, &room, &rest, json!({})).ok(), first);
}

#[test]
fn only_moderators_redact_others() {
    let (mut home, alice, bob, room) = public();
    enter(&mut home, &bob, &room, "join").ok();
    let hers = say(&mut home, &alice, &room, "1", "hers");
    let his = say(&mut home, &bob, &room, "1", "his");
    let mut redact = |me, event: &str, txn: &str| {
        let rest = format!("redact/{event}/{txn}");
        put(&mut home, me, &room, &rest, json!({}))
    };
    redact(&bob, &hers, "1").err(403, "M_FORBIDDEN");
    redact(&bob, &his, "2").ok();
    redact(&alice, &his, "3").ok();
    redact(&alice, "$none", "4").err(404, "M_NOT_FOUND");
    let content = json!({ "reason": "no event is named" });
    put(&mut home, &alice, &room, "send/m.room.redaction/5", content).err(400, "M_MISSING_PARAM");
}

#[test]
fn redacted_state_keeps_its_meaning() {
    let (mut home, alice, bob, room) = public();
    enter(&mut home, &bob, &room, "join").ok();
    let rest = format!("state/m.room.member/{}?format=event", bob.user_id);
    let member = look(&mut home, &alice, &room, &rest).ok();
    let redact = format!("redact/{}/1", text(&member, "event_id"));
    put(&mut home, &alice, &room, &redact, json!({})).ok();
    let member = look(&mut home, &alice, &room, &rest).ok();
    assert_eq!(member["content"], json!({ "membership": "join" }));
    say(&mut home, &bob, &room, "1", "still here");
}
