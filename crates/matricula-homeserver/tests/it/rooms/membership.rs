//! Kick, ban, knock, forget, restricted rooms, and bodies that clients leave out.

use matricula_core::Method;
use serde_json::{Value, json};

use super::{create, enter, look, public, put, room_path, since, sync};
use crate::{Reply, TestServer, TestUser, get};

fn act(home: &mut TestServer, me: &TestUser, room: &str, how: &str, target: &TestUser) -> Reply {
    let body = json!({ "user_id": target.user_id, "reason": "because" });
    home.post_as(&me.token, &room_path(room, how), body)
}

fn member(home: &mut TestServer, me: &TestUser, room: &str, of: &TestUser) -> Value {
    let rest = format!("state/m.room.member/{}", of.user_id);
    look(home, me, room, &rest).ok()
}

#[test]
fn moderators_kick_ban_and_unban() {
    let (mut home, alice, bob, room) = public();
    act(&mut home, &alice, &room, "kick", &bob).err(403, "M_BAD_STATE");
    enter(&mut home, &bob, &room, "join").ok();
    act(&mut home, &bob, &room, "kick", &alice).err(403, "M_FORBIDDEN");
    act(&mut home, &bob, &room, "ban", &alice).err(403, "M_FORBIDDEN");
    act(&mut home, &alice, &room, "unban", &bob).err(403, "M_BAD_STATE");

    let before = sync(&mut home, &bob, "");
    act(&mut home, &alice, &room, "kick", &bob).ok();
    let is = member(&mut home, &alice, &room, &bob);
    assert_eq!(is, json!({ "membership": "leave", "reason": "because" }));
    let news = since(&mut home, &bob, &before);
    let left = &news["rooms"]["leave"][&room]["timeline"]["events"];
    assert_eq!(left[0]["sender"], alice.user_id.as_str());

    act(&mut home, &alice, &room, "ban", &bob).ok();
    enter(&mut home, &bob, &room, "join").err(403, "M_FORBIDDEN");
    act(&mut home, &alice, &room, "invite", &bob).err(403, "M_FORBIDDEN");
    act(&mut home, &alice, &room, "kick", &bob).err(403, "M_BAD_STATE");
    act(&mut home, &alice, &room, "unban", &bob).ok();
    enter(&mut home, &bob, &room, "join").ok();
}

#[test]
fn knocking_needs_an_answer() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let rule = json!([{ "type": "m.room.join_rules", "content": { "join_rule": "knock" } }]);
    let room = create(&mut home, &alice, json!({ "initial_state": rule }));
    let first = sync(&mut home, &bob, "");
    let path = format!("/_matrix/client/v3/knock/{room}");
    let body = json!({ "reason": "let me in" });
    let knocked = home.post_as(&bob.token, &path, body.clone()).ok();
    assert_eq!(knocked, json!({ "room_id": room }));
    enter(&mut home, &bob, &room, "join").err(403, "M_FORBIDDEN");
    let news = since(&mut home, &bob, &first);
    let state = &news["rooms"]["knock"][&room]["knock_state"]["events"];
    assert_eq!(state[0]["type"], "m.room.create");
    act(&mut home, &alice, &room, "invite", &bob).ok();
    enter(&mut home, &bob, &room, "join").ok();

    let closed = create(&mut home, &alice, json!({}));
    let path = format!("/_matrix/client/v3/knock/{closed}");
    home.post_as(&bob.token, &path, body)
        .err(403, "M_FORBIDDEN");
}

