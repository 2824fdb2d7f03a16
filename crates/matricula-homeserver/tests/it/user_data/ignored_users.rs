//! Ignored users.

use serde_json::{Value, json};

use super::{events, in_room, own, put, say, shared_room, since, sync};
use crate::{TestServer, TestUser, text};

fn ignore(home: &mut TestServer, me: &TestUser, content: Value) {
    let path = own(me, "account_data/m.ignored_user_list");
    put(home, me, &path, content).ok();
}

fn kinds(synced: &Value, room: &str, section: &str) -> Vec<String> {
    let events = events(synced, &format!("/rooms/join/{room}/{section}"));
    events.iter().map(|event| text(event, "type")).collect()
}

#[test]
fn only_state_of_ignored_users_is_sent() {
    let (mut home, alice, bob, room) = shared_room();
    sync(&mut home, &bob, "");
    let first = sync(&mut home, &alice, "");
    let list = json!({ "ignored_users": { bob.user_id.clone(): {} } });
    ignore(&mut home, &alice, list);
    let event = say(&mut home, &bob, &room, "hello");
    let path = in_room(&room, &format!("receipt/m.read/{event}"));
    home.post_as(&bob.token, &path, json!({})).ok();
    let path = in_room(&room, &format!("typing/{}", bob.user_id));
    put(&mut home, &bob, &path, json!({ "typing": true })).ok();
    let path = format!("/_matrix/client/v3/presence/{}/status", bob.user_id);
    put(&mut home, &bob, &path, json!({ "presence": "unavailable" })).ok();
    let path = in_room(&room, "leave");
    home.post_as(&bob.token, &path, json!({})).ok();
    let news = since(&mut home, &alice, &first);
    assert_eq!(kinds(&news, &room, "timeline"), ["m.room.member"]);
    let typing = json!({ "type": "m.typing", "content": { "user_ids": [] } });
    let ephemeral = events(&news, &format!("/rooms/join/{room}/ephemeral"));
    assert_eq!(ephemeral, [typing]);
    assert_eq!(news.get("presence"), None);

    super::join(&mut home, &bob, &room);
    ignore(&mut home, &alice, json!({ "ignored_users": {} }));
    say(&mut home, &bob, &room, "again");
    let later = since(&mut home, &alice, &news);
    let expected = ["m.room.member", "m.room.message"];
    assert_eq!(kinds(&later, &room, "timeline"), expected);
}

#[test]
fn invitations_of_ignored_users_are_dropped() {
    let (mut home, alice, bob, _) = shared_room();
    let first = sync(&mut home, &alice, "");
    ignore(
        &mut home,
        &alice,
        json!({ "ignored_users": { bob.user_id.clone(): {} } }),
    );
    let body = json!({ "invite": [alice.user_id] });
    let made = home.post_as(&bob.token, "/_matrix/client/v3/createRoom", body);
    let other = text(&made.ok(), "room_id");
    let news = since(&mut home, &alice, &first);
    assert_eq!(news.get("rooms"), None, "{news}");
    assert_eq!(sync(&mut home, &alice, "")["rooms"].get("invite"), None);
    ignore(&mut home, &alice, json!({}));
    let synced = sync(&mut home, &alice, "");
    assert!(synced["rooms"]["invite"][&other].is_object());
}

#[test]
fn odd_list_ignores_no_one() {
    let (mut home, alice, bob, room) = shared_room();
    for list in [
        json!({ "ignored_users": [bob.user_id] }),
        json!({ "ignored_users": bob.user_id }),
        json!({ "ignored_users": null }),
        json!({ bob.user_id.clone(): {} }),
    ] {
        let before = sync(&mut home, &alice, "");
        ignore(&mut home, &alice, list);
        say(&mut home, &bob, &room, "hello");
        let news = since(&mut home, &alice, &before);
        assert_eq!(kinds(&news, &room, "timeline"), ["m.room.message"]);
    }
}
