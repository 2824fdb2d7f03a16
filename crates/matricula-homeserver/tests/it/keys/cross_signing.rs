//! Upload of cross-signing keys.

use matricula_core::Method;
use matricula_homeserver::{ApplicationService, Config};
use serde_json::{Value, json};

use super::{
    CrossSigning, SIGNATURES, SIGNING, TestDevice, log_in, public_key, set_up, sign_up, signed, two,
};
use crate::TestServer;

/// The cross-signing keys of a user that a query returns: master, self-signing, user-signing.
fn shown(home: &mut TestServer, by: &TestDevice, user: &str) -> [Option<Value>; 3] {
    let found = by.query(home, user);
    ["master_keys", "self_signing_keys", "user_signing_keys"]
        .map(|kind| found[kind].get(user).cloned())
}

#[test]
fn keys_are_shown_to_those_concerned() {
    let (mut home, alice, bob) = two();
    let keys = set_up(&mut home, &alice, 50);
    let me = alice.user.user_id.as_str();
    let [master, self_signing, user_signing] = [
        keys.master_key(),
        keys.self_signing_key(),
        keys.user_signing_key(),
    ]
    .map(Some);
    let own = shown(&mut home, &alice, me);
    assert_eq!(own, [master.clone(), self_signing.clone(), user_signing]);
    let seen = shown(&mut home, &bob, me);
    assert_eq!(seen, [master, self_signing, None]);
    assert_eq!(
        shown(&mut home, &alice, &bob.user.user_id),
        [None, None, None]
    );
}

#[test]
fn first_upload_and_same_keys_need_no_authentication() {
    let (mut home, alice, _) = two();
    let me = alice.user.user_id.as_str();
    let keys = set_up(&mut home, &alice, 50);
    // The response was lost.
    alice.post(&mut home, SIGNING, keys.body()).ok();
    let body = json!({ "self_signing_key": keys.self_signing_key() });
    alice.post(&mut home, SIGNING, body).ok();
    alice.post(&mut home, SIGNING, json!({})).ok();
    // Another signature makes no other key.
    let master = signed(&keys.master_key(), me, &alice.key);
    let body = json!({ "master_key": master });
    alice.post(&mut home, SIGNING, body).ok();

    let others = CrossSigning::new(&alice, 60);
    let mixed = json!({
        "master_key": keys.master_key(),
        "self_signing_key": signed(&others.key("self_signing", &others.self_signing), me, &keys.master),
    });
    let only_new = json!({ "user_signing_key":
        signed(&others.key("user_signing", &others.user_signing), me, &keys.master) });
    for body in [others.body(), mixed, only_new] {
        alice.post(&mut home, SIGNING, body).more();
    }
    let own = shown(&mut home, &alice, me);
    assert_eq!(own[0], Some(keys.master_key()));
    assert_eq!(own[1], Some(keys.self_signing_key()));
}

#[test]
fn authenticated_user_replaces_keys() {
    let (mut home, alice, bob) = two();
    let me = alice.user.user_id.as_str();
    let keys = set_up(&mut home, &alice, 50);
    let by_self = signed(&alice.keys(), me, &keys.self_signing);
    let by_device = signed(&keys.master_key(), me, &alice.key);
    let body = json!({ me: { "A": by_self, public_key(&keys.master): by_device } });
    let done = alice.post(&mut home, SIGNATURES, body).ok();
    assert_eq!(done["failures"], json!({}));

    let others = CrossSigning::new(&alice, 60);
    home.prove(&alice.user, Method::Post, SIGNING, others.body())
        .ok();
    let own = shown(&mut home, &alice, me);
    assert_eq!(
        own,
        [
            others.master_key(),
            others.self_signing_key(),
            others.user_signing_key()
        ]
        .map(Some)
    );
    // The signatures with the former keys are gone.
    let device = &bob.query(&mut home, me)["device_keys"][me]["A"];
    let signatures = device["signatures"][me].as_object().unwrap();
    assert_eq!(signatures.keys().collect::<Vec<_>>(), ["ed25519:A"]);

    // A new master key alone leaves no keys that the former one has signed.
    let third = CrossSigning::new(&alice, 70);
    let body = json!({ "master_key": third.master_key() });
    home.prove(&alice.user, Method::Post, SIGNING, body).ok();
    let own = shown(&mut home, &alice, me);
    assert_eq!(own, [Some(third.master_key()), None, None]);
}

