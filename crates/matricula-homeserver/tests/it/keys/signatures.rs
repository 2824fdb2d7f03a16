//! Signatures that are uploaded after the keys that they sign.

use serde_json::{Value, json};

use super::{
    CrossSigning, SIGNATURES, TestDevice, log_in, private_key, public_key, set_up, sign_up, signed,
    two,
};
use crate::TestServer;

/// Uploads a signed object; returns the code of its failure.
fn upload(
    home: &mut TestServer,
    by: &TestDevice,
    user: &str,
    key: &str,
    object: &Value,
) -> Option<String> {
    let body = json!({ user: { key: object } });
    let done = by.post(home, SIGNATURES, body).ok();
    let failure = &done["failures"][user][key];
    assert_eq!(failure.is_null(), done["failures"] == json!({}), "{done}");
    let code = failure["errcode"].as_str()?;
    assert!(failure["error"].is_string());
    Some(code.to_owned())
}

/// The signatures of a device that a query returns, of which those of the device itself are left out.
fn of_device(home: &mut TestServer, by: &TestDevice, of: &TestDevice) -> Vec<String> {
    let me = &of.user.user_id;
    let found = by.query(home, me);
    let signatures = &found["device_keys"][me][&of.id]["signatures"];
    names(signatures, &format!("ed25519:{}", of.id))
}

/// The signatures of a user's master key that a query returns.
fn of_master(home: &mut TestServer, by: &TestDevice, user: &str) -> Vec<String> {
    let found = by.query(home, user);
    names(&found["master_keys"][user]["signatures"], "")
}

fn names(signatures: &Value, but: &str) -> Vec<String> {
    let users = signatures.as_object().into_iter().flatten();
    let keys = users.flat_map(|(user, keys)| {
        let keys = keys.as_object().unwrap().keys();
        keys.map(move |key| (user, key))
    });
    keys.filter(|(_, key)| *key != but)
        .map(|(user, key)| format!("{user} {key}"))
        .collect()
}

#[test]
fn self_signing_key_signs_devices() {
    let (mut home, alice, bob) = two();
    let second = log_in(&mut home, "alice", "second");
    second.upload(&mut home);
    let keys = set_up(&mut home, &alice, 50);
    let me = alice.user.user_id.as_str();
    let object = signed(&second.keys(), me, &keys.self_signing);
    for _ in 0..2 {
        let failed = upload(&mut home, &alice, me, "second", &object);
        assert_eq!(failed, None);
        let expected = [format!("{me} {}", keys.self_signing.id())];
        assert_eq!(of_device(&mut home, &bob, &second), expected);
    }
    assert!(of_device(&mut home, &bob, &alice).is_empty());
    // `unsigned` is not signed.
    let mut object = signed(&alice.keys(), me, &keys.self_signing);
    object["unsigned"] = json!({ "device_display_name": "Phone" });
    assert_eq!(upload(&mut home, &alice, me, "A", &object), None);
    assert_eq!(of_device(&mut home, &bob, &alice).len(), 1);
}

#[test]
fn devices_sign_their_master_key() {
    let (mut home, alice, bob) = two();
    let second = log_in(&mut home, "alice", "second");
    second.upload(&mut home);
    let keys = set_up(&mut home, &alice, 50);
    let me = alice.user.user_id.as_str();
    let id = public_key(&keys.master);
    let object = signed(&keys.master_key(), me, &alice.key);
    assert_eq!(upload(&mut home, &alice, me, &id, &object), None);
    // What was uploaded before can be repeated.
    let object = signed(&object, me, &second.key);
    assert_eq!(upload(&mut home, &second, me, &id, &object), None);
    let expected = [format!("{me} ed25519:A"), format!("{me} ed25519:second")];
    assert_eq!(of_master(&mut home, &bob, me), expected);
    assert_eq!(of_master(&mut home, &alice, me), expected);
}

#[test]
fn user_signing_key_signs_others_unseen() {
    let (mut home, alice, bob) = two();
    let carol = sign_up(&mut home, "carol", "C");
    let [alices, bobs] = [set_up(&mut home, &alice, 50), set_up(&mut home, &bob, 60)];
    let (me, other) = (alice.user.user_id.as_str(), bob.user.user_id.as_str());
    let object = signed(&bobs.master_key(), me, &alices.user_signing);
    let id = public_key(&bobs.master);
    assert_eq!(upload(&mut home, &alice, other, &id, &object), None);
    let expected = [format!("{me} {}", alices.user_signing.id())];
    assert_eq!(of_master(&mut home, &alice, other), expected);
    for others in [&bob, &carol] {
        assert!(of_master(&mut home, others, other).is_empty());
    }
    // After bob has new keys, the signature is gone.
    let body = CrossSigning::new(&bob, 70).body();
    home.prove(
        &bob.user,
        matricula_core::Method::Post,
        super::SIGNING,
        body,
    )
    .ok();
    assert!(of_master(&mut home, &alice, other).is_empty());
}

