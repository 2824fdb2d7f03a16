//! One-time keys and fallback keys.

use matricula_homeserver::Config;
use serde_json::{Value, json};

use super::{CLAIM, TestDevice, UPLOAD, signed, two};
use crate::{Reply, TestServer, text};

/// A signed one-time key.
fn key(device: &TestDevice, value: &str) -> Value {
    signed(&json!({ "key": value }), &device.user.user_id, &device.key)
}

fn upload(home: &mut TestServer, device: &TestDevice, keys: Value) -> Reply {
    device.post(home, UPLOAD, json!({ "one_time_keys": keys }))
}

fn upload_fallback(home: &mut TestServer, device: &TestDevice, keys: Value) -> Reply {
    device.post(home, UPLOAD, json!({ "fallback_keys": keys }))
}

/// Claims a key of a device; returns its name and value.
fn claim(
    home: &mut TestServer,
    by: &TestDevice,
    of: &TestDevice,
    algorithm: &str,
) -> Option<(String, Value)> {
    let me = &of.user.user_id;
    let body = json!({ "one_time_keys": { me.clone(): { of.id.clone(): algorithm } } });
    let found = by.post(home, CLAIM, body).ok();
    assert_eq!(found["failures"], json!({}));
    let keys = found["one_time_keys"].get(me)?[&of.id].as_object().unwrap();
    assert_eq!(keys.len(), 1);
    let (name, key) = keys.iter().next().unwrap();
    Some((name.clone(), key.clone()))
}

fn claimed_name(home: &mut TestServer, by: &TestDevice, of: &TestDevice) -> Option<String> {
    claim(home, by, of, "signed_curve25519").map(|(name, _)| name)
}

#[test]
fn keys_are_claimed_once_in_upload_order() {
    let (mut home, alice, bob) = two();
    let keys = json!({ "signed_curve25519:9": key(&alice, "9") });
    let counts = upload(&mut home, &alice, keys).ok();
    assert_eq!(
        counts,
        json!({ "one_time_key_counts": { "signed_curve25519": 1 } })
    );
    let keys = json!({
        "signed_curve25519:1": key(&alice, "1"), "signed_curve25519:2": key(&alice, "2"),
        "curve25519:1": "plain",
    });
    let counts = upload(&mut home, &alice, keys).ok();
    assert_eq!(
        counts["one_time_key_counts"],
        json!({ "signed_curve25519": 3, "curve25519": 1 })
    );
    let first = claim(&mut home, &bob, &alice, "signed_curve25519");
    let first = first.unwrap();
    assert_eq!(first, ("signed_curve25519:9".to_owned(), key(&alice, "9")));
    let mut next = || claimed_name(&mut home, &bob, &alice);
    assert_eq!(next().as_deref(), Some("signed_curve25519:1"));
    assert_eq!(next().as_deref(), Some("signed_curve25519:2"));
    assert_eq!(next(), None);
    let plain = claim(&mut home, &bob, &alice, "curve25519");
    assert_eq!(plain, Some(("curve25519:1".to_owned(), json!("plain"))));
}

#[test]
fn claims_pass_over_what_is_unknown() {
    let (mut home, alice, bob) = two();
    let body = json!({ "one_time_keys": {
        "@alice:private.localhost": { "A": "signed_curve25519", "x": "signed_curve25519" },
        "@dave:private.localhost": { "A": "signed_curve25519" },
        "@erin:example.org": { "E": "signed_curve25519" },
    } });
    let found = bob.post(&mut home, CLAIM, body).ok();
    assert_eq!(found["one_time_keys"], json!({}));
    let failures = found["failures"].as_object().unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["example.org"]);
    // A device may claim its own key.
    let keys = json!({ "signed_curve25519:1": key(&alice, "1") });
    upload(&mut home, &alice, keys).ok();
    assert!(claimed_name(&mut home, &alice, &alice).is_some());
}

