//! Bounds of key backups.

use matricula_core::Method;
use matricula_homeserver::Config;
use serde_json::{Value, json};

use super::{
    backup::{VERSION, create, keys},
    sign_up, two,
};
use crate::database;

fn key(size: usize) -> Value {
    json!({
        "is_verified": true, "first_message_index": 0, "forwarded_count": 0,
        "session_data": { "x": "x".repeat(size) },
    })
}

#[test]
fn malformed_keys_are_rejected() {
    let (mut home, alice, _) = two();
    let number = create(&mut home, &alice);
    let with = |field: &str, value: Value| {
        let mut key = key(1);
        key[field] = value;
        key
    };
    for (body, status, errcode) in [
        (json!({}), 400, "M_MISSING_PARAM"),
        (with("is_verified", json!(null)), 400, "M_MISSING_PARAM"),
        (with("is_verified", json!("true")), 400, "M_BAD_JSON"),
        (with("first_message_index", json!(-1)), 400, "M_BAD_JSON"),
        (with("first_message_index", json!(1.5)), 400, "M_BAD_JSON"),
        (
            with("first_message_index", json!(1u64 << 53)),
            400,
            "M_BAD_JSON",
        ),
        (with("forwarded_count", json!("1")), 400, "M_BAD_JSON"),
        (with("session_data", json!("x")), 400, "M_BAD_JSON"),
        (with("session_data", json!([])), 400, "M_BAD_JSON"),
        (key(70_000), 413, "M_TOO_LARGE"),
    ] {
        for (rest, body) in [
            ("/!a:b/s", body.clone()),
            (
                "/!a:b",
                json!({ "sessions": { "good": key(1), "s": body } }),
            ),
            (
                "",
                json!({ "rooms": { "!a:b": { "sessions": { "good": key(1), "s": body } } } }),
            ),
        ] {
            let reply = keys(&mut home, &alice, Method::Put, rest, &number, body);
            assert_eq!(reply.0.status, status, "{rest}: {}", reply.text());
            reply.err(status, errcode);
        }
    }
    let long = format!("/!a:b/{}", "s".repeat(513));
    keys(&mut home, &alice, Method::Put, &long, &number, key(1)).err(400, "M_INVALID_PARAM");
    keys(&mut home, &alice, Method::Put, "/room/s", &number, key(1)).err(400, "M_INVALID_PARAM");
    let body = json!({ "rooms": { "room": { "sessions": {} } } });
    keys(&mut home, &alice, Method::Put, "", &number, body).err(400, "M_BAD_JSON");
    // Nothing of a refused request is stored.
    let all = keys(&mut home, &alice, Method::Get, "", &number, Value::Null);
    assert_eq!(all.ok(), json!({ "rooms": {} }));

    for body in [
        json!({ "algorithm": "x" }),
        json!({ "auth_data": {} }),
        json!({ "algorithm": 1, "auth_data": {} }),
        json!({ "algorithm": "x", "auth_data": "x" }),
    ] {
        let reply = alice.post(&mut home, VERSION, body.clone());
        assert_eq!(reply.0.status, 400, "{body}");
    }
    let body = json!({ "algorithm": "x", "auth_data": { "x": "x".repeat(70_000) } });
    alice.post(&mut home, VERSION, body).err(413, "M_TOO_LARGE");
}

#[test]
fn versions_are_bounded() {
    let (mut home, alice, bob) = two();
    for _ in 0..100 {
        create(&mut home, &alice);
    }
    let body = json!({ "algorithm": "x", "auth_data": {} });
    alice
        .post(&mut home, VERSION, body.clone())
        .err(400, "M_INVALID_PARAM");
    let path = format!("{VERSION}/1");
    alice
        .call(&mut home, Method::Delete, &path, Value::Null)
        .ok();
    alice.post(&mut home, VERSION, body).ok();
    create(&mut home, &bob);
}

#[test]
fn bytes_of_keys_are_bounded() {
    let (mut home, alice, _) = two();
    let number = create(&mut home, &alice);
    // 32 MiB.
    let mut stored = 0;
    loop {
        let sessions = (0..10).map(|it| (format!("{stored}-{it}"), key(65_000)));
        let body = json!({ "sessions": Value::Object(sessions.collect()) });
        let reply = keys(&mut home, &alice, Method::Put, "/!a:b", &number, body);
        if reply.0.status != 200 {
            reply.err(413, "M_TOO_LARGE");
            break;
        }
        stored += 10;
    }
    assert_eq!(stored, 510);
    // A smaller backup has room again, also for another version.
    let second = create(&mut home, &alice);
    let body = json!({ "sessions": { "1": key(65_000), "2": key(65_000), "3": key(65_000),
        "4": key(65_000), "5": key(65_000), "6": key(65_000) } });
    keys(
        &mut home,
        &alice,
        Method::Put,
        "/!a:b",
        &second,
        body.clone(),
    )
    .err(413, "M_TOO_LARGE");
    keys(
        &mut home,
        &alice,
        Method::Delete,
        "/!a:b/0-0",
        &number,
        Value::Null,
    )
    .ok();
    keys(&mut home, &alice, Method::Put, "/!a:b", &second, body).ok();
    let path = format!("{VERSION}/{number}");
    alice
        .call(&mut home, Method::Delete, &path, Value::Null)
        .ok();
    let sessions = (0..15).map(|it| (it.to_string(), key(65_000)));
    let body = json!({ "sessions": Value::Object(sessions.collect()) });
    keys(&mut home, &alice, Method::Put, "/!c:d", &second, body).ok();
}

#[test]
fn number_of_keys_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut home = database::open(&path, Config::default()).unwrap();
    let alice = sign_up(&mut home, "alice", "A");
    let number = create(&mut home, &alice);
    drop(home);
    let rows = rusqlite::Connection::open(&path).unwrap();
    rows.execute("UPDATE key_backups SET key_count = 49999", [])
        .unwrap();
    drop(rows);
    let mut home = database::open(&path, Config::default()).unwrap();
    let mut put = |rest: &str| keys(&mut home, &alice, Method::Put, rest, &number, key(1));
    put("/!a:b/1").ok();
    put("/!a:b/2").err(413, "M_TOO_LARGE");
    put("/!a:b/1").ok();
}
