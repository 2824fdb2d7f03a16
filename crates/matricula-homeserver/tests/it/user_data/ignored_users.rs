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
fn blocked_invitations_are_refused() {
    let (mut home, alice, bob, _) = shared_room();
    let create = "/_matrix/client/v3/createRoom";
    let invite = json!({ "invite": [alice.user_id] });
    let earlier = text(
        &home.post_as(&bob.token, create, invite.clone()).ok(),
        "room_id",
    );
    let made = home.post_as(&bob.token, create, json!({}));
    let room = text(&made.ok(), "room_id");
    let config = own(&alice, "account_data/m.invite_permission_config");
    put(
        &mut home,
        &alice,
        &config,
        json!({ "default_action": "block" }),
    )
    .ok();
    assert_eq!(sync(&mut home, &alice, "")["rooms"].get("invite"), None);
    home.post_as(&bob.token, create, invite)
        .err(403, "M_INVITE_BLOCKED");
    let body = json!({ "user_id": alice.user_id });
    let path = in_room(&room, "invite");
    home.post_as(&bob.token, &path, body.clone())
        .err(403, "M_INVITE_BLOCKED");
    let state = in_room(&room, &format!("state/m.room.member/{}", alice.user_id));
    let member = json!({ "membership": "invite" });
    put(&mut home, &bob, &state, member).err(403, "M_INVITE_BLOCKED");
    // One who may not invite does not learn it.
    let carol = home.sign_up("carol");
    home.post_as(&carol.token, &path, body.clone())
        .err(403, "M_FORBIDDEN");
    for config_of_alice in [json!({}), json!({ "default_action": "allow" })] {
        put(&mut home, &alice, &config, config_of_alice).ok();
        let invited = sync(&mut home, &alice, "")["rooms"]["invite"].clone();
        assert!(invited[&earlier].is_object(), "{invited}");
    }
    home.post_as(&bob.token, &path, body).ok();
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
