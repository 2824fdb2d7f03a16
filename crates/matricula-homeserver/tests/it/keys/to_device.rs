//! Messages to devices.

use matricula_core::Method;
use serde_json::{Value, json};

use super::{TestDevice, log_in, sign_up, two};
use crate::{Reply, TestServer, text};

/// Sends messages of the type `m.test`.
pub(super) fn send(home: &mut TestServer, by: &TestDevice, txn: &str, messages: Value) -> Reply {
    let path = format!("/_matrix/client/v3/sendToDevice/m.test/{txn}");
    by.call(home, Method::Put, &path, json!({ "messages": messages }))
}

/// Sends a message to one device.
pub(super) fn send_one(home: &mut TestServer, by: &TestDevice, txn: &str, to: &TestDevice) {
    let messages = json!({ to.user.user_id.clone(): { to.id.clone(): { "n": txn } } });
    send(home, by, txn, messages).ok();
}

/// The transactions of the messages in a sync.
pub(super) fn received(sync: &Value) -> Vec<String> {
    let events = sync["to_device"]["events"].as_array();
    let events = events.into_iter().flatten();
    events.map(|event| text(&event["content"], "n")).collect()
}

#[test]
fn message_reaches_its_device() {
    let (mut home, alice, bob) = two();
    let second = log_in(&mut home, "bob", "second");
    let start = bob.sync(&mut home);
    assert_eq!(start.get("to_device"), None);
    send_one(&mut home, &alice, "1", &bob);
    let sync = bob.sync_after(&mut home, &start);
    assert_eq!(
        sync["to_device"],
        json!({ "events": [{
            "type": "m.test", "sender": alice.user.user_id, "content": { "n": "1" },
        }] })
    );
    assert_eq!(second.sync(&mut home).get("to_device"), None);
    assert_eq!(alice.sync(&mut home).get("to_device"), None);
}

#[test]
fn star_means_all_devices() {
    let (mut home, alice, bob) = two();
    let second = log_in(&mut home, "bob", "second");
    let messages = json!({
        "@bob:private.localhost": { "*": { "n": "all" }, "B": { "n": "own" } },
        "@alice:private.localhost": { "*": { "n": "self" } },
    });
    send(&mut home, &alice, "1", messages).ok();
    assert_eq!(received(&bob.sync(&mut home)), ["own"]);
    assert_eq!(received(&second.sync(&mut home)), ["all"]);
    assert_eq!(received(&alice.sync(&mut home)), ["self"]);
    // Later devices have no part in it.
    let third = log_in(&mut home, "bob", "third");
    assert!(received(&third.sync(&mut home)).is_empty());
}

#[test]
fn unknown_recipients_are_passed_over() {
    let (mut home, alice, bob) = two();
    let messages = json!({
        "@bob:private.localhost": { "x": {}, "B": { "n": "1" } },
        "@carol:private.localhost": { "*": {} },
        "@erin:example.org": { "*": {} },
    });
    send(&mut home, &alice, "1", messages).ok();
    send(&mut home, &alice, "2", json!({})).ok();
    assert_eq!(received(&bob.sync(&mut home)), ["1"]);
}

#[test]
fn transaction_counts_once_for_a_device() {
    let (mut home, alice, bob) = two();
    send_one(&mut home, &alice, "1", &bob);
    send_one(&mut home, &alice, "1", &bob);
    assert_eq!(received(&bob.sync(&mut home)), ["1"]);
    // Another type, device or user is another transaction.
    let path = "/_matrix/client/v3/sendToDevice/m.other/1";
    let messages = json!({ "messages": { "@bob:private.localhost": { "B": { "n": "other" } } } });
    alice.call(&mut home, Method::Put, path, messages).ok();
    let second = log_in(&mut home, "alice", "second");
    send_one(&mut home, &second, "1", &bob);
    send_one(&mut home, &bob, "1", &bob);
    assert_eq!(received(&bob.sync(&mut home)), ["1", "other", "1", "1"]);
    // A refused request does not use its transaction id.
    let messages = json!({ "@bob:private.localhost": { "B": [] } });
    send(&mut home, &alice, "2", messages).err(400, "M_BAD_JSON");
    send_one(&mut home, &alice, "2", &bob);
    assert_eq!(received(&bob.sync(&mut home)).last().unwrap(), "2");
}

#[test]
fn message_is_deleted_when_its_token_returns() {
    let (mut home, alice, bob) = two();
    let start = bob.sync(&mut home);
    send_one(&mut home, &alice, "1", &bob);
    let lost = bob.sync_after(&mut home, &start);
    assert_eq!(received(&lost), ["1"]);
    // The response was lost.
    send_one(&mut home, &alice, "2", &bob);
    let first = bob.sync_after(&mut home, &start);
    assert_eq!(received(&first), ["1", "2"]);
    let again = bob.sync(&mut home);
    assert_eq!(received(&again), ["1", "2"], "a sync without token");
    // The lost response arrives late: only its message is deleted.
    let second = bob.sync_after(&mut home, &lost);
    assert_eq!(received(&second), ["2"]);
    let third = bob.sync_after(&mut home, &second);
    assert!(received(&third).is_empty());
    assert!(received(&bob.sync_after(&mut home, &start)).is_empty());
}

#[test]
fn sync_returns_at_most_a_hundred() {
    let (mut home, alice, bob) = two();
    for number in 0..250 {
        send_one(&mut home, &alice, &number.to_string(), &bob);
    }
    let numbers = |range: std::ops::Range<u32>| range.map(|it| it.to_string()).collect::<Vec<_>>();
    let mut last = bob.sync(&mut home);
    assert_eq!(received(&last), numbers(0..100));
    for expected in [100..200, 200..250, 250..250] {
        let next = bob.sync_after(&mut home, &last);
        assert_eq!(received(&next), numbers(expected.clone()));
        // A repeated request gets the same messages.
        let repeated = bob.sync_after(&mut home, &last);
        assert_eq!(received(&repeated), numbers(expected.clone()));
        assert_eq!(
            next["next_batch"] != last["next_batch"],
            !expected.is_empty()
        );
        last = next;
    }
}

#[test]
fn large_messages_come_in_several_syncs() {
    let (mut home, alice, bob) = two();
    for number in 0..20 {
        let content = json!({ "n": number.to_string(), "x": "x".repeat(60_000) });
        let messages = json!({ "@bob:private.localhost": { "B": content } });
        send(&mut home, &alice, &number.to_string(), messages).ok();
    }
    let mut last = bob.sync(&mut home);
    let mut all = received(&last);
    assert_eq!(all.len(), 17);
    last = bob.sync_after(&mut home, &last);
    all.extend(received(&last));
    let expected = (0..20).map(|it| it.to_string()).collect::<Vec<_>>();
    assert_eq!(all, expected);
}

#[test]
fn guests_can_send() {
    use matricula_homeserver::Config;

    let mut home = TestServer::new(Config::default().guests(true));
    let bob = sign_up(&mut home, "bob", "B");
    let guest = home.post(&format!("{}?kind=guest", crate::REGISTER), json!({}));
    let guest = TestDevice::of(&guest.ok());
    send_one(&mut home, &guest, "1", &bob);
    assert_eq!(received(&bob.sync(&mut home)), ["1"]);
}
