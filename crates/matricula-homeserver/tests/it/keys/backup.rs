//! Key backups.

use matricula_core::Method;
use serde_json::{Value, json};

use super::{TestDevice, sign_up, two};
use crate::{Reply, TestServer, text};

pub(super) const VERSION: &str = "/_matrix/client/v3/room_keys/version";
const ALGORITHM: &str = "m.megolm_backup.v1.curve25519-aes-sha2";

/// Calls an endpoint of the keys in a backup. `rest` is a room, or a room and a session, or nothing.
pub(super) fn keys(
    home: &mut TestServer,
    by: &TestDevice,
    method: Method,
    rest: &str,
    version: &str,
    body: Value,
) -> Reply {
    let path = format!("/_matrix/client/v3/room_keys/keys{rest}?version={version}");
    by.call(home, method, &path, body)
}

fn put(home: &mut TestServer, by: &TestDevice, rest: &str, version: &str, body: Value) -> Reply {
    keys(home, by, Method::Put, rest, version, body)
}

fn get(home: &mut TestServer, by: &TestDevice, rest: &str, version: &str) -> Reply {
    keys(home, by, Method::Get, rest, version, Value::Null)
}

fn delete(home: &mut TestServer, by: &TestDevice, rest: &str, version: &str) -> Reply {
    keys(home, by, Method::Delete, rest, version, Value::Null)
}

/// Creates a version.
pub(super) fn create(home: &mut TestServer, by: &TestDevice) -> String {
    let body = json!({ "algorithm": ALGORITHM, "auth_data": { "public_key": "x" } });
    text(&by.post(home, VERSION, body).ok(), "version")
}

/// A key: whether it is verified, its first message index and forwarded count, and some data.
fn key(rank: (bool, u64, u64), data: &str) -> Value {
    json!({
        "is_verified": rank.0, "first_message_index": rank.1, "forwarded_count": rank.2,
        "session_data": { "ciphertext": data },
    })
}

fn version(home: &mut TestServer, by: &TestDevice, version: &str) -> Reply {
    by.get(home, &format!("{VERSION}/{version}"))
}

#[test]
fn newest_version_is_current() {
    let (mut home, alice, bob) = two();
    alice.get(&mut home, VERSION).err(404, "M_NOT_FOUND");
    let first = create(&mut home, &alice);
    let second = create(&mut home, &alice);
    assert_ne!(first, second);
    let expected = |version: &str| {
        json!({
            "algorithm": ALGORITHM, "auth_data": { "public_key": "x" }, "count": 0, "etag": "0",
            "version": version,
        })
    };
    let current = alice.get(&mut home, VERSION).ok();
    assert_eq!(current, expected(&second));
    for number in [&first, &second] {
        let found = version(&mut home, &alice, number).ok();
        assert_eq!(found, expected(number));
        version(&mut home, &bob, number).err(404, "M_NOT_FOUND");
    }
    for number in [
        "0",
        "3",
        "01",
        "+1",
        "1 ",
        "x",
        "-1",
        "99999999999999999999",
    ] {
        version(&mut home, &alice, number).err(404, "M_NOT_FOUND");
    }
}

#[test]
fn only_auth_data_of_a_version_changes() {
    let (mut home, alice, _) = two();
    let number = create(&mut home, &alice);
    let path = format!("{VERSION}/{number}");
    let body = |algorithm: &str, number: Value| json!({ "algorithm": algorithm, "auth_data": { "public_key": "y" }, "version": number });
    let set =
        |home: &mut TestServer, path: &str, body: Value| alice.call(home, Method::Put, path, body);
    set(&mut home, &path, body("m.other", json!(number))).err(400, "M_INVALID_PARAM");
    set(&mut home, &path, body(ALGORITHM, json!("7"))).err(400, "M_INVALID_PARAM");
    set(&mut home, &path, json!({ "algorithm": ALGORITHM })).err(400, "M_MISSING_PARAM");
    let other = format!("{VERSION}/7");
    set(&mut home, &other, body(ALGORITHM, json!("7"))).err(404, "M_NOT_FOUND");
    for number in [json!(number), json!(null)] {
        set(&mut home, &path, body(ALGORITHM, number)).ok();
        let found = version(&mut home, &alice, "1").ok();
        assert_eq!(found["auth_data"], json!({ "public_key": "y" }));
    }
}

