//! Registration of users.

use std::time::Duration;

use matricula_homeserver::{Config, PasswordCodes, PasswordPolicy, Registration};
use serde_json::{Value, json};

use crate::{PASSWORD, REGISTER, TestServer, post, text};

#[test]
fn registration_returns_token_and_device() {
    let mut home = TestServer::open();
    let json = home.register_named("alice").ok();
    assert_eq!(json["user_id"], "@alice:private.localhost");
    let keys: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["access_token", "device_id", "user_id"]);
    let me = home.whoami(&text(&json, "access_token")).ok();
    assert_eq!(me["user_id"], json["user_id"]);
    assert_eq!(me["device_id"], json["device_id"]);
    assert_eq!(me["is_guest"], false);
}

#[test]
fn device_id_is_requested_or_new() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": PASSWORD, "device_id": "Mine, all mine" });
    assert_eq!(home.register(body).ok()["device_id"], "Mine, all mine");
    let one = text(&home.register_named("bob").ok(), "device_id");
    let other = text(&home.login("bob", json!({})).ok(), "device_id");
    assert!(one.len() >= 10 && one != other, "{one} {other}");
    for bad in [
        json!({ "device_id": "" }),
        json!({ "device_id": "x".repeat(513) }),
    ] {
        let mut body = json!({ "username": "carol", "password": PASSWORD });
        body["device_id"] = bad["device_id"].clone();
        home.register(body).err(400, "M_INVALID_PARAM");
    }
    home.login("carol", json!({})).err(403, "M_FORBIDDEN");
}

#[test]
fn inhibit_login_returns_no_token() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": PASSWORD, "inhibit_login": true,
        "refresh_token": true, "device_id": "D" });
    let json = home.register(body).ok();
    assert_eq!(json, json!({ "user_id": "@alice:private.localhost" }));
    home.login("alice", json!({})).ok();
}

#[test]
fn refresh_token_only_on_request() {
    let config = Config::default().access_token_lifetime(Duration::from_secs(60));
    let mut home = TestServer::new(config);
    let json = home.register_named("alice").ok();
    assert_eq!(json["expires_in_ms"], 60_000);
    assert_eq!(json.get("refresh_token"), None);
    let body = json!({ "username": "bob", "password": PASSWORD, "refresh_token": true });
    let json = home.register(body).ok();
    assert_eq!(json["expires_in_ms"], 60_000);
    assert!(json["refresh_token"].is_string());
}

#[test]
fn server_assigns_numeric_username() {
    let mut home = TestServer::open();
    home.register_named("alice").ok();
    let first = text(
        &home.register(json!({ "password": PASSWORD })).ok(),
        "user_id",
    );
    let second = text(
        &home.register(json!({ "password": PASSWORD })).ok(),
        "user_id",
    );
    assert_eq!(
        [first.as_str(), second.as_str()],
        ["@2:private.localhost", "@3:private.localhost"]
    );
    home.login("3", json!({})).ok();
}

#[test]
fn server_may_rename_users() {
    let mut home = TestServer::new(Config::default().rename_users(true));
    let json = home.register_named("alice").ok();
    assert_eq!(json["user_id"], "@alice-1:private.localhost");
    home.login("alice", json!({})).err(403, "M_FORBIDDEN");
    home.login("@alice-1:private.localhost", json!({})).ok();
    home.register_named("alice").err(400, "M_USER_IN_USE");
    home.get("/_matrix/client/v3/register/available?username=alice")
        .err(400, "M_USER_IN_USE");
}

#[test]
fn password_is_needed_at_end() {
    let mut home = TestServer::open();
    let session = text(
        &home.post(REGISTER, json!({ "username": "alice" })).more(),
        "session",
    );
    let auth = json!({ "type": "m.login.dummy", "session": session });
    home.post(REGISTER, json!({ "auth": auth }))
        .err(400, "M_MISSING_PARAM");
    // The stage is complete; only the password was missing.
    let body = json!({ "password": PASSWORD, "auth": { "session": session } });
    assert_eq!(
        home.post(REGISTER, body).ok()["user_id"],
        "@alice:private.localhost"
    );
}

