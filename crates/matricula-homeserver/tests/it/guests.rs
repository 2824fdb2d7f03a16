//! Guests: registration and upgrade.

use matricula_homeserver::{Config, Registration};
use serde_json::{Value, json};

use crate::{LOGOUT, PASSWORD, REGISTER, TestServer, text};

fn home() -> TestServer {
    TestServer::new(Config::default().guests(true))
}

fn guest(home: &mut TestServer, body: Value) -> Value {
    home.post(&format!("{REGISTER}?kind=guest"), body).ok()
}

#[test]
fn guest_needs_no_stages() {
    let mut home = home();
    let json = guest(&mut home, json!({}));
    assert_eq!(json["user_id"], "@1:private.localhost");
    let me = home.whoami(&text(&json, "access_token")).ok();
    assert_eq!(me["is_guest"], true);
    assert_eq!(me["device_id"], json["device_id"]);
}

#[test]
fn guest_request_uses_only_device_name() {
    let mut home = home();
    home.register_named("alice").ok();
    let json = guest(
        &mut home,
        json!({ "username": "alice", "password": 1, "device_id": "MINE", "inhibit_login": true,
            "refresh_token": true, "auth": { "session": "none" },
            "initial_device_display_name": "Phone" }),
    );
    assert_eq!(json["user_id"], "@2:private.localhost");
    assert_ne!(json["device_id"], "MINE");
    assert_eq!(json.get("refresh_token"), None);
    home.whoami(&text(&json, "access_token")).ok();
}

#[test]
fn guests_may_be_disabled() {
    TestServer::open()
        .post(&format!("{REGISTER}?kind=guest"), json!({}))
        .err(403, "M_FORBIDDEN");
}

#[test]
fn closed_server_may_allow_guests() {
    let config = Config::default()
        .guests(true)
        .registration(Registration::Closed);
    guest(&mut TestServer::new(config), json!({}));
}

#[test]
fn guest_has_no_password_or_logout() {
    let mut home = home();
    let json = guest(&mut home, json!({ "password": PASSWORD }));
    home.login("1", json!({})).err(403, "M_FORBIDDEN");
    let token = text(&json, "access_token");
    home.post_as(&token, LOGOUT, json!({}))
        .err(403, "M_GUEST_ACCESS_FORBIDDEN");
    home.whoami(&token).ok();
}

#[test]
fn guest_becomes_user_with_same_id() {
    let mut home = home();
    let token = text(&guest(&mut home, json!({})), "access_token");
    let body = json!({ "username": "1", "password": PASSWORD, "guest_access_token": token });
    let session = text(&home.post(REGISTER, body).more(), "session");
    // The guest exists until the upgrade is complete.
    home.whoami(&token).ok();
    let auth = json!({ "auth": { "type": "m.login.dummy", "session": session } });
    let json = home.post(REGISTER, auth).ok();
    assert_eq!(json["user_id"], "@1:private.localhost");
    let me = home.whoami(&text(&json, "access_token")).ok();
    assert_eq!(me["is_guest"], false);
    home.whoami(&token).err(401, "M_UNKNOWN_TOKEN");
    home.login("1", json!({})).ok();
}

#[test]
fn guest_name_is_not_available() {
    let mut home = home();
    let token = text(&guest(&mut home, json!({})), "access_token");
    let alice = text(&home.register_named("alice").ok(), "access_token");
    let other = guest(&mut home, json!({}));
    assert_eq!(other["user_id"], "@3:private.localhost");
    for (username, token, status, code) in [
        (json!("1"), Value::Null, 400, "M_INVALID_USERNAME"),
        (json!("1"), json!("nobody's"), 403, "M_FORBIDDEN"),
        (json!("1"), json!(alice), 403, "M_FORBIDDEN"),
        (json!("bob"), json!(token), 403, "M_FORBIDDEN"),
        (json!("alice"), json!(token), 400, "M_USER_IN_USE"),
        (json!("3"), json!(token), 400, "M_USER_IN_USE"),
        (Value::Null, json!(token), 400, "M_MISSING_PARAM"),
    ] {
        let body =
            json!({ "username": username, "password": PASSWORD, "guest_access_token": token });
        home.register(body).err(status, code);
    }
    home.whoami(&token).ok();
}

#[test]
fn guest_upgrades_only_once() {
    let mut home = home();
    let token = text(&guest(&mut home, json!({})), "access_token");
    let body = json!({ "username": "1", "password": PASSWORD, "guest_access_token": token });
    let sessions = [0, 1].map(|_| text(&home.post(REGISTER, body.clone()).more(), "session"));
    let auth = |session: &str| json!({ "auth": { "type": "m.login.dummy", "session": session } });
    home.post(REGISTER, auth(&sessions[0])).ok();
    home.post(REGISTER, auth(&sessions[1]))
        .err(400, "M_USER_IN_USE");
}