#[test]
fn deleted_version_is_gone() {
    let (mut home, alice, bob) = two();
    let first = create(&mut home, &alice);
    let second = create(&mut home, &alice);
    put(
        &mut home,
        &alice,
        "/!a:b/s",
        &second,
        key((true, 0, 0), "x"),
    )
    .ok();
    let remove = |home: &mut TestServer, by: &TestDevice, number: &str| {
        let path = format!("{VERSION}/{number}");
        by.call(home, Method::Delete, &path, Value::Null)
    };
    // A repeated request succeeds.
    for _ in 0..2 {
        assert_eq!(remove(&mut home, &alice, &second).ok(), json!({}));
    }
    version(&mut home, &alice, &second).err(404, "M_NOT_FOUND");
    get(&mut home, &alice, "", &second).err(404, "M_NOT_FOUND");
    put(&mut home, &alice, "", &second, json!({ "rooms": {} })).err(404, "M_NOT_FOUND");
    for number in ["3", "0", "x"] {
        remove(&mut home, &alice, number).err(404, "M_NOT_FOUND");
    }
    remove(&mut home, &bob, &first).err(404, "M_NOT_FOUND");
    // The one before is current again, and numbers are not used again.
    let current = alice.get(&mut home, VERSION).ok();
    assert_eq!(current["version"], first.as_str());
    put(&mut home, &alice, "", &first, json!({ "rooms": {} })).ok();
    assert_eq!(create(&mut home, &alice), "3");
    for number in [&first, "3"] {
        remove(&mut home, &alice, number).ok();
    }
    alice.get(&mut home, VERSION).err(404, "M_NOT_FOUND");
    assert_eq!(create(&mut home, &alice), "4");
}

#[test]
fn keys_are_stored_and_deleted_at_each_level() {
    let (mut home, alice, bob) = two();
    let number = create(&mut home, &alice);
    let [one, two, three] = ["1", "2", "3"].map(|data| key((false, 1, 0), data));
    // The id of a session is Base64.
    let done = put(&mut home, &alice, "/!a:b/s%2F1+", &number, one.clone()).ok();
    assert_eq!(done, json!({ "etag": "1", "count": 1 }));
    let body = json!({ "sessions": { "s2": two } });
    let done = put(&mut home, &alice, "/!a:b", &number, body).ok();
    assert_eq!(done, json!({ "etag": "2", "count": 2 }));
    let body =
        json!({ "rooms": { "!c:d": { "sessions": { "s3": three } }, "!e": { "sessions": {} } } });
    let done = put(&mut home, &alice, "", &number, body).ok();
    assert_eq!(done, json!({ "etag": "3", "count": 3 }));

    let of_a = json!({ "sessions": { "s/1+": one, "s2": two } });
    let all = json!({ "rooms": { "!a:b": of_a, "!c:d": { "sessions": { "s3": three } } } });
    assert_eq!(get(&mut home, &alice, "", &number).ok(), all);
    assert_eq!(get(&mut home, &alice, "/!a:b", &number).ok(), of_a);
    assert_eq!(get(&mut home, &alice, "/!a:b/s%2F1+", &number).ok(), one);
    let none = get(&mut home, &alice, "/!x:y", &number).ok();
    assert_eq!(none, json!({ "sessions": {} }));
    get(&mut home, &alice, "/!a:b/x", &number).err(404, "M_NOT_FOUND");
    get(&mut home, &bob, "", &number).err(404, "M_NOT_FOUND");
    let found = version(&mut home, &alice, &number).ok();
    assert_eq!((&found["count"], &found["etag"]), (&json!(3), &json!("3")));

    // What is not there is deleted already.
    for rest in ["/!a:b/x", "/!x:y", "/!a:b/s%2F1+"] {
        delete(&mut home, &alice, rest, &number).ok();
    }
    let done = delete(&mut home, &alice, "/!x:y/s3", &number).ok();
    assert_eq!(done, json!({ "etag": "4", "count": 2 }));
    let done = delete(&mut home, &alice, "/!a:b", &number).ok();
    assert_eq!(done, json!({ "etag": "5", "count": 1 }));
    delete(&mut home, &bob, "", &number).err(404, "M_NOT_FOUND");
    let done = delete(&mut home, &alice, "", &number).ok();
    assert_eq!(done, json!({ "etag": "6", "count": 0 }));
    let none = get(&mut home, &alice, "", &number).ok();
    assert_eq!(none, json!({ "rooms": {} }));
}