#[test]
fn repeated_upload_adds_nothing() {
    let (mut home, alice, bob) = two();
    let keys = json!({
        "signed_curve25519:1": key(&alice, "1"), "signed_curve25519:2": key(&alice, "2"),
    });
    upload(&mut home, &alice, keys.clone()).ok();
    assert!(claimed_name(&mut home, &bob, &alice).is_some());
    // The response was lost: the client repeats it. The claimed key is not offered again.
    let counts = upload(&mut home, &alice, keys).ok();
    assert_eq!(counts["one_time_key_counts"]["signed_curve25519"], 1);
    let mut signed_again = key(&alice, "2");
    signed_again["signatures"]["@alice:private.localhost"]["ed25519:more"] = json!("x");
    let keys = json!({ "signed_curve25519:2": signed_again });
    let counts = upload(&mut home, &alice, keys).ok();
    assert_eq!(counts["one_time_key_counts"]["signed_curve25519"], 1);

    let keys = json!({ "signed_curve25519:2": key(&alice, "other"),
        "signed_curve25519:3": key(&alice, "3") });
    let error = upload(&mut home, &alice, keys).err(400, "M_UNKNOWN");
    let error = text(&error, "error");
    assert!(
        error.starts_with("One time key signed_curve25519:2 already exists"),
        "{error}"
    );
    // A claimed id with other content is another key.
    let keys = json!({ "signed_curve25519:1": key(&alice, "new") });
    let counts = upload(&mut home, &alice, keys).ok();
    assert_eq!(counts["one_time_key_counts"]["signed_curve25519"], 2);
    let mut next = || claim(&mut home, &bob, &alice, "signed_curve25519").unwrap();
    assert_eq!(next().1["key"], "2");
    assert_eq!(next().1["key"], "new");
}

#[test]
fn fallback_key_is_used_when_none_is_left() {
    let (mut home, alice, bob) = two();
    let mut fallback = key(&alice, "f");
    fallback["fallback"] = json!(true);
    let keys = json!({ "signed_curve25519:F": fallback, "curve25519:F": "plain" });
    upload_fallback(&mut home, &alice, keys.clone()).ok();
    upload(
        &mut home,
        &alice,
        json!({ "signed_curve25519:1": key(&alice, "1") }),
    )
    .ok();
    let unused =
        |home: &mut TestServer| alice.sync(home)["device_unused_fallback_key_types"].clone();
    assert_eq!(
        claimed_name(&mut home, &bob, &alice).as_deref(),
        Some("signed_curve25519:1")
    );
    assert_eq!(
        unused(&mut home),
        json!(["curve25519", "signed_curve25519"])
    );
    for _ in 0..2 {
        let found = claim(&mut home, &bob, &alice, "signed_curve25519");
        assert_eq!(
            found.unwrap(),
            ("signed_curve25519:F".to_owned(), fallback.clone())
        );
        assert_eq!(unused(&mut home), json!(["curve25519"]));
    }
    // The same key is still a used one; another is not.
    upload_fallback(&mut home, &alice, keys).ok();
    assert_eq!(unused(&mut home), json!(["curve25519"]));
    let keys = json!({ "signed_curve25519:G": key(&alice, "g") });
    upload_fallback(&mut home, &alice, keys).ok();
    assert_eq!(
        unused(&mut home),
        json!(["curve25519", "signed_curve25519"])
    );
    assert_eq!(
        claimed_name(&mut home, &bob, &alice).as_deref(),
        Some("signed_curve25519:G")
    );
}

#[test]
fn claims_end_the_wait_of_a_sync() {
    let (mut home, alice, bob) = two();
    let keys = json!({ "signed_curve25519:1": key(&alice, "1") });
    upload(&mut home, &alice, keys).ok();
    let keys = json!({ "signed_curve25519:F": key(&alice, "f") });
    upload_fallback(&mut home, &alice, keys).ok();
    let start = alice.sync(&mut home);
    let counts = |sync: &Value| {
        let count = &sync["device_one_time_keys_count"]["signed_curve25519"];
        let unused = sync["device_unused_fallback_key_types"].as_array().unwrap();
        (count.as_u64().unwrap(), unused.len())
    };
    assert_eq!(counts(&start), (1, 1));
    let mut last = start;
    // The first claim takes the key, the second the fallback key, the third changes nothing.
    for (expected, is_news) in [((0, 1), true), ((0, 0), true), ((0, 0), false)] {
        claimed_name(&mut home, &bob, &alice).unwrap();
        let next = alice.sync_after(&mut home, &last);
        assert_eq!(counts(&next), expected);
        assert_eq!(next["next_batch"] != last["next_batch"], is_news);
        last = next;
    }
}