#[test]
fn weak_password_is_rejected_early() {
    let policy = PasswordPolicy::strict(PasswordCodes::Named);
    let mut home = TestServer::new(Config::default().password_policy(policy));
    for (password, code) in [
        ("aB1!", "M_PASSWORD_TOO_SHORT"),
        ("aB!aB!aB!", "M_PASSWORD_NO_DIGIT"),
        ("aB1aB1aB1", "M_PASSWORD_NO_SYMBOL"),
        ("ab1!ab1!", "M_PASSWORD_NO_UPPERCASE"),
        ("AB1!AB1!", "M_PASSWORD_NO_LOWERCASE"),
    ] {
        let body = json!({ "username": "alice", "password": password });
        home.post(REGISTER, body.clone()).err(400, code);
        home.register(body).err(400, code);
    }
    let good = json!({ "username": "alice", "password": "aB1!aB1!" });
    home.post(REGISTER, good.clone()).more();
    home.register(good).ok();
}

#[test]
fn weak_password_code_is_configurable() {
    let policy = PasswordPolicy::strict(PasswordCodes::Weak);
    let mut home = TestServer::new(Config::default().password_policy(policy));
    for password in ["", "aB1!", "aB!aB!aB!"] {
        let body = json!({ "username": "alice", "password": password });
        home.post(REGISTER, body).err(400, "M_WEAK_PASSWORD");
    }
}

#[test]
fn empty_password_is_rejected() {
    let mut home = TestServer::open();
    home.register(json!({ "username": "alice", "password": "" }))
        .err(400, "M_PASSWORD_TOO_SHORT");
}

#[test]
fn closed_registration_is_consistent() {
    let mut home = TestServer::new(Config::default().registration(Registration::Closed));
    home.post(REGISTER, json!({})).err(403, "M_FORBIDDEN");
    home.register_named("alice").err(403, "M_FORBIDDEN");
    home.get("/_matrix/client/v3/register/available?username=a")
        .err(403, "M_FORBIDDEN");
    home.get(&format!("{}?token=a", crate::VALIDITY))
        .err(403, "M_FORBIDDEN");
}

#[test]
fn unknown_kinds_are_rejected() {
    let mut home = TestServer::open();
    home.post(&format!("{REGISTER}?kind=user"), json!({}))
        .more();
    home.post(&format!("{REGISTER}?kind=robot"), json!({}))
        .err(400, "M_UNRECOGNIZED");
}

#[test]
fn service_type_needs_service_token() {
    let mut home = TestServer::open();
    let body = json!({ "type": "m.login.application_service", "username": "bot" });
    home.post(REGISTER, body.clone())
        .err(401, "M_MISSING_TOKEN");
    home.post_as("as", REGISTER, body)
        .err(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn wrong_types_have_error_codes() {
    let mut home = TestServer::open();
    for (body, code) in [
        ("", "M_NOT_JSON"),
        ("{", "M_NOT_JSON"),
        ("[]", "M_BAD_JSON"),
        ("null", "M_BAD_JSON"),
        (r#"{"auth":[]}"#, "M_BAD_JSON"),
        (r#"{"auth":{"type":1}}"#, "M_BAD_JSON"),
        (r#"{"auth":{"session":{}}}"#, "M_BAD_JSON"),
        (r#"{"username":1}"#, "M_BAD_JSON"),
        (r#"{"password":["x"]}"#, "M_BAD_JSON"),
        (r#"{"device_id":true}"#, "M_BAD_JSON"),
        (r#"{"inhibit_login":"yes"}"#, "M_BAD_JSON"),
        (r#"{"refresh_token":"yes"}"#, "M_BAD_JSON"),
        (r#"{"initial_device_display_name":{}}"#, "M_BAD_JSON"),
    ] {
        let mut request = post(REGISTER, Value::Null);
        request.body = body.as_bytes().to_vec();
        home.send(request).err(400, code);
    }
}

#[test]
fn null_equals_absent() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": PASSWORD, "device_id": null,
        "inhibit_login": null, "refresh_token": null, "initial_device_display_name": null });
    home.post(REGISTER, {
        let mut body = body.clone();
        body["auth"] = Value::Null;
        body
    })
    .more();
    home.register(body).ok();
}
