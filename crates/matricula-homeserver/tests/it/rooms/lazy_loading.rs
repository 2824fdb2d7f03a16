//! Lazy loading of members, and the state after the timeline.

use serde_json::{Value, json};

use super::{enter, kinds, look, public, put, said, say, sync};
use crate::{TestServer, TestUser, text};

const LAZY: &str = r#"{"room":{"state":{"lazy_load_members":true},"timeline":{"limit":2}}}"#;

/// The users whose membership events are in the state.
fn members(state: &Value) -> Vec<String> {
    let events = state["events"].as_array().unwrap().iter();
    let events = events.filter(|event| event["type"] == "m.room.member");
    let mut users: Vec<_> = events.map(|event| text(event, "state_key")).collect();
    users.sort();
    users
}

/// A room of alice with ten others.
fn crowd() -> (TestServer, TestUser, Vec<TestUser>, String) {
    let (mut home, alice, bob, room) = public();
    let mut others = vec![bob];
    for number in 0..9 {
        others.push(home.sign_up(&format!("user{number}")));
    }
    for other in &others {
        enter(&mut home, other, &room, "join").ok();
    }
    (home, alice, others, room)
}

#[test]
fn first_sync_has_senders_heroes_and_oneself() {
    let (mut home, alice, others, room) = crowd();
    say(&mut home, &others[8], &room, "1", "one");
    say(&mut home, &others[9], &room, "1", "two");
    let news = sync(&mut home, &alice, &format!("?filter={LAZY}"));
    let joined = &news["rooms"]["join"][&room];
    let heroes = joined["summary"]["m.heroes"].as_array().unwrap();
    assert_eq!(heroes.len(), 5);
    let mut expected: Vec<_> = heroes
        .iter()
        .map(|it| it.as_str().unwrap().to_owned())
        .collect();
    expected.extend([&alice, &others[8], &others[9]].map(|it| it.user_id.clone()));
    expected.sort();
    expected.dedup();
    assert_eq!(members(&joined["state"]), expected);
    assert_eq!(joined["summary"]["m.joined_member_count"], 11);
    let whole = sync(&mut home, &alice, "");
    let timeline = &whole["rooms"]["join"][&room];
    let all = members(&timeline["state"]).len()
        + kinds(&timeline["timeline"]["events"])
            .iter()
            .filter(|it| **it == "m.room.member")
            .count();
    assert_eq!(all, 11);
}

#[test]
fn gap_keeps_its_membership_events() {
    let (mut home, alice, others, room) = crowd();
    let first = sync(&mut home, &alice, &format!("?filter={LAZY}"));
    enter(&mut home, &others[4], &room, "leave").ok();
    for number in 0..5 {
        say(&mut home, &others[7], &room, &number.to_string(), "x");
    }
    let batch = text(&first, "next_batch");
    let news = sync(&mut home, &alice, &format!("?filter={LAZY}&since={batch}"));
    let joined = &news["rooms"]["join"][&room];
    assert_eq!(joined["timeline"]["limited"], true);
    let mut expected = [&others[4], &others[7]].map(|it| it.user_id.clone());
    expected.sort();
    assert_eq!(members(&joined["state"]), expected);
}

#[test]
fn state_after_is_that_of_the_end() {
    let (mut home, alice, _, room) = public();
    let first = sync(&mut home, &alice, "?use_state_after=true");
    let joined = &first["rooms"]["join"][&room];
    assert_eq!(joined.get("state"), None);
    assert!(kinds(&joined["state_after"]["events"]).contains(&"m.room.name"));
    let topic = json!({ "topic": "x" });
    put(&mut home, &alice, &room, "state/m.room.topic/", topic).ok();
    let batch = text(&first, "next_batch");
    let path = format!("?use_state_after=true&since={batch}");
    let news = sync(&mut home, &alice, &path);
    let joined = &news["rooms"]["join"][&room];
    assert_eq!(kinds(&joined["state_after"]["events"]), ["m.room.topic"]);
    assert_eq!(kinds(&joined["timeline"]["events"]), ["m.room.topic"]);
    let news = sync(&mut home, &alice, &format!("?since={batch}"));
    let joined = &news["rooms"]["join"][&room];
    assert_eq!(joined["state"]["events"], json!([]));
}

#[test]
fn messages_bring_their_senders() {
    let (mut home, alice, others, room) = crowd();
    say(&mut home, &others[3], &room, "1", "x");
    let filter = r#"{"lazy_load_members":true}"#;
    let rest = format!("messages?dir=b&limit=1&filter={filter}");
    let page = look(&mut home, &alice, &room, &rest).ok();
    assert_eq!(said(&page["chunk"]), ["x"]);
    assert_eq!(page["state"].as_array().unwrap().len(), 1);
    assert_eq!(page["state"][0]["state_key"], others[3].user_id.as_str());
}
