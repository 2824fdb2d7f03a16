//! Keys of devices.

use matricula_core::Method;
use matricula_homeserver::{ApplicationService, Config};
use serde_json::{Value, json};

use super::{QUERY, TestDevice, UPLOAD, log_in, set_up, sign_up, two};
use crate::{PASSWORD, TestServer};

#[test]
fn keys_are_returned_as_uploaded() {
    let (mut home, alice, bob) = two();
    let mut keys = alice.keys();
    keys["org.example.more"] = json!({ "a": [1, null] });
    keys["unsigned"] = json!({ "device_display_name": "forged", "b": 1 });
    let body = json!({ "device_keys": keys });
    let counts = alice.post(&mut home, UPLOAD, body).ok();
    assert_eq!(
        counts,
        json!({ "one_time_key_counts": { "signed_curve25519": 0 } })
    );
    keys["unsigned"] = json!({});
    let me = &alice.user.user_id;
    let found = bob.query(&mut home, me);
    assert_eq!(found["device_keys"][me]["A"], keys);
    assert_eq!(found["failures"], json!({}));
    assert_eq!(found["master_keys"], json!({}));
    let rename = "/_matrix/client/v3/devices/A";
    let body = json!({ "display_name": "Phone" });
    alice.call(&mut home, Method::Put, rename, body).ok();
    let found = bob.query(&mut home, me);
    let unsigned = &found["device_keys"][me]["A"]["unsigned"];
    assert_eq!(*unsigned, json!({ "device_display_name": "Phone" }));
}

#[test]
fn only_devices_with_keys_are_listed() {
    let (mut home, alice, bob) = two();
    log_in(&mut home, "alice", "bare");
    let second = log_in(&mut home, "alice", "C");
    second.upload(&mut home);
    sign_up(&mut home, "carol", "D");
    let body = json!({ "device_keys": {
        "@alice:private.localhost": ["C", "bare", "B", "x"],
        "@bob:private.localhost": [],
        "@carol:private.localhost": [],
        "@dave:private.localhost": [],
        "@Alice:private.localhost": [],
        "@erin:example.org": ["E"],
    } });
    let found = bob.post(&mut home, QUERY, body).ok();
    let devices = found["device_keys"].as_object().unwrap();
    let names = |user: &str| {
        devices[user]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        devices.keys().collect::<Vec<_>>(),
        [
            "@alice:private.localhost",
            "@bob:private.localhost",
            "@carol:private.localhost"
        ]
    );
    assert_eq!(names("@alice:private.localhost"), ["C"]);
    assert_eq!(names("@bob:private.localhost"), ["B"]);
    assert!(names("@carol:private.localhost").is_empty());
    let failures = found["failures"].as_object().unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["example.org"]);
    let all = alice.devices_of(&mut home, &alice.user.user_id);
    assert_eq!(all, ["A", "C"]);
}

#[test]
fn keys_of_another_device_are_refused() {
    let mut home = TestServer::open();
    let alice = sign_up(&mut home, "alice", "A");
    let one_time = json!({ "curve25519:1": "x" });
    for (field, value) in [
        ("user_id", "@bob:private.localhost"),
        ("device_id", "B"),
        ("device_id", ""),
    ] {
        let mut keys = alice.keys();
        keys[field] = json!(value);
        let body = json!({ "device_keys": keys, "one_time_keys": one_time });
        alice.post(&mut home, UPLOAD, body).err(400, "M_BAD_JSON");
    }
    assert!(alice.devices_of(&mut home, &alice.user.user_id).is_empty());
    // Nothing of a refused request is stored.
    let counts = alice.post(&mut home, UPLOAD, json!({})).ok();
    assert_eq!(counts["one_time_key_counts"].get("curve25519"), None);
}

#[test]
fn changed_keys_replace_the_former() {
    let (mut home, alice, bob) = two();
    let cross_signing = set_up(&mut home, &alice, 50);
    let me = alice.user.user_id.as_str();
    let by_self = super::signed(&alice.keys(), me, &cross_signing.self_signing);
    let body = json!({ me: { "A": by_self } });
    alice.post(&mut home, super::SIGNATURES, body).ok();
    let id = cross_signing.self_signing.id();
    let shown = |home: &mut TestServer| {
        let found = bob.query(home, me);
        found["device_keys"][me]["A"]["signatures"][me]
            .get(id)
            .cloned()
    };
    assert!(shown(&mut home).is_some());
    // The same keys, uploaded again or signed again, are still signed by the user.
    alice.upload(&mut home);
    assert!(shown(&mut home).is_some());
    let mut keys = alice.keys();
    keys["signatures"][me]["ed25519:other"] = json!("x");
    let body = json!({ "device_keys": keys });
    alice.post(&mut home, UPLOAD, body).ok();
    assert!(shown(&mut home).is_some());
    keys["keys"]["curve25519:A"] = json!("y");
    let body = json!({ "device_keys": keys });
    alice.post(&mut home, UPLOAD, body).ok();
    assert_eq!(shown(&mut home), None);
}