#[test]
fn forgotten_rooms_are_not_shown() {
    let (mut home, _, bob, room) = public();
    enter(&mut home, &bob, &room, "forget").err(403, "M_FORBIDDEN");
    enter(&mut home, &bob, &room, "join").ok();
    enter(&mut home, &bob, &room, "forget").err(400, "M_UNKNOWN");
    enter(&mut home, &bob, &room, "leave").ok();
    let all = r#"?filter={"room":{"include_leave":true}}"#;
    assert!(sync(&mut home, &bob, all)["rooms"]["leave"][&room].is_object());
    let state = room_path(&room, "state");
    home.get_as(&bob.token, &state).ok();
    enter(&mut home, &bob, &room, "forget").ok();
    assert_eq!(sync(&mut home, &bob, all).get("rooms"), None);
    for path in ["state", "messages?dir=b", "members"] {
        home.get_as(&bob.token, &room_path(&room, path))
            .err(403, "M_FORBIDDEN");
    }
    enter(&mut home, &bob, &room, "join").ok();
    assert!(sync(&mut home, &bob, "")["rooms"]["join"][&room].is_object());
}

#[test]
fn bodies_may_be_left_out_where_clients_do() {
    let (mut home, alice, bob, room) = public();
    let mut bare = |path: &str| {
        let mut request = get(path);
        request.method = Method::Post;
        request.access_token = Some(bob.token.as_str().into());
        home.send(request)
    };
    bare(&room_path(&room, "join")).ok();
    bare(&room_path(&room, "leave")).ok();
    bare(&room_path(&room, "forget")).ok();
    bare(&format!("/_matrix/client/v3/join/{room}")).ok();
    bare(&room_path(&room, "invite")).err(400, "M_NOT_JSON");
    bare("/_matrix/client/v3/createRoom").err(400, "M_NOT_JSON");
    let _ = alice;
}

#[test]
fn restricted_room_admits_members_of_another() {
    for version in ["8", "9", "10", "11", "12"] {
        let mut home = TestServer::open();
        let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
        let space = create(&mut home, &alice, json!({ "preset": "public_chat" }));
        let allow = json!([{ "type": "m.room_membership", "room_id": space }]);
        let rule = json!({ "join_rule": "restricted", "allow": allow });
        let state = json!([{ "type": "m.room.join_rules", "content": rule }]);
        let body = json!({ "initial_state": state, "room_version": version });
        let room = create(&mut home, &alice, body);
        enter(&mut home, &bob, &room, "join").err(403, "M_FORBIDDEN");
        enter(&mut home, &bob, &space, "join").ok();
        enter(&mut home, &bob, &room, "join").ok();
        let is = member(&mut home, &alice, &room, &bob);
        assert_eq!(
            is["join_authorised_via_users_server"],
            alice.user_id.as_str()
        );
    }
}

#[test]
fn changed_profile_reaches_rooms() {
    let (mut home, alice, bob, room) = public();
    enter(&mut home, &bob, &room, "join").ok();
    let before = sync(&mut home, &alice, "");
    let path = format!("/_matrix/client/v3/profile/{}/displayname", bob.user_id);
    let mut name = |name: &str| {
        let body = json!({ "displayname": name });
        home.call_as(&bob.token, Method::Put, &path, body).ok();
    };
    name("Bobby");
    name("Bobby");
    let news = since(&mut home, &alice, &before);
    let events = &news["rooms"]["join"][&room]["timeline"]["events"];
    assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
    let content = json!({ "membership": "join", "displayname": "Bobby" });
    assert_eq!(events[0]["content"], content);
    assert_eq!(
        events[0]["unsigned"]["prev_content"],
        json!({ "membership": "join" })
    );
}

#[test]
fn own_membership_may_be_set_as_state() {
    let (mut home, _, bob, room) = public();
    let rest = format!("state/m.room.member/{}", bob.user_id);
    let content = json!({ "membership": "join", "displayname": "B", "org.example.x": 1 });
    put(&mut home, &bob, &room, &rest, content.clone()).ok();
    assert_eq!(look(&mut home, &bob, &room, &rest).ok(), content);
    put(
        &mut home,
        &bob,
        &room,
        &rest,
        json!({ "membership": "ban" }),
    )
    .err(403, "M_FORBIDDEN");
    put(&mut home, &bob, &room, &rest, json!({ "membership": 5 })).err(403, "M_FORBIDDEN");
    put(
        &mut home,
        &bob,
        &room,
        &rest,
        json!({ "membership": "leave" }),
    )
    .ok();
}
