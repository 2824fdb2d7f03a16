//! Bounds of the messages to devices.

use matricula_homeserver::Config;
use serde_json::json;

use super::{
    log_in, sign_up,
    to_device::{received, send, send_one},
    two,
};
use crate::database;

#[test]
fn full_queue_refuses_the_sender() {
    let (mut home, alice, bob) = two();
    let second = log_in(&mut home, "bob", "second");
    let content = json!({ "n": "x", "x": "x".repeat(65_000) });
    let large = json!({ "@bob:private.localhost": { "B": content } });
    let mut sent = 0;
    let refused = loop {
        let reply = send(&mut home, &alice, &sent.to_string(), large.clone());
        if reply.0.status != 200 {
            break reply;
        }
        sent += 1;
    };
    // 32 MiB.
    assert_eq!(sent, 515);
    assert!(refused.header("retry-after").is_some());
    let error = refused.err(429, "M_LIMIT_EXCEEDED");
    let words = error["error"].as_str().unwrap();
    assert!(
        words.contains("device B of @bob:private.localhost"),
        "{words}"
    );
    // Nothing of a refused request is sent, and its transaction id is not used.
    let both = json!({ "@bob:private.localhost": {
        "second": { "n": "y" }, "B": { "n": "y", "x": "x".repeat(65_000) },
    } });
    send(&mut home, &alice, "y", both.clone()).err(429, "M_LIMIT_EXCEEDED");
    assert!(received(&second.sync(&mut home)).is_empty());
    send_one(&mut home, &alice, "z", &second);

    let mut last = bob.sync(&mut home);
    let mut count = received(&last).len();
    last = bob.sync_after(&mut home, &last);
    send(&mut home, &alice, "y", both).ok();
    loop {
        let batch = received(&last);
        if batch.is_empty() {
            break;
        }
        count += batch.len();
        last = bob.sync_after(&mut home, &last);
    }
    assert_eq!(count, sent + 1, "none was dropped");
    assert_eq!(received(&second.sync(&mut home)), ["z", "y"]);
}

#[test]
fn number_of_messages_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut home = database::open(&path, Config::default()).unwrap();
    let alice = sign_up(&mut home, "alice", "A");
    let bob = sign_up(&mut home, "bob", "B");
    send_one(&mut home, &alice, "first", &bob);
    drop(home);
    let rows = rusqlite::Connection::open(&path).unwrap();
    rows.execute_batch(
        "INSERT INTO to_device_messages (position, user, device, size, event)
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9998)
             SELECT position + n, user, device, size, event FROM to_device_messages, numbers;
         UPDATE stream SET newest = (SELECT max(position) FROM to_device_messages);
         INSERT INTO devices (user, id, created_at)
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 300)
             SELECT 1, 'more' || n, 0 FROM numbers;",
    )
    .unwrap();
    drop(rows);
    let mut home = database::open(&path, Config::default()).unwrap();
    send_one(&mut home, &alice, "last", &bob);
    let messages = json!({ "@bob:private.localhost": { "*": { "n": "more" } } });
    send(&mut home, &alice, "more", messages.clone()).err(429, "M_LIMIT_EXCEEDED");
    let first = bob.sync(&mut home);
    assert_eq!(received(&first).len(), 100);
    bob.sync_after(&mut home, &first);
    send(&mut home, &alice, "more", messages).ok();

    // One request to all of alice's devices.
    let content = json!({ "n": "x", "x": "x".repeat(60_000) });
    let messages = json!({ "@alice:private.localhost": { "*": content } });
    send(&mut home, &bob, "large", messages).err(413, "M_TOO_LARGE");
    let messages = json!({ "@alice:private.localhost": { "*": { "n": "small" } } });
    send(&mut home, &bob, "small", messages).ok();
    assert_eq!(received(&alice.sync(&mut home)), ["small"]);
}

#[test]
fn malformed_messages_are_rejected() {
    let (mut home, alice, bob) = two();
    let to = "@bob:private.localhost";
    for (messages, status, errcode) in [
        (json!({ to: { "B": [] } }), 400, "M_BAD_JSON"),
        (json!({ to: { "B": null } }), 400, "M_BAD_JSON"),
        (json!({ to: { "B": "x" } }), 400, "M_BAD_JSON"),
        (json!({ to: [] }), 400, "M_BAD_JSON"),
        (json!({ to: null }), 400, "M_BAD_JSON"),
        (json!({ "bob": { "B": {} } }), 400, "M_BAD_JSON"),
        (json!([]), 400, "M_BAD_JSON"),
        (json!(null), 400, "M_MISSING_PARAM"),
        (
            json!({ "@x:elsewhere.example": { "B": 1 } }),
            400,
            "M_BAD_JSON",
        ),
        (
            json!({ to: { "x": { "x": "x".repeat(65_536) } } }),
            413,
            "M_TOO_LARGE",
        ),
    ] {
        let reply = send(&mut home, &alice, "1", messages.clone());
        assert_eq!(reply.0.status, status, "{messages}: {}", reply.text());
        reply.err(status, errcode);
    }
    let long = "x".repeat(513);
    send(&mut home, &alice, &long, json!({})).err(400, "M_INVALID_PARAM");
    assert!(received(&bob.sync(&mut home)).is_empty());
}
