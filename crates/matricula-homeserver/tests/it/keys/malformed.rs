//! Odd uploads and queries of keys.

use matricula_homeserver::Config;
use serde_json::{Value, json};

use super::{QUERY, SIGNATURES, UPLOAD, sign_up, two};
use crate::database;

#[test]
fn malformed_device_keys_are_rejected() {
    let (mut home, alice, bob) = two();
    let before = alice.keys();
    let with = |field: &str, value: Value| {
        let mut keys = alice.keys();
        keys[field] = value;
        json!({ "device_keys": keys })
    };
    for (body, status, errcode) in [
        (json!({ "device_keys": [] }), 400, "M_BAD_JSON"),
        (json!({ "device_keys": {} }), 400, "M_MISSING_PARAM"),
        (with("keys", json!(null)), 400, "M_MISSING_PARAM"),
        (with("keys", json!([])), 400, "M_BAD_JSON"),
        (with("keys", json!({ "a": 1 })), 400, "M_BAD_JSON"),
        (with("algorithms", json!({})), 400, "M_BAD_JSON"),
        (with("algorithms", json!([1])), 400, "M_BAD_JSON"),
        (with("user_id", json!(1)), 400, "M_BAD_JSON"),
        (
            with("signatures", json!({ "alice": {} })),
            400,
            "M_BAD_JSON",
        ),
        (with("signatures", json!({ "@a:b": [] })), 400, "M_BAD_JSON"),
        (with("more", json!("x".repeat(20_000))), 413, "M_TOO_LARGE"),
        (json!([]), 400, "M_BAD_JSON"),
        (json!("x"), 400, "M_BAD_JSON"),
    ] {
        let reply = alice.post(&mut home, UPLOAD, body.clone());
        assert_eq!(reply.0.status, status, "{body}: {}", reply.text());
        reply.err(status, errcode);
    }
    let body = json!({ "device_keys": null, "more": 1 });
    alice.post(&mut home, UPLOAD, body).ok();
    let me = &alice.user.user_id;
    let mut found = bob.query(&mut home, me)["device_keys"][me]["A"].clone();
    found.as_object_mut().unwrap().remove("unsigned");
    assert_eq!(found, before);
}

#[test]
fn malformed_queries_are_rejected() {
    let (mut home, alice, _) = two();
    for (path, body, errcode) in [
        (QUERY, json!({}), "M_MISSING_PARAM"),
        (QUERY, json!({ "device_keys": [] }), "M_BAD_JSON"),
        (
            QUERY,
            json!({ "device_keys": { "alice": [] } }),
            "M_BAD_JSON",
        ),
        (
            QUERY,
            json!({ "device_keys": { "@a:b": {} } }),
            "M_BAD_JSON",
        ),
        (
            QUERY,
            json!({ "device_keys": { "@a:b": [1] } }),
            "M_BAD_JSON",
        ),
        (SIGNATURES, json!([]), "M_BAD_JSON"),
        (SIGNATURES, json!({ "alice": {} }), "M_BAD_JSON"),
        (SIGNATURES, json!({ "@a:b": [] }), "M_BAD_JSON"),
        (SIGNATURES, json!({ "@a:b": { "A": [] } }), "M_BAD_JSON"),
    ] {
        let reply = alice.post(&mut home, path, body.clone());
        assert_eq!(reply.0.status, 400, "{body}: {}", reply.text());
        reply.err(400, errcode);
    }
    let done = alice.post(&mut home, SIGNATURES, json!({})).ok();
    assert_eq!(done, json!({ "failures": {} }));
    let found = alice.post(&mut home, QUERY, json!({ "device_keys": {}, "timeout": 0 }));
    assert_eq!(found.ok()["device_keys"], json!({}));
}

#[test]
fn query_for_too_many_keys_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut home = database::open(&path, Config::default()).unwrap();
    let alice = sign_up(&mut home, "alice", "A");
    let mut keys = alice.keys();
    keys["more"] = json!("x".repeat(15_000));
    let body = json!({ "device_keys": keys });
    alice.post(&mut home, UPLOAD, body).ok();
    drop(home);
    let rows = rusqlite::Connection::open(&path).unwrap();
    // 9 MiB of keys.
    rows.execute_batch(
        "INSERT INTO devices (user, id, created_at)
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 600)
             SELECT 1, 'more' || n, 0 FROM numbers;
         INSERT INTO device_keys (user, device, json)
             SELECT 1, id, json FROM devices, device_keys WHERE id != 'A';",
    )
    .unwrap();
    drop(rows);
    let mut home = database::open(&path, Config::default()).unwrap();
    let me = &alice.user.user_id;
    let body = json!({ "device_keys": { me: [] } });
    alice.post(&mut home, QUERY, body).err(413, "M_TOO_LARGE");
    let some: Vec<_> = (1..300).map(|it| format!("more{it}")).collect();
    let body = json!({ "device_keys": { me: some } });
    let found = alice.post(&mut home, QUERY, body).ok();
    assert_eq!(found["device_keys"][me].as_object().unwrap().len(), 299);
}