#[test]
fn sync_without_device_states_no_counts() {
    let service = matricula_homeserver::ApplicationService::new("s", "a-secret", "_bot");
    let mut home = TestServer::new(Config::default().application_service(service));
    let sync = home.get_as("a-secret", "/_matrix/client/v3/sync").ok();
    assert_eq!(sync.get("device_one_time_keys_count"), None);
    assert_eq!(sync["device_unused_fallback_key_types"], json!([]));
}

#[test]
fn numbers_of_keys_are_bounded() {
    let (mut home, alice, bob) = two();
    let many = |from: usize, count: usize| {
        let keys = (from..from + count).map(|it| (format!("a:{it}"), json!("x")));
        Value::Object(keys.collect())
    };
    upload(&mut home, &alice, many(0, 999)).ok();
    upload(&mut home, &alice, many(999, 2)).err(400, "M_INVALID_PARAM");
    upload(&mut home, &alice, many(999, 1)).ok();
    upload(&mut home, &alice, many(0, 1000)).ok();
    upload(&mut home, &alice, json!({ "b:1": "x" })).err(400, "M_INVALID_PARAM");
    claim(&mut home, &bob, &alice, "a").unwrap();
    upload(&mut home, &alice, json!({ "b:1": "x" })).ok();
    // Claimed keys make room for others.
    for round in 2..4 {
        for _ in 0..999 {
            claim(&mut home, &bob, &alice, "a").unwrap();
        }
        upload(&mut home, &alice, many(round * 1000, 999)).ok();
    }
    let algorithms = |count: usize| {
        let keys = (0..count).map(|it| (format!("a{it}:1"), json!("x")));
        Value::Object(keys.collect())
    };
    upload_fallback(&mut home, &alice, algorithms(11)).err(400, "M_INVALID_PARAM");
    upload_fallback(&mut home, &alice, algorithms(10)).ok();
    upload_fallback(&mut home, &alice, algorithms(10)).ok();
    upload_fallback(&mut home, &alice, json!({ "b:1": "x" })).err(400, "M_INVALID_PARAM");
}

#[test]
fn malformed_keys_are_rejected() {
    let (mut home, alice, _) = two();
    let long = "x".repeat(5_000);
    for (keys, status, errcode) in [
        (json!({ "curve25519": "x" }), 400, "M_BAD_JSON"),
        (json!({ ":1": "x" }), 400, "M_BAD_JSON"),
        (json!({ "curve25519:": "x" }), 400, "M_BAD_JSON"),
        (json!({ "curve25519:1:2": "x" }), 400, "M_BAD_JSON"),
        (json!({ "": "x" }), 400, "M_BAD_JSON"),
        (json!({ "curve25519:1": 1 }), 400, "M_BAD_JSON"),
        (json!({ "curve25519:1": null }), 400, "M_BAD_JSON"),
        (json!({ "curve25519:1": [] }), 400, "M_BAD_JSON"),
        (json!({ "curve25519:1": {} }), 400, "M_MISSING_PARAM"),
        (json!({ "a:1": { "key": "x" } }), 400, "M_MISSING_PARAM"),
        (
            json!({ "a:1": { "key": 1, "signatures": {} } }),
            400,
            "M_BAD_JSON",
        ),
        (
            json!({ "a:1": { "key": "x", "signatures": [] } }),
            400,
            "M_BAD_JSON",
        ),
        (json!({ "a:1": long }), 413, "M_TOO_LARGE"),
        (
            json!({ format!("a:{}", "x".repeat(254)): "x" }),
            413,
            "M_TOO_LARGE",
        ),
        (json!([]), 400, "M_BAD_JSON"),
    ] {
        let reply = upload(&mut home, &alice, keys.clone());
        assert_eq!(reply.0.status, status, "{keys}: {}", reply.text());
        reply.err(status, errcode);
        upload_fallback(&mut home, &alice, keys).err(status, errcode);
    }
    let two_of_one = json!({ "a:1": "x", "a:2": "x" });
    upload_fallback(&mut home, &alice, two_of_one).err(400, "M_INVALID_PARAM");
    upload(&mut home, &alice, Value::Null).ok();
    for body in [
        json!({}),
        json!({ "one_time_keys": [] }),
        json!({ "one_time_keys": { "alice": {} } }),
        json!({ "one_time_keys": { "@alice:private.localhost": { "A": 1 } } }),
        json!({ "one_time_keys": { "@alice:private.localhost": ["A"] } }),
    ] {
        let reply = alice.post(&mut home, CLAIM, body.clone());
        assert_eq!(reply.0.status, 400, "{body}");
    }
}
