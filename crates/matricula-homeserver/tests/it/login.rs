//! Login, logout, and tokens.

use serde_json::{Value, json};

use crate::{LOGIN, LOGOUT, PASSWORD, TestServer, WHOAMI, text};

#[test]
fn login_with_localpart_or_user_id() {
    let mut home = TestServer::open();
    home.register_named("alice").ok();
    for name in ["alice", "Alice", "@alice:private.localhost"] {
        let json = home.login(name, json!({})).ok();
        assert_eq!(json["user_id"], "@alice:private.localhost");
        let old = json!({ "type": "m.login.password", "user": name, "password": PASSWORD });
        home.post(LOGIN, old).ok();
    }
}

#[test]
fn unknown_user_looks_like_wrong_password() {
    let mut home = TestServer::open();
    home.register_named("alice").ok();
    let mut attempt = |user: &str, password: &str| {
        let identifier = json!({ "type": "m.id.user", "user": user });
        let body =
            json!({ "type": "m.login.password", "identifier": identifier, "password": password });
        home.post(LOGIN, body).err(403, "M_FORBIDDEN")
    };
    let wrong = attempt("alice", "wrong");
    for user in ["bob", "", "@alice:elsewhere.example", "@alice", "älice"] {
        assert_eq!(attempt(user, PASSWORD), wrong);
    }
}

#[test]
fn unknown_threepid_cannot_log_in() {
    let mut home = TestServer::open();
    for more in [
        json!({ "identifier": { "type": "m.id.thirdparty", "medium": "email", "address": "a@b" } }),
        json!({ "identifier": { "type": "m.id.phone", "country": "GB", "phone": "1" } }),
        json!({ "medium": "email", "address": "a@b" }),
    ] {
        let mut body = json!({ "type": "m.login.password", "password": PASSWORD });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        home.post(LOGIN, body).err(403, "M_FORBIDDEN");
    }
}

#[test]
fn missing_login_fields_have_codes() {
    let mut home = TestServer::open();
    let user = json!({ "type": "m.id.user", "user": "alice" });
    for (body, code) in [
        (json!({}), "M_MISSING_PARAM"),
        (
            json!({ "type": "m.login.token", "token": "x" }),
            "M_UNKNOWN",
        ),
        (json!({ "type": 1 }), "M_BAD_JSON"),
        (
            json!({ "type": "m.login.password", "password": "x" }),
            "M_MISSING_PARAM",
        ),
        (
            json!({ "type": "m.login.password", "identifier": user }),
            "M_MISSING_PARAM",
        ),
        (
            json!({ "type": "m.login.password", "identifier": "alice", "password": "x" }),
            "M_BAD_JSON",
        ),
        (
            json!({ "type": "m.login.password", "identifier": {}, "password": "x" }),
            "M_MISSING_PARAM",
        ),
        // Every identifier needs a type, as on Synapse.
        (
            json!({ "type": "m.login.password", "password": "x",
                "identifier": { "medium": "email", "address": "a@b" } }),
            "M_MISSING_PARAM",
        ),
        (
            json!({ "type": "m.login.password", "identifier": { "type": "m.id.user" }, "password": "x" }),
            "M_MISSING_PARAM",
        ),
        (
            json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": 1 },
                "password": "x" }),
            "M_BAD_JSON",
        ),
        (
            json!({ "type": "m.login.password", "identifier": { "type": "org.example" }, "password": "x" }),
            "M_UNKNOWN",
        ),
        (Value::Null, "M_BAD_JSON"),
    ] {
        home.post(LOGIN, body).err(400, code);
    }
}

#[test]
fn new_login_revokes_device_tokens() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": PASSWORD, "device_id": "D",
        "refresh_token": true });
    let first = home.register(body).ok();
    let other = home.login("alice", json!({ "device_id": "E" })).ok();
    let second = home.login("alice", json!({ "device_id": "D" })).ok();
    assert_eq!(second["device_id"], "D");
    home.whoami(&text(&first, "access_token"))
        .err(401, "M_UNKNOWN_TOKEN");
    home.post(
        crate::REFRESH,
        json!({ "refresh_token": text(&first, "refresh_token") }),
    )
    .err(401, "M_UNKNOWN_TOKEN");
    home.whoami(&text(&second, "access_token")).ok();
    home.whoami(&text(&other, "access_token")).ok();
}

#[test]
fn users_may_share_device_ids() {
    let mut home = TestServer::open();
    let register = |name: &str| json!({ "username": name, "password": PASSWORD, "device_id": "D" });
    let alice = home.register(register("alice")).ok();
    let bob = home.register(register("bob")).ok();
    assert_eq!(
        home.whoami(&text(&alice, "access_token")).ok()["user_id"],
        alice["user_id"]
    );
    assert_eq!(
        home.whoami(&text(&bob, "access_token")).ok()["user_id"],
        bob["user_id"]
    );
}

#[test]
fn token_in_header_or_query() {
    let mut home = TestServer::open();
    let token = text(&home.register_named("alice").ok(), "access_token");
    home.get(&format!("{WHOAMI}?access_token={token}")).ok();
    home.whoami(&token).ok();
    home.get(WHOAMI).err(401, "M_MISSING_TOKEN");
    let json = home.whoami("mta_invented").err(401, "M_UNKNOWN_TOKEN");
    assert_eq!(json["soft_logout"], false);
}

#[test]
fn logout_deletes_one_device() {
    let mut home = TestServer::open();
    let one = text(&home.register_named("alice").ok(), "access_token");
    let other = text(&home.login("alice", json!({})).ok(), "access_token");
    assert_eq!(home.post_as(&one, LOGOUT, json!({})).ok(), json!({}));
    let json = home.whoami(&one).err(401, "M_UNKNOWN_TOKEN");
    assert_eq!(json["soft_logout"], false);
    home.post_as(&one, LOGOUT, json!({}))
        .err(401, "M_UNKNOWN_TOKEN");
    home.whoami(&other).ok();
    home.post(LOGOUT, json!({})).err(401, "M_MISSING_TOKEN");
}

#[test]
fn logout_all_deletes_all_devices() {
    let mut home = TestServer::open();
    let one = text(&home.register_named("alice").ok(), "access_token");
    let other = text(&home.login("alice", json!({})).ok(), "access_token");
    let bob = text(&home.register_named("bob").ok(), "access_token");
    home.post_as(&one, &format!("{LOGOUT}/all"), json!({})).ok();
    home.whoami(&one).err(401, "M_UNKNOWN_TOKEN");
    home.whoami(&other).err(401, "M_UNKNOWN_TOKEN");
    home.whoami(&bob).ok();
    home.login("alice", json!({})).ok();
}
