//! What a user may read of a room's history.

use serde_json::json;

use super::{create, enter, look, put, said, say, since, sync};
use crate::{TestServer, TestUser, text};

/// Bob's part in a room: alice says `before`, invites him, says `invited`, he joins, she says `joined`, he
/// leaves, she says `left`. Returns the server, bob, the room and the ids of the events by what they say.
fn lived(
    visibility: &str,
) -> (
    TestServer,
    TestUser,
    TestUser,
    String,
    Vec<(String, String)>,
) {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let state = json!([{ "type": "m.room.history_visibility", "content": { "history_visibility": visibility } }]);
    let room = create(&mut home, &alice, json!({ "initial_state": state }));
    let mut ids = Vec::new();
    let mut spoken = |home: &mut TestServer, what: &str| {
        let id = say(home, &alice, &room, what, what);
        ids.push((what.to_owned(), id));
    };
    spoken(&mut home, "before");
    let invite = json!({ "user_id": bob.user_id });
    home.post_as(&alice.token, &super::room_path(&room, "invite"), invite)
        .ok();
    spoken(&mut home, "invited");
    enter(&mut home, &bob, &room, "join").ok();
    spoken(&mut home, "joined");
    enter(&mut home, &bob, &room, "leave").ok();
    spoken(&mut home, "left");
    (home, alice, bob, room, ids)
}

const CASES: [(&str, &[&str]); 5] = [
    ("world_readable", &["before", "invited", "joined", "left"]),
    ("shared", &["before", "invited", "joined"]),
    ("invited", &["invited", "joined"]),
    ("joined", &["joined"]),
    ("org.example.unknown", &["before", "invited", "joined"]),
];

#[test]
fn visibility_limits_messages_events_and_context() {
    for (visibility, expected) in CASES {
        let (mut home, _, bob, room, ids) = lived(visibility);
        for dir in ["f", "b"] {
            let rest = format!("messages?dir={dir}&limit=100");
            let page = look(&mut home, &bob, &room, &rest).ok();
            let mut read = said(&page["chunk"]);
            if dir == "b" {
                read.reverse();
            }
            assert_eq!(read, expected, "{visibility} {dir}");
        }
        for (what, id) in &ids {
            let is_visible = expected.contains(&&**what);
            for rest in ["event", "context"] {
                let found = look(&mut home, &bob, &room, &format!("{rest}/{id}"));
                match is_visible {
                    true => assert_eq!(found.0.status, 200, "{visibility} {what} {rest}"),
                    false => drop(found.err(404, "M_NOT_FOUND")),
                }
            }
            let path = format!("/_matrix/client/v1/rooms/{room}/relations/{id}");
            let related = home.get_as(&bob.token, &path);
            match is_visible {
                true => assert_eq!(related.ok()["chunk"], json!([])),
                false => drop(related.err(404, "M_NOT_FOUND")),
            }
        }
    }
}

#[test]
fn former_member_sees_state_as_it_was() {
    let (mut home, alice, bob, room, _) = lived("shared");
    let topic = json!({ "topic": "later" });
    put(&mut home, &alice, &room, "state/m.room.topic/", topic).ok();
    look(&mut home, &bob, &room, "state/m.room.topic/").err(404, "M_NOT_FOUND");
    let state = look(&mut home, &bob, &room, "state").ok();
    assert!(super::kinds(&state).contains(&"m.room.create"));
    assert!(!super::kinds(&state).contains(&"m.room.topic"));
    let members = look(&mut home, &bob, &room, "members").ok();
    assert_eq!(members["chunk"].as_array().unwrap().len(), 2);
    look(&mut home, &bob, &room, "joined_members").err(403, "M_FORBIDDEN");
}

#[test]
fn one_who_never_was_there_reads_nothing() {
    for visibility in ["shared", "invited", "joined"] {
        let (mut home, _, _, room, ids) = lived(visibility);
        let carol = home.sign_up("carol");
        for rest in ["state", "members", "messages?dir=b"] {
            look(&mut home, &carol, &room, rest).err(403, "M_FORBIDDEN");
        }
        let event = format!("event/{}", ids[2].1);
        look(&mut home, &carol, &room, &event).err(404, "M_NOT_FOUND");
    }
    let (mut home, _, _, room, _) = lived("world_readable");
    let carol = home.sign_up("carol");
    for rest in ["state", "members", "messages?dir=b", "state/m.room.create/"] {
        look(&mut home, &carol, &room, rest).ok();
    }
}

#[test]
fn members_are_read_as_they_were() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let room = create(&mut home, &alice, json!({ "preset": "public_chat" }));
    let before = sync(&mut home, &alice, "");
    enter(&mut home, &bob, &room, "join").ok();
    let at = text(&before, "next_batch");
    let then = look(&mut home, &alice, &room, &format!("members?at={at}")).ok();
    assert_eq!(then["chunk"].as_array().unwrap().len(), 1);
    let now = look(&mut home, &alice, &room, "members").ok();
    assert_eq!(now["chunk"].as_array().unwrap().len(), 2);
    look(&mut home, &alice, &room, "members?at=nonsense").err(400, "M_INVALID_PARAM");
}

#[test]
fn sync_hides_what_may_not_be_read() {
    for (visibility, expected) in CASES {
        let mut home = TestServer::open();
        let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
        let content = json!({ "history_visibility": visibility });
        let state = json!([{ "type": "m.room.history_visibility", "content": content }]);
        let room = create(&mut home, &alice, json!({ "initial_state": state }));
        let first = sync(&mut home, &bob, "");
        say(&mut home, &alice, &room, "1", "before");
        let invite = json!({ "user_id": bob.user_id });
        home.post_as(&alice.token, &super::room_path(&room, "invite"), invite)
            .ok();
        say(&mut home, &alice, &room, "2", "invited");
        enter(&mut home, &bob, &room, "join").ok();
        say(&mut home, &alice, &room, "3", "joined");
        let expected: Vec<_> = expected.iter().filter(|it| **it != "left").collect();
        for news in [since(&mut home, &bob, &first), sync(&mut home, &bob, "")] {
            let timeline = &news["rooms"]["join"][&room]["timeline"]["events"];
            let read = said(timeline);
            assert_eq!(read.iter().collect::<Vec<_>>(), expected, "{visibility}");
        }
    }
}
