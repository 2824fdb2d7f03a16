//! Profiles.

use matricula_core::Method;
use matricula_homeserver::Config;
use serde_json::{Value, json};

use crate::{REGISTER, Reply, TestServer, TestUser};

fn profile(user_id: &str) -> String {
    format!("/_matrix/client/v3/profile/{user_id}")
}

fn set(home: &mut TestServer, me: &TestUser, name: &str, value: Value) -> Reply {
    let path = format!("{}/{name}", profile(&me.user_id));
    home.call_as(&me.token, Method::Put, &path, json!({ name: value }))
}

#[test]
fn profiles_are_public() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    assert_eq!(home.get(&profile(&me.user_id)).ok(), json!({}));
    set(&mut home, &me, "displayname", json!("Alice")).ok();
    set(
        &mut home,
        &me,
        "avatar_url",
        json!("mxc://private.localhost/a"),
    )
    .ok();
    set(
        &mut home,
        &me,
        "org.example.pet",
        json!({ "is": ["a", "cat"] }),
    )
    .ok();
    let all = json!({ "displayname": "Alice", "avatar_url": "mxc://private.localhost/a",
        "org.example.pet": { "is": ["a", "cat"] } });
    assert_eq!(home.get(&profile(&me.user_id)).ok(), all);
    let one = home.get(&format!("{}/org.example.pet", profile(&me.user_id)));
    assert_eq!(
        one.ok(),
        json!({ "org.example.pet": { "is": ["a", "cat"] } })
    );
}

#[test]
fn field_is_replaced_and_removed() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let path = format!("{}/displayname", profile(&me.user_id));
    set(&mut home, &me, "displayname", json!("Alice")).ok();
    set(&mut home, &me, "displayname", json!("Queen Alice")).ok();
    assert_eq!(home.get(&path).ok()["displayname"], "Queen Alice");
    for _ in 0..2 {
        home.call_as(&me.token, Method::Delete, &path, Value::Null)
            .ok();
        home.get(&path).err(404, "M_NOT_FOUND");
    }
}

#[test]
fn unknown_user_has_no_profile() {
    let mut home = TestServer::open();
    home.get(&profile("@nobody:private.localhost"))
        .err(404, "M_NOT_FOUND");
    home.get(&profile("@alice:elsewhere.example"))
        .err(404, "M_NOT_FOUND");
    home.get(&profile("alice")).err(400, "M_INVALID_PARAM");
}

#[test]
fn profiles_of_others_are_read_only() {
    let mut home = TestServer::open();
    let (me, mallory) = (home.sign_up("alice"), home.sign_up("mallory"));
    set(&mut home, &me, "displayname", json!("Alice")).ok();
    let path = format!("{}/displayname", profile(&me.user_id));
    let body = json!({ "displayname": "Mallory" });
    home.call_as(&mallory.token, Method::Put, &path, body.clone())
        .err(403, "M_FORBIDDEN");
    home.call_as(&mallory.token, Method::Delete, &path, Value::Null)
        .err(403, "M_FORBIDDEN");
    home.call_as("none", Method::Put, &path, body)
        .err(401, "M_UNKNOWN_TOKEN");
    assert_eq!(home.get(&path).ok()["displayname"], "Alice");
}

#[test]
fn guest_has_a_profile() {
    let mut home = TestServer::new(Config::default().guests(true));
    let guest = TestUser::of(&home.post(&format!("{REGISTER}?kind=guest"), json!({})).ok());
    set(&mut home, &guest, "displayname", json!("Visitor")).ok();
}

#[test]
fn profile_size_is_bounded() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let long = "k".repeat(256);
    for (name, value, code) in [
        ("displayname", json!("x".repeat(257)), "M_INVALID_PARAM"),
        ("displayname", json!(7), "M_INVALID_PARAM"),
        ("displayname", json!(null), "M_INVALID_PARAM"),
        ("avatar_url", json!("x".repeat(1_001)), "M_INVALID_PARAM"),
        ("Capital", json!("x"), "M_INVALID_PARAM"),
        (".dot", json!("x"), "M_INVALID_PARAM"),
        (&long, json!("x"), "M_KEY_TOO_LARGE"),
        ("big", json!("x".repeat(65 * 1024)), "M_PROFILE_TOO_LARGE"),
    ] {
        set(&mut home, &me, name, value).err(400, code);
    }
    // The size of the whole profile is limited, too.
    for name in ["a", "b"] {
        set(&mut home, &me, name, json!("x".repeat(30 * 1024))).ok();
    }
    set(&mut home, &me, "c", json!("x".repeat(30 * 1024))).err(400, "M_PROFILE_TOO_LARGE");
    set(&mut home, &me, "a", json!("small")).ok();
    set(&mut home, &me, "c", json!("x".repeat(30 * 1024))).ok();
}