#[test]
fn invalid_keys_are_rejected() {
    let mut home = TestServer::open();
    let alice = sign_up(&mut home, "alice", "A");
    let me = alice.user.user_id.as_str();
    let keys = CrossSigning::new(&alice, 50);
    let strangers = CrossSigning::new(&alice, 60);
    let with = |field: &str, value: Value| {
        let mut body = keys.body();
        body[field] = value;
        body
    };
    let master = |change: &dyn Fn(&mut Value)| {
        let mut master = keys.master_key();
        change(&mut master);
        with("master_key", master)
    };
    let public = public_key(&keys.master);
    let unsigned = keys.key("self_signing", &keys.self_signing);
    let by_stranger = signed(&unsigned, me, &strangers.master);
    let by_other_name = signed(&unsigned, "@bob:private.localhost", &keys.master);
    let mut changed = keys.self_signing_key();
    changed["more"] = json!(1);
    for (body, status, errcode) in [
        (json!({}), 400, "M_MISSING_PARAM"),
        (
            json!({ "self_signing_key": keys.self_signing_key() }),
            400,
            "M_MISSING_PARAM",
        ),
        (
            json!({ "user_signing_key": keys.user_signing_key() }),
            400,
            "M_MISSING_PARAM",
        ),
        (
            with("self_signing_key", unsigned.clone()),
            400,
            "M_INVALID_SIGNATURE",
        ),
        (
            with("self_signing_key", by_stranger),
            400,
            "M_INVALID_SIGNATURE",
        ),
        (
            with("self_signing_key", by_other_name),
            400,
            "M_INVALID_SIGNATURE",
        ),
        (
            with("self_signing_key", changed),
            400,
            "M_INVALID_SIGNATURE",
        ),
        (
            with("user_signing_key", strangers.user_signing_key()),
            400,
            "M_INVALID_SIGNATURE",
        ),
        (
            with("self_signing_key", keys.user_signing_key()),
            400,
            "M_INVALID_PARAM",
        ),
        (with("master_key", json!(1)), 400, "M_BAD_JSON"),
        (with("master_key", json!({})), 400, "M_MISSING_PARAM"),
        (
            master(&|key| key["user_id"] = json!("@bob:private.localhost")),
            400,
            "M_INVALID_PARAM",
        ),
        (
            master(&|key| key["usage"] = json!([])),
            400,
            "M_INVALID_PARAM",
        ),
        (
            master(&|key| key["usage"] = json!(["self_signing"])),
            400,
            "M_INVALID_PARAM",
        ),
        (
            master(&|key| key["usage"] = json!("master")),
            400,
            "M_BAD_JSON",
        ),
        (
            master(&|key| key["keys"] = json!({})),
            400,
            "M_INVALID_PARAM",
        ),
        (
            master(&|key| key["keys"]["ed25519:x"] = json!("x")),
            400,
            "M_INVALID_PARAM",
        ),
        (
            master(&|key| key["keys"] = json!({ "ed25519:x": public })),
            400,
            "M_INVALID_PARAM",
        ),
        (
            master(&|key| key["keys"] = json!({ public.clone(): public })),
            400,
            "M_INVALID_PARAM",
        ),
        (
            master(&|key| key["keys"] = json!({ "ed25519:x": "x" })),
            400,
            "M_INVALID_PARAM",
        ),
        (
            master(&|key| key["keys"] = json!({ "ed25519:": "" })),
            400,
            "M_INVALID_PARAM",
        ),
        (
            master(&|key| key["more"] = json!("x".repeat(20_000))),
            413,
            "M_TOO_LARGE",
        ),
    ] {
        let reply = alice.post(&mut home, SIGNING, body.clone());
        assert_eq!(reply.0.status, status, "{body}: {}", reply.text());
        reply.err(status, errcode);
        assert_eq!(shown(&mut home, &alice, me), [None, None, None]);
    }
    // Not one of the refused requests counts as the first upload.
    alice.post(&mut home, SIGNING, keys.body()).ok();
}

#[test]
fn later_key_is_signed_by_the_stored_master_key() {
    let (mut home, alice, _) = two();
    let me = alice.user.user_id.as_str();
    let keys = CrossSigning::new(&alice, 50);
    let body = json!({ "master_key": keys.master_key() });
    alice.post(&mut home, SIGNING, body).ok();
    let body = json!({ "self_signing_key": keys.self_signing_key() });
    home.prove(&alice.user, Method::Post, SIGNING, body).ok();
    let others = CrossSigning::new(&alice, 60);
    let body = json!({ "user_signing_key": others.user_signing_key() });
    home.prove(&alice.user, Method::Post, SIGNING, body)
        .err(400, "M_INVALID_SIGNATURE");
    let own = shown(&mut home, &alice, me);
    assert_eq!(
        own,
        [Some(keys.master_key()), Some(keys.self_signing_key()), None]
    );
}