/// Ends the session of alice's second device, in one of several ways.
fn end(home: &mut TestServer, how: &str, first: &TestDevice, second: &TestDevice) {
    match how {
        "logout" => drop(second.post(home, crate::LOGOUT, json!({})).ok()),
        "logout all" => {
            let path = "/_matrix/client/v3/logout/all";
            second.post(home, path, json!({})).ok();
        }
        "delete" => {
            let path = "/_matrix/client/v3/devices/second";
            let reply = home.prove(&first.user, Method::Delete, path, json!({}));
            reply.ok();
        }
        "password" => {
            let path = "/_matrix/client/v3/account/password";
            let body = json!({ "new_password": "another horse" });
            home.prove(&first.user, Method::Post, path, body).ok();
        }
        "deactivate" => {
            let path = "/_matrix/client/v3/account/deactivate";
            home.prove(&first.user, Method::Post, path, json!({})).ok();
        }
        _ => panic!("{how}"),
    }
}

#[test]
fn end_of_session_deletes_keys() {
    for (how, remain) in [
        ("logout", 1),
        ("logout all", 0),
        ("delete", 1),
        ("password", 1),
        ("deactivate", 0),
    ] {
        let (mut home, alice, bob) = two();
        let second = log_in(&mut home, "alice", "second");
        second.upload(&mut home);
        let more = json!({ "one_time_keys": { "curve25519:1": "x" },
            "fallback_keys": { "curve25519:2": "x" } });
        second.post(&mut home, UPLOAD, more).ok();
        let cross_signing = set_up(&mut home, &alice, 50);
        let me = alice.user.user_id.as_str();
        let master = super::signed(&cross_signing.master_key(), me, &second.key);
        let id = super::public_key(&cross_signing.master);
        let body = json!({ me: { id: master } });
        let done = alice.post(&mut home, super::SIGNATURES, body).ok();
        assert_eq!(done["failures"], json!({}), "{how}");
        alice.room(&mut home, &[&bob]);
        let before = bob.sync(&mut home);
        end(&mut home, how, &alice, &second);
        assert_eq!(bob.devices_of(&mut home, me).len(), remain, "{how}");
        let changes = bob.sync_after(&mut home, &before);
        assert_eq!(changes["device_lists"]["changed"], json!([me]), "{how}");
        let body = json!({ "one_time_keys": { me: { "second": "curve25519" } } });
        let claimed = bob.post(&mut home, super::CLAIM, body).ok();
        assert_eq!(claimed["one_time_keys"], json!({}), "{how}");
        let master = &bob.query(&mut home, me)["master_keys"];
        if how == "deactivate" {
            assert_eq!(*master, json!({}));
        } else {
            let signatures = master[me].get("signatures");
            let signatures = signatures.and_then(|all| all[me].get("ed25519:second"));
            assert_eq!(signatures, None, "{how}");
        }
    }
}

#[test]
fn new_device_of_the_same_name_has_no_keys() {
    let (mut home, alice, bob) = two();
    let send = "/_matrix/client/v3/sendToDevice/m.test/1";
    let body = json!({ "messages": { alice.user.user_id.clone(): { "A": {} } } });
    bob.call(&mut home, Method::Put, send, body).ok();
    alice.post(&mut home, crate::LOGOUT, json!({})).ok();
    let again = log_in(&mut home, "alice", "A");
    assert!(again.devices_of(&mut home, &again.user.user_id).is_empty());
    assert_eq!(again.sync(&mut home).get("to_device"), None);
}

#[test]
fn application_service_names_a_device() {
    let service = ApplicationService::new("bots", "a-secret", "_bot").user_prefix("_bot_");
    let mut home = TestServer::new(Config::default().application_service(service));
    let body = json!({ "type": "m.login.application_service", "username": "_bot_one",
        "device_id": "S" });
    home.post_as("a-secret", crate::REGISTER, body).ok();
    let keys = json!({
        "user_id": "@_bot_one:private.localhost", "device_id": "S", "algorithms": [],
        "keys": {}, "signatures": {},
    });
    let body = json!({ "device_keys": keys });
    let user = format!("{UPLOAD}?user_id=@_bot_one:private.localhost");
    home.post_as("a-secret", &user, body.clone())
        .err(400, "M_MISSING_PARAM");
    home.post_as("a-secret", &format!("{user}&device_id=S"), body)
        .ok();
}

#[test]
fn upgraded_guest_has_new_keys() {
    let mut home = TestServer::new(Config::default().guests(true));
    let guest = home.post(&format!("{}?kind=guest", crate::REGISTER), json!({}));
    let guest = TestDevice::of(&guest.ok());
    guest.upload(&mut home);
    let me = guest.user.user_id.clone();
    assert_eq!(guest.devices_of(&mut home, &me).len(), 1);
    let name = me[1..].split_once(':').unwrap().0;
    let body = json!({ "username": name, "password": PASSWORD,
        "guest_access_token": guest.user.token });
    let user = TestDevice::of(&home.register(body).ok());
    assert_eq!(user.user.user_id, me);
    let none: Vec<String> = Vec::new();
    assert_eq!(user.devices_of(&mut home, &me), none);
    let found: Value = user.query(&mut home, &me);
    assert_eq!(found["device_keys"][&me], json!({}));
}