#[test]
fn better_key_replaces_another() {
    let (mut home, alice, _) = two();
    let number = create(&mut home, &alice);
    // In the order of their worth; of two equal ones the first remains.
    let ranks = [
        (true, 0, 0),
        (true, 0, 1),
        (true, 1, 0),
        (true, 1, 9),
        (false, 0, 0),
        (false, 0, 9),
        (false, 9, 0),
    ];
    for (first, stored) in ranks.into_iter().enumerate() {
        for (second, new) in ranks.into_iter().enumerate() {
            let path = format!("/!a:b/{first}-{second}");
            put(&mut home, &alice, &path, &number, key(stored, "stored")).ok();
            let before = version(&mut home, &alice, &number).ok();
            let done = put(&mut home, &alice, &path, &number, key(new, "new")).ok();
            let is_better = second < first;
            let found = get(&mut home, &alice, &path, &number).ok();
            let expected = if is_better { "new" } else { "stored" };
            assert_eq!(
                found["session_data"]["ciphertext"], expected,
                "{stored:?} {new:?}"
            );
            assert_eq!(done["etag"] != before["etag"], is_better);
            assert_eq!(done["count"], before["count"]);
        }
    }
}

#[test]
fn keys_go_to_the_current_version_only() {
    let (mut home, alice, _) = two();
    put(&mut home, &alice, "", "1", json!({ "rooms": {} })).err(404, "M_NOT_FOUND");
    let old = create(&mut home, &alice);
    let stored = key((true, 0, 0), "x");
    put(&mut home, &alice, "/!a:b/s", &old, stored.clone()).ok();
    let current = create(&mut home, &alice);
    for (rest, body) in [
        ("/!a:b/s", stored.clone()),
        ("/!a:b", json!({ "sessions": { "s": stored } })),
        ("", json!({ "rooms": {} })),
    ] {
        let error = put(&mut home, &alice, rest, &old, body.clone());
        let error = error.err(403, "M_WRONG_ROOM_KEYS_VERSION");
        assert_eq!(error["current_version"], current.as_str());
        put(&mut home, &alice, rest, "9", body).err(404, "M_NOT_FOUND");
    }
    // The old one can still be read, and made smaller.
    let found = get(&mut home, &alice, "/!a:b/s", &old).ok();
    assert_eq!(found, stored);
    delete(&mut home, &alice, "/!a:b/s", &old).ok();
    for reply in [
        alice.get(&mut home, "/_matrix/client/v3/room_keys/keys"),
        alice.call(
            &mut home,
            Method::Put,
            "/_matrix/client/v3/room_keys/keys",
            json!({ "rooms": {} }),
        ),
    ] {
        reply.err(400, "M_MISSING_PARAM");
    }
}

#[test]
fn unknown_fields_are_stored() {
    let (mut home, alice, _) = two();
    let number = create(&mut home, &alice);
    let mut odd = key((true, 0, 0), "x");
    odd["org.example.more"] = json!([1, { "a": null }]);
    odd["session_data"]["more"] = json!(1.5);
    for rest in ["/!a:b/s", "/!a:b/t"] {
        put(&mut home, &alice, rest, &number, odd.clone()).ok();
        assert_eq!(get(&mut home, &alice, rest, &number).ok(), odd);
    }
    let body = json!({ "algorithm": "org.example.other", "auth_data": { "a": [1] } });
    let other = text(
        &alice.post(&mut home, VERSION, body.clone()).ok(),
        "version",
    );
    let found = version(&mut home, &alice, &other).ok();
    assert_eq!(found["algorithm"], body["algorithm"]);
    assert_eq!(found["auth_data"], body["auth_data"]);
}

#[test]
fn deactivation_deletes_backups() {
    let mut home = TestServer::open();
    let alice = sign_up(&mut home, "alice", "A");
    let number = create(&mut home, &alice);
    put(
        &mut home,
        &alice,
        "/!a:b/s",
        &number,
        key((true, 0, 0), "x"),
    )
    .ok();
    // They are the user's, not the device's.
    alice.post(&mut home, crate::LOGOUT, json!({})).ok();
    let alice = super::log_in(&mut home, "alice", "B");
    let current = alice.get(&mut home, VERSION).ok();
    assert_eq!(current["count"], 1);
    let path = "/_matrix/client/v3/account/deactivate";
    home.prove(&alice.user, Method::Post, path, json!({})).ok();
}
