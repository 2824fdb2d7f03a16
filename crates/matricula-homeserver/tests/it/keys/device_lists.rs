//! Device lists: whose keys must be queried again.

use matricula_core::Method;
use serde_json::{Value, json};

use super::{
    CrossSigning, SIGNATURES, SIGNING, TestDevice, UPLOAD, log_in, public_key, set_up, sign_up,
    signed,
};
use crate::{TestServer, text};

const ALICE: &str = "@alice:private.localhost";
const BOB: &str = "@bob:private.localhost";
const CAROL: &str = "@carol:private.localhost";

/// Alice and bob in a room, and carol, who is in none.
fn three() -> (TestServer, [TestDevice; 3], String) {
    let mut home = TestServer::open();
    let all = ["alice", "bob", "carol"].map(|name| sign_up(&mut home, name, "A"));
    for one in &all {
        one.upload(&mut home);
    }
    let room = all[0].room(&mut home, &[&all[1]]);
    (home, all, room)
}

/// The `changed` and `left` of a sync.
fn lists(sync: &Value) -> [Vec<&str>; 2] {
    ["changed", "left"].map(|name| {
        let users = sync["device_lists"][name].as_array();
        let users = users.into_iter().flatten();
        users.map(|user| user.as_str().unwrap()).collect()
    })
}

/// Does something, and checks what the syncs of alice, bob and carol then report as changed and left.
#[track_caller]
fn expect(
    home: &mut TestServer,
    all: &[TestDevice; 3],
    action: impl FnOnce(&mut TestServer),
    expected: [[&[&str]; 2]; 3],
) {
    let before = [0, 1, 2].map(|it| all[it].sync(home));
    for sync in &before {
        assert_eq!(sync.get("device_lists"), None, "a first sync");
    }
    action(home);
    for ((device, before), expected) in all.iter().zip(&before).zip(expected) {
        let after = device.sync_after(home, before);
        let found = lists(&after);
        assert_eq!(
            found,
            expected.map(<[_]>::to_vec),
            "{}",
            device.user.user_id
        );
        // The same by request.
        let (from, to) = (text(before, "next_batch"), text(&after, "next_batch"));
        let path = format!("/_matrix/client/v3/keys/changes?from={from}&to={to}");
        let same = device.get(home, &path).ok();
        assert_eq!(lists(&json!({ "device_lists": same })), found);
        let later = device.sync_after(home, &after);
        assert_eq!(later.get("device_lists"), None);
    }
}

const NOTHING: [&[&str]; 2] = [&[], &[]];

#[test]
fn those_who_share_a_room_see_changed_keys() {
    let (mut home, all, _) = three();
    let [alice, ..] = &all;
    let seen: [[&[&str]; 2]; 3] = [[&[ALICE], &[]], [&[ALICE], &[]], NOTHING];
    let mut second = None;
    // A device without keys is of no use to others.
    expect(
        &mut home,
        &all,
        |home| second = Some(log_in(home, "alice", "second")),
        [NOTHING; 3],
    );
    let second = second.unwrap();
    expect(&mut home, &all, |home| second.upload(home), seen);
    expect(&mut home, &all, |home| second.upload(home), [NOTHING; 3]);
    let one_time = json!({ "one_time_keys": { "a:1": "x" }, "fallback_keys": { "a:1": "x" } });
    let add = |home: &mut TestServer| drop(second.post(home, UPLOAD, one_time).ok());
    expect(&mut home, &all, add, [NOTHING; 3]);
    let rename = |home: &mut TestServer| {
        let path = "/_matrix/client/v3/devices/second";
        let body = json!({ "display_name": "Phone" });
        alice.call(home, Method::Put, path, body).ok();
    };
    expect(&mut home, &all, rename, seen);
    let log_out = |home: &mut TestServer| drop(second.post(home, crate::LOGOUT, json!({})).ok());
    expect(&mut home, &all, log_out, seen);
}

#[test]
fn cross_signing_changes_device_lists() {
    let (mut home, all, _) = three();
    let [alice, bob, _] = &all;
    let seen: [[&[&str]; 2]; 3] = [[&[ALICE], &[]], [&[ALICE], &[]], NOTHING];
    let keys = CrossSigning::new(alice, 50);
    let upload = |home: &mut TestServer| drop(set_up(home, alice, 50));
    expect(&mut home, &all, upload, seen);
    let again = |home: &mut TestServer| drop(set_up(home, alice, 50));
    expect(&mut home, &all, again, [NOTHING; 3]);
    let body = json!({ ALICE: { "A": signed(&alice.keys(), ALICE, &keys.self_signing) } });
    let sign = |home: &mut TestServer| drop(alice.post(home, SIGNATURES, body.clone()).ok());
    expect(&mut home, &all, sign, seen);
    expect(&mut home, &all, sign, [NOTHING; 3]);
    // Others do not see the user-signing key, and what it signs.
    let others = CrossSigning::new(alice, 60);
    let key = others.key("user_signing", &others.user_signing);
    let body = json!({ "user_signing_key": signed(&key, ALICE, &keys.master) });
    let replace = |home: &mut TestServer| {
        home.prove(&alice.user, Method::Post, SIGNING, body).ok();
    };
    expect(
        &mut home,
        &all,
        replace,
        [[&[ALICE], &[]], NOTHING, NOTHING],
    );
    let bobs = set_up(&mut home, bob, 70);
    let object = signed(&bobs.master_key(), ALICE, &others.user_signing);
    let body = json!({ BOB: { public_key(&bobs.master): object } });
    let sign = |home: &mut TestServer| drop(alice.post(home, SIGNATURES, body).ok());
    expect(&mut home, &all, sign, [[&[BOB], &[]], NOTHING, NOTHING]);
}