#[test]
fn each_signature_is_checked() {
    let (mut home, alice, bob) = two();
    let carol = sign_up(&mut home, "carol", "C");
    carol.upload(&mut home);
    let [alices, bobs] = [set_up(&mut home, &alice, 50), set_up(&mut home, &bob, 60)];
    let (me, other) = (alice.user.user_id.as_str(), bob.user.user_id.as_str());
    let own_master = public_key(&alices.master);
    let bobs_master = public_key(&bobs.master);
    let own_self_signing = public_key(&alices.self_signing);
    let bobs_self_signing = public_key(&bobs.self_signing);
    let stranger = private_key("", 99);
    let by_self = |object: &Value| signed(object, me, &alices.self_signing);
    let by_user = |object: &Value| signed(object, me, &alices.user_signing);
    let with = |mut object: Value, pointer: &str, value: Value| {
        *object.pointer_mut(pointer).unwrap() = value;
        object
    };
    let keys = alice.keys();
    let algorithms = "/algorithms";
    let self_id = format!(
        "/signatures/{me}/{}",
        alices.self_signing.id().replace('/', "~1")
    );
    let device_id = format!("/signatures/{me}/ed25519:A");
    let on_master = signed(&alices.master_key(), me, &alice.key);
    let invalid = Some("M_INVALID_SIGNATURE".to_owned());
    let unknown = Some("M_NOT_FOUND".to_owned());
    for (user, key, object, expected) in [
        // Own devices.
        (me, "A", keys.clone(), &invalid),
        (me, "A", json!({}), &invalid),
        (me, "A", signed(&keys, me, &stranger), &invalid),
        (me, "A", signed(&keys, me, &alices.master), &invalid),
        (
            me,
            "A",
            signed(&keys, other, &alices.self_signing),
            &invalid,
        ),
        (
            me,
            "A",
            by_self(&with(keys.clone(), algorithms, json!([]))),
            &invalid,
        ),
        (
            me,
            "A",
            with(by_self(&keys), algorithms, json!([])),
            &invalid,
        ),
        (
            me,
            "A",
            with(by_self(&keys), &self_id, json!("x")),
            &invalid,
        ),
        (me, "A", with(by_self(&keys), &self_id, json!(1)), &invalid),
        (
            me,
            "A",
            with(by_self(&keys), "/signatures", json!([])),
            &invalid,
        ),
        (
            me,
            "A",
            with(by_self(&keys), &format!("/signatures/{me}"), json!(1)),
            &invalid,
        ),
        (me, "x", by_self(&keys), &unknown),
        (me, "", by_self(&keys), &unknown),
        // The own master key.
        (me, &*own_master, alices.master_key(), &invalid),
        (
            me,
            &*own_master,
            signed(&alices.master_key(), me, &stranger),
            &invalid,
        ),
        (
            me,
            &*own_master,
            signed(&alices.master_key(), me, &bob.key),
            &invalid,
        ),
        (
            me,
            &*own_master,
            with(on_master.clone(), &device_id, json!("x")),
            &invalid,
        ),
        (
            me,
            &*own_master,
            with(on_master.clone(), &device_id, json!(null)),
            &invalid,
        ),
        (
            me,
            &*own_master,
            with(on_master.clone(), "/usage", json!(["x"])),
            &invalid,
        ),
        (me, &*own_self_signing, on_master, &unknown),
        // Other users.
        (other, "B", by_user(&bob.keys()), &unknown),
        (
            other,
            &*bobs_self_signing,
            by_user(&bobs.self_signing_key()),
            &unknown,
        ),
        (other, &*bobs_master, by_self(&bobs.master_key()), &invalid),
        (
            other,
            &*bobs_master,
            signed(&bobs.master_key(), other, &bobs.user_signing),
            &invalid,
        ),
        (
            other,
            &*bobs_master,
            by_user(&alices.master_key()),
            &invalid,
        ),
        (
            "@carol:private.localhost",
            "C",
            by_user(&carol.keys()),
            &unknown,
        ),
        (
            "@dave:private.localhost",
            "x",
            by_user(&bobs.master_key()),
            &unknown,
        ),
        (
            "@erin:example.org",
            &*bobs_master,
            by_user(&bobs.master_key()),
            &unknown,
        ),
    ] {
        let failed = upload(&mut home, &alice, user, key, &object);
        assert_eq!(failed, *expected, "{user} {key} {object}");
    }
    assert!(of_device(&mut home, &alice, &alice).is_empty());
    assert!(of_master(&mut home, &alice, me).is_empty());
    assert!(of_master(&mut home, &alice, other).is_empty());
}

#[test]
fn failures_do_not_affect_the_rest() {
    let (mut home, alice, bob) = two();
    let [alices, bobs] = [set_up(&mut home, &alice, 50), set_up(&mut home, &bob, 60)];
    let (me, other) = (alice.user.user_id.as_str(), bob.user.user_id.as_str());
    let body = json!({
        me: { "A": signed(&alice.keys(), me, &alices.self_signing), "x": alice.keys() },
        other: {
            public_key(&bobs.master): signed(&bobs.master_key(), me, &alices.user_signing),
            "B": bob.keys(),
        },
    });
    let done = alice.post(&mut home, SIGNATURES, body).ok();
    assert_eq!(done["failures"][me]["x"]["errcode"], "M_NOT_FOUND");
    assert_eq!(done["failures"][other]["B"]["errcode"], "M_NOT_FOUND");
    assert_eq!(done["failures"][me].as_object().unwrap().len(), 1);
    assert_eq!(done["failures"][other].as_object().unwrap().len(), 1);
    assert_eq!(of_device(&mut home, &bob, &alice).len(), 1);
    assert_eq!(of_master(&mut home, &alice, other).len(), 1);
}

#[test]
fn users_without_keys_sign_nothing() {
    let (mut home, alice, bob) = two();
    let bobs = set_up(&mut home, &bob, 60);
    let (me, other) = (alice.user.user_id.as_str(), bob.user.user_id.as_str());
    let stranger = private_key("", 99);
    let unknown = Some("M_NOT_FOUND".to_owned());
    let object = signed(&alice.keys(), me, &stranger);
    assert_eq!(upload(&mut home, &alice, me, "A", &object), unknown);
    let object = signed(&bobs.master_key(), me, &stranger);
    let id = public_key(&bobs.master);
    assert_eq!(upload(&mut home, &alice, other, &id, &object), unknown);
}
