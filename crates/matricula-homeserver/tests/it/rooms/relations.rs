//! Edits, references, threads and reactions.

use serde_json::{Value, json};

use super::{enter, look, public, put, say};
use crate::{TestServer, TestUser, text};

fn relate(
    home: &mut TestServer,
    me: &TestUser,
    room: &str,
    (txn, rel_type, to): (&str, &str, &str),
    mut content: Value,
) -> String {
    content["m.relates_to"] = json!({ "rel_type": rel_type, "event_id": to });
    if rel_type == "m.annotation" {
        content["m.relates_to"]["key"] = json!("👍");
    }
    let kind = match rel_type {
        "m.annotation" => "m.reaction",
        _ => "m.room.message",
    };
    let rest = format!("send/{kind}/{txn}");
    text(&put(home, me, room, &rest, content).ok(), "event_id")
}

#[test]
fn relations_are_aggregated() {
    let (mut home, alice, bob, room) = public();
    enter(&mut home, &bob, &room, "join").ok();
    let root = say(&mut home, &alice, &room, "1", "first");
    let edited = json!({ "body": "* better", "m.new_content": { "body": "better" } });
    relate(
        &mut home,
        &bob,
        &room,
        ("e0", "m.replace", &root),
        edited.clone(),
    );
    let edit = relate(&mut home, &alice, &room, ("e1", "m.replace", &root), edited);
    let reference = relate(
        &mut home,
        &bob,
        &room,
        ("r1", "m.reference", &root),
        json!({}),
    );
    relate(
        &mut home,
        &bob,
        &room,
        ("t1", "m.thread", &root),
        json!({ "body": "one" }),
    );
    let last = relate(
        &mut home,
        &bob,
        &room,
        ("t2", "m.thread", &root),
        json!({ "body": "two" }),
    );
    relate(
        &mut home,
        &bob,
        &room,
        ("a1", "m.annotation", &root),
        json!({}),
    );

    let found = look(&mut home, &alice, &room, &format!("event/{root}")).ok();
    let relations = &found["unsigned"]["m.relations"];
    assert_eq!(
        relations["m.replace"]["event_id"], edit,
        "bob cannot edit her event"
    );
    assert_eq!(
        relations["m.reference"],
        json!({ "chunk": [{ "event_id": reference }] })
    );
    let thread = &relations["m.thread"];
    assert_eq!(thread["count"], 2);
    assert_eq!(thread["latest_event"]["event_id"], last);
    assert_eq!(thread["current_user_participated"], true);
    assert_eq!(relations.get("m.annotation"), None);

    let all = format!("/_matrix/client/v1/rooms/{room}/relations/{root}");
    let mut count = |rest: &str| {
        let page = home.get_as(&alice.token, &format!("{all}{rest}")).ok();
        page["chunk"].as_array().unwrap().len()
    };
    assert_eq!(count(""), 6);
    assert_eq!(count("/m.thread"), 2);
    assert_eq!(count("/m.annotation/m.reaction"), 1);
    assert_eq!(count("/m.annotation/m.room.message"), 0);
    assert_eq!(count("?limit=4"), 4);

    let threads = format!("/_matrix/client/v1/rooms/{room}/threads");
    let listed = home.get_as(&alice.token, &threads).ok();
    assert_eq!(listed["chunk"][0]["event_id"], root);

    // A redacted event has no aggregations.
    let rest = format!("redact/{root}/x");
    put(&mut home, &alice, &room, &rest, json!({})).ok();
    let found = look(&mut home, &alice, &room, &format!("event/{root}")).ok();
    assert_eq!(found["unsigned"].get("m.relations"), None);
}

#[test]
fn related_events_come_in_pages() {
    let (mut home, alice, _, room) = public();
    let root = say(&mut home, &alice, &room, "1", "root");
    let ids: Vec<_> = (0..7)
        .map(|number| {
            let (txn, body) = (format!("t{number}"), json!({ "body": "x" }));
            relate(&mut home, &alice, &room, (&txn, "m.thread", &root), body)
        })
        .collect();
    for (dir, expected) in [("f", ids.clone()), ("b", ids.into_iter().rev().collect())] {
        let (mut read, mut from) = (Vec::new(), String::new());
        loop {
            let path =
                format!("/_matrix/client/v1/rooms/{room}/relations/{root}?dir={dir}&limit=3{from}");
            let page = home.get_as(&alice.token, &path).ok();
            let chunk = page["chunk"].as_array().unwrap();
            read.extend(chunk.iter().map(|event| text(event, "event_id")));
            let Some(next) = page["next_batch"].as_str() else {
                break;
            };
            from = format!("&from={next}");
        }
        assert_eq!(read, expected, "{dir}");
    }
}

#[test]
fn recursion_finds_relations_of_relations() {
    let (mut home, alice, _, room) = public();
    let root = say(&mut home, &alice, &room, "1", "root");
    let reply = relate(
        &mut home,
        &alice,
        &room,
        ("t", "m.thread", &root),
        json!({ "body": "x" }),
    );
    relate(
        &mut home,
        &alice,
        &room,
        ("a", "m.annotation", &reply),
        json!({}),
    );
    let path = format!("/_matrix/client/v1/rooms/{room}/relations/{root}");
    let direct = home.get_as(&alice.token, &path).ok();
    assert_eq!(direct["chunk"].as_array().unwrap().len(), 1);
    let deep = home
        .get_as(&alice.token, &format!("{path}?recurse=true"))
        .ok();
    assert_eq!(deep["chunk"].as_array().unwrap().len(), 2);
    assert!(deep["recursion_depth"].is_u64());
}

#[test]
fn odd_relations_are_rejected() {
    let (mut home, alice, _, room) = public();
    let root = say(&mut home, &alice, &room, "1", "root");
    let reply = relate(
        &mut home,
        &alice,
        &room,
        ("t", "m.thread", &root),
        json!({ "body": "x" }),
    );
    relate(
        &mut home,
        &alice,
        &room,
        ("a", "m.annotation", &root),
        json!({}),
    );
    let key =
        json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": root, "key": "👍" } });
    put(&mut home, &alice, &room, "send/m.reaction/b", key).err(400, "M_DUPLICATE_ANNOTATION");
    let nested =
        json!({ "body": "y", "m.relates_to": { "rel_type": "m.thread", "event_id": reply } });
    put(&mut home, &alice, &room, "send/m.room.message/c", nested).err(400, "M_UNKNOWN");
}

#[test]
fn a_limited_timeline_has_aggregations() {
    let (mut home, alice, _, room) = public();
    let root = say(&mut home, &alice, &room, "1", "root");
    let edit = json!({ "body": "* b", "m.new_content": { "body": "b" } });
    relate(&mut home, &alice, &room, ("e", "m.replace", &root), edit);
    let filter = r#"?filter={"room":{"timeline":{"limit":2}}}"#;
    let news = super::sync(&mut home, &alice, filter);
    let timeline = &news["rooms"]["join"][&room]["timeline"];
    assert_eq!(timeline["limited"], true);
    assert!(timeline["events"][0]["unsigned"]["m.relations"]["m.replace"].is_object());
}
