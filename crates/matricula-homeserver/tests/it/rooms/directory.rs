//! Aliases and the directory of public rooms.

use matricula_core::Method;
use serde_json::{Value, json};

use super::{CREATE, create, enter, look, public, put};
use crate::{Reply, TestServer, TestUser};

const TEA: &str = "/_matrix/client/v3/directory/room/%23tea:private.localhost";

fn set(home: &mut TestServer, me: &TestUser, path: &str, room: &str) -> Reply {
    home.call_as(&me.token, Method::Put, path, json!({ "room_id": room }))
}

#[test]
fn alias_leads_to_its_room() {
    let (mut home, alice, bob, room) = public();
    home.get(TEA).err(404, "M_NOT_FOUND");
    set(&mut home, &bob, TEA, &room).err(403, "M_FORBIDDEN");
    set(&mut home, &alice, TEA, "!none:private.localhost").err(404, "M_NOT_FOUND");
    let elsewhere = "/_matrix/client/v3/directory/room/%23tea:elsewhere.example";
    set(&mut home, &alice, elsewhere, &room).err(400, "M_INVALID_PARAM");
    set(&mut home, &alice, TEA, &room).ok();
    set(&mut home, &alice, TEA, &room).err(409, "M_UNKNOWN");
    let found = home.get(TEA).ok();
    assert_eq!(
        found,
        json!({ "room_id": room, "servers": ["private.localhost"] })
    );
    let join = "/_matrix/client/v3/join/%23tea:private.localhost?via=private.localhost";
    home.post_as(&bob.token, join, json!({})).ok();
    let listed = look(&mut home, &bob, &room, "aliases").ok();
    assert_eq!(listed, json!({ "aliases": ["#tea:private.localhost"] }));

    let rest = "state/m.room.canonical_alias/";
    let unknown = json!({ "alias": "#none:private.localhost" });
    put(&mut home, &alice, &room, rest, unknown).err(400, "M_BAD_ALIAS");
    let odd = json!({ "alt_aliases": ["no alias"] });
    put(&mut home, &alice, &room, rest, odd).err(400, "M_INVALID_PARAM");
    let main = json!({ "alias": "#tea:private.localhost" });
    put(&mut home, &alice, &room, rest, main).ok();
    let mut delete = |me: &TestUser| home.call_as(&me.token, Method::Delete, TEA, json!({}));
    delete(&bob).err(403, "M_FORBIDDEN");
    delete(&alice).ok();
    delete(&alice).err(404, "M_NOT_FOUND");
    assert_eq!(look(&mut home, &alice, &room, rest).ok(), json!({}));
}

#[test]
fn new_room_has_its_alias() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    let body = json!({ "room_alias_name": "tea" });
    let room = create(&mut home, &alice, body.clone());
    let main = look(&mut home, &alice, &room, "state/m.room.canonical_alias/").ok();
    assert_eq!(main, json!({ "alias": "#tea:private.localhost" }));
    home.post_as(&alice.token, CREATE, body)
        .err(400, "M_ROOM_IN_USE");
    let odd = json!({ "room_alias_name": "a\u{0}b" });
    home.post_as(&alice.token, CREATE, odd)
        .err(400, "M_INVALID_PARAM");
}

#[test]
fn directory_lists_public_rooms() {
    let mut home = TestServer::open();
    let (alice, bob) = (home.sign_up("alice"), home.sign_up("bob"));
    let rooms: Vec<_> = (0..3)
        .map(|number| {
            let body = json!({ "visibility": "public", "name": format!("Room {number}"),
                "topic": "Tea and such" });
            create(&mut home, &alice, body)
        })
        .collect();
    create(&mut home, &alice, json!({ "name": "Room of her own" }));
    enter(&mut home, &bob, &rooms[1], "join").ok();
    const PATH: &str = "/_matrix/client/v3/publicRooms";
    let all = home.get(PATH).ok();
    assert_eq!(all["total_room_count_estimate"], 3);
    assert_eq!(
        all["chunk"][0]["room_id"],
        rooms[1].as_str(),
        "the largest first"
    );
    assert_eq!(all["chunk"][0]["num_joined_members"], 2);
    assert_eq!(all["chunk"][0]["join_rule"], "public");
    let page = home.get(&format!("{PATH}?limit=2")).ok();
    let next = page["next_batch"].as_str().unwrap();
    let last = home.get(&format!("{PATH}?limit=2&since={next}")).ok();
    assert_eq!(last["chunk"].as_array().unwrap().len(), 1);
    assert_eq!(last.get("next_batch"), None);
    let mut search = |filter: Value| {
        let found = home
            .post_as(&alice.token, PATH, json!({ "filter": filter }))
            .ok();
        found["chunk"].as_array().unwrap().len()
    };
    assert_eq!(search(json!({ "generic_search_term": "TEA" })), 3);
    assert_eq!(search(json!({ "generic_search_term": "room 2" })), 1);
    assert_eq!(search(json!({ "generic_search_term": "own" })), 0);
    assert_eq!(search(json!({ "room_types": [null] })), 3);
    assert_eq!(search(json!({ "room_types": ["m.space"] })), 0);

    let path = format!("/_matrix/client/v3/directory/list/room/{}", rooms[0]);
    assert_eq!(home.get(&path).ok(), json!({ "visibility": "public" }));
    let hide = json!({ "visibility": "private" });
    home.call_as(&bob.token, Method::Put, &path, hide.clone())
        .err(403, "M_FORBIDDEN");
    home.call_as(&alice.token, Method::Put, &path, hide).ok();
    assert_eq!(home.get(PATH).ok()["total_room_count_estimate"], 2);
}

#[test]
fn paths_before_v1_1_are_aliases() {
    let (mut home, alice, bob, room) = public();
    let path = format!("/_matrix/client/r0/rooms/{room}/join");
    home.post_as(&bob.token, &path, json!({})).ok();
    home.get_as(&alice.token, "/_matrix/client/r0/sync").ok();
    home.get("/_matrix/client/r0/publicRooms").ok();
    home.get("/_matrix/client/r0/nothing")
        .err(404, "M_UNRECOGNIZED");
}