#[test]
fn key_is_never_the_id_of_a_device() {
    let (mut home, alice, _) = two();
    let keys = CrossSigning::new(&alice, 50);
    for key in [&keys.master, &keys.self_signing, &keys.user_signing] {
        let device = log_in(&mut home, "alice", &public_key(key));
        alice
            .post(&mut home, SIGNING, keys.body())
            .err(403, "M_FORBIDDEN");
        device.post(&mut home, crate::LOGOUT, json!({})).ok();
    }
    alice.post(&mut home, SIGNING, keys.body()).ok();
    for key in [&keys.master, &keys.self_signing, &keys.user_signing] {
        let body = json!({ "device_id": public_key(key) });
        home.login("alice", body).err(403, "M_FORBIDDEN");
    }
    // Only the keys of the same user matter.
    let body = json!({ "device_id": public_key(&keys.master) });
    home.login("bob", body).ok();
    let devices = alice.get(&mut home, "/_matrix/client/v3/devices").ok();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);
}

#[test]
fn signatures_of_others_are_not_uploaded_with_a_key() {
    let (mut home, alice, bob) = two();
    let me = alice.user.user_id.as_str();
    let keys = CrossSigning::new(&alice, 50);
    let master = signed(&keys.master_key(), me, &alice.key);
    let mut forged = signed(&master, &bob.user.user_id, &bob.key);
    forged["signatures"]["@carol:private.localhost"] = json!(5);
    let mut body = keys.body();
    body["master_key"] = forged;
    alice.post(&mut home, SIGNING, body).ok();
    let seen = shown(&mut home, &bob, me);
    assert_eq!(seen[0], Some(master));
}

#[test]
fn odd_signatures_are_passed_over() {
    for odd in [json!(5), json!(null), json!([]), json!("x"), json!({})] {
        let (mut home, alice, bob) = two();
        let me = alice.user.user_id.as_str();
        let keys = CrossSigning::new(&alice, 50);
        let mut body = keys.body();
        body["master_key"]["signatures"] = json!({ me: odd });
        let reply = alice.post(&mut home, SIGNING, body);
        assert_eq!(reply.0.status, 200, "{odd}: {}", reply.text());
        let by_device = signed(&keys.master_key(), me, &alice.key);
        let body = json!({ me: { public_key(&keys.master): by_device } });
        let done = alice.post(&mut home, SIGNATURES, body).ok();
        assert_eq!(done["failures"], json!({}));
        let seen = shown(&mut home, &bob, me)[0].clone().unwrap();
        assert!(seen["signatures"][me]["ed25519:A"].is_string(), "{seen}");
    }
}

#[test]
fn application_service_replaces_keys_alone() {
    let service = ApplicationService::new("bots", "a-secret", "_bot").user_prefix("_bot_");
    let mut home = TestServer::new(Config::default().application_service(service));
    let body = json!({ "type": "m.login.application_service", "username": "_bot_one",
        "device_id": "S" });
    let bot = TestDevice::of(&home.post_as("a-secret", crate::REGISTER, body).ok());
    let path = format!("{SIGNING}?user_id={}", bot.user.user_id);
    for seed in [50, 60] {
        let keys = CrossSigning::new(&bot, seed);
        home.post_as("a-secret", &path, keys.body()).ok();
        let seen = shown(&mut home, &bot, &bot.user.user_id);
        assert_eq!(seen[0], Some(keys.master_key()));
    }
    // The user alone has to authenticate.
    let keys = CrossSigning::new(&bot, 70);
    bot.post(&mut home, SIGNING, keys.body()).more();
}

#[test]
fn guests_have_no_cross_signing() {
    let mut home = TestServer::new(Config::default().guests(true));
    let guest = home.post(&format!("{}?kind=guest", crate::REGISTER), json!({}));
    let guest = TestDevice::of(&guest.ok());
    let keys = CrossSigning::new(&guest, 50);
    guest
        .post(&mut home, SIGNING, keys.body())
        .err(403, "M_GUEST_ACCESS_FORBIDDEN");
    guest
        .post(&mut home, SIGNATURES, json!({}))
        .err(403, "M_GUEST_ACCESS_FORBIDDEN");
}