#[test]
fn joining_and_leaving_changes_device_lists() {
    let (mut home, all, room) = three();
    let [alice, bob, carol] = &all;
    let act = |who: &'static str, room: String, what: &'static str| {
        let who = all.iter().find(|it| it.user.user_id == who).unwrap();
        move |home: &mut TestServer| who.act(home, &room, what)
    };
    expect(
        &mut home,
        &all,
        act(CAROL, room.clone(), "join"),
        [[&[CAROL], &[]], [&[CAROL], &[]], [&[ALICE, BOB], &[]]],
    );
    // A new name is no new member.
    let rename = |home: &mut TestServer| {
        let path = format!("/_matrix/client/v3/profile/{CAROL}/displayname");
        let body = json!({ "displayname": "C" });
        carol.call(home, Method::Put, &path, body).ok();
    };
    expect(&mut home, &all, rename, [NOTHING; 3]);
    let other = alice.room(&mut home, &[]);
    expect(
        &mut home,
        &all,
        act(BOB, other.clone(), "join"),
        [[&[BOB], &[]], [&[ALICE], &[]], NOTHING],
    );
    // Alice and bob still share the other room.
    expect(
        &mut home,
        &all,
        act(BOB, room.clone(), "leave"),
        [NOTHING, [&[], &[CAROL]], [&[], &[BOB]]],
    );
    expect(
        &mut home,
        &all,
        act(BOB, other, "leave"),
        [[&[], &[BOB]], [&[], &[ALICE]], NOTHING],
    );
    let out_and_in = |home: &mut TestServer| {
        carol.act(home, &room, "leave");
        carol.act(home, &room, "join");
    };
    expect(&mut home, &all, out_and_in, [NOTHING; 3]);
    let in_and_out = |home: &mut TestServer| {
        bob.act(home, &room, "join");
        bob.act(home, &room, "leave");
    };
    expect(&mut home, &all, in_and_out, [NOTHING; 3]);
    // Keys that changed in between are found when the users meet again.
    bob.post(&mut home, crate::LOGOUT, json!({})).ok();
    let bob = log_in(&mut home, "bob", "new");
    bob.upload(&mut home);
    let all = {
        let [alice, _, carol] = all;
        [alice, bob, carol]
    };
    let come_back = |home: &mut TestServer| all[1].act(home, &room, "join");
    expect(
        &mut home,
        &all,
        come_back,
        [[&[BOB], &[]], [&[ALICE, CAROL], &[]], [&[BOB], &[]]],
    );
}

#[test]
fn those_who_came_after_one_left_stay_unknown() {
    let (mut home, all, room) = three();
    let [alice, bob, carol] = &all;
    let before = bob.sync(&mut home);
    bob.act(&mut home, &room, "leave");
    carol.act(&mut home, &room, "join");
    alice.act(&mut home, &room, "leave");
    let after = bob.sync_after(&mut home, &before);
    assert_eq!(lists(&after), [vec![], vec![ALICE]]);
}

#[test]
fn invitation_shares_no_keys() {
    let (mut home, all, room) = three();
    let [alice, ..] = &all;
    let invite = |home: &mut TestServer| {
        let path = format!("/_matrix/client/v3/rooms/{room}/invite");
        alice.post(home, &path, json!({ "user_id": CAROL })).ok();
    };
    expect(&mut home, &all, invite, [NOTHING; 3]);
}

#[test]
fn changes_need_valid_tokens() {
    let (mut home, all, _) = three();
    let [alice, ..] = &all;
    let token = text(&alice.sync(&mut home), "next_batch");
    for (query, errcode) in [
        ("", "M_MISSING_PARAM"),
        ("?from=s1", "M_MISSING_PARAM"),
        ("?to=s1", "M_MISSING_PARAM"),
        ("?from=x&to=s1", "M_INVALID_PARAM"),
        ("?from=s1&to=x", "M_INVALID_PARAM"),
        ("?from=s99999&to=s99999", "M_INVALID_PARAM"),
    ] {
        let path = format!("/_matrix/client/v3/keys/changes{query}");
        alice.get(&mut home, &path).err(400, errcode);
    }
    let path = format!("/_matrix/client/v3/keys/changes?from={token}&to={token}");
    let none = alice.get(&mut home, &path).ok();
    assert_eq!(none, json!({ "changed": [], "left": [] }));
}
