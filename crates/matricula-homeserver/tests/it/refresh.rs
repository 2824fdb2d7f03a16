//! Token expiry and refresh.

use std::time::Duration;

use matricula_homeserver::Config;
use serde_json::{Value, json};

use crate::{LOGOUT, PASSWORD, REFRESH, TestServer, text};

const LIFETIME: Duration = Duration::from_secs(300);

/// A server, and the response to a registration with a refresh token.
fn home() -> (TestServer, Value) {
    let mut home = TestServer::new(Config::default().access_token_lifetime(LIFETIME));
    let body = json!({ "username": "alice", "password": PASSWORD, "refresh_token": true });
    let first = home.register(body).ok();
    (home, first)
}

fn refresh(home: &mut TestServer, pair: &Value) -> crate::Reply {
    let token = text(pair, "refresh_token");
    home.post(REFRESH, json!({ "refresh_token": token }))
}

fn access(pair: &Value) -> String {
    text(pair, "access_token")
}

#[test]
fn expired_token_is_soft_logout() {
    let (mut home, first) = home();
    home.wait(LIFETIME - Duration::from_millis(1));
    home.whoami(&access(&first)).ok();
    home.wait(Duration::from_millis(1));
    let json = home.whoami(&access(&first)).err(401, "M_UNKNOWN_TOKEN");
    assert_eq!(json["soft_logout"], true);
}

#[test]
fn refresh_returns_new_pair() {
    let (mut home, first) = home();
    home.wait(LIFETIME);
    let second = refresh(&mut home, &first).ok();
    assert_eq!(second["expires_in_ms"], 300_000);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let me = home.whoami(&access(&second)).ok();
    assert_eq!(me["device_id"], first["device_id"]);
    home.wait(LIFETIME);
    let third = refresh(&mut home, &second).ok();
    home.whoami(&access(&third)).ok();
}

#[test]
fn lost_refresh_can_repeat() {
    let (mut home, first) = home();
    let lost = refresh(&mut home, &first).ok();
    let second = refresh(&mut home, &first).ok();
    home.whoami(&access(&lost)).err(401, "M_UNKNOWN_TOKEN");
    refresh(&mut home, &lost).err(401, "M_UNKNOWN_TOKEN");
    home.whoami(&access(&second)).ok();
}

#[test]
fn access_token_use_revokes_old_pair() {
    let (mut home, first) = home();
    let second = refresh(&mut home, &first).ok();
    home.whoami(&access(&first)).ok();
    home.whoami(&access(&second)).ok();
    home.whoami(&access(&first)).err(401, "M_UNKNOWN_TOKEN");
    let json = refresh(&mut home, &first).err(401, "M_UNKNOWN_TOKEN");
    // Soft logout: the client may log in again with the same device.
    assert_eq!(json["soft_logout"], true);
    home.whoami(&access(&second)).ok();
}

#[test]
fn refresh_token_use_revokes_old_pair() {
    let (mut home, first) = home();
    let second = refresh(&mut home, &first).ok();
    let third = refresh(&mut home, &second).ok();
    refresh(&mut home, &first).err(401, "M_UNKNOWN_TOKEN");
    home.whoami(&access(&second)).ok();
    home.whoami(&access(&third)).ok();
    home.whoami(&access(&second)).err(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn expired_token_use_confirms_nothing() {
    let (mut home, first) = home();
    let second = refresh(&mut home, &first).ok();
    home.wait(LIFETIME);
    home.whoami(&access(&second)).err(401, "M_UNKNOWN_TOKEN");
    refresh(&mut home, &first).ok();
}

#[test]
fn refresh_token_may_expire() {
    let config = Config::default()
        .access_token_lifetime(LIFETIME)
        .refresh_token_lifetime(LIFETIME * 2);
    let mut home = TestServer::new(config);
    let body = json!({ "username": "alice", "password": PASSWORD, "refresh_token": true });
    let first = home.register(body).ok();
    home.wait(LIFETIME * 2);
    let json = refresh(&mut home, &first).err(401, "M_UNKNOWN_TOKEN");
    assert_eq!(json["soft_logout"], true);
    let device = text(&first, "device_id");
    let again = home.login(
        "alice",
        json!({ "device_id": device, "refresh_token": true }),
    );
    assert_eq!(again.ok()["device_id"], first["device_id"]);
}

#[test]
fn refresh_token_dies_with_device() {
    let (mut home, first) = home();
    home.post_as(&access(&first), LOGOUT, json!({})).ok();
    let json = refresh(&mut home, &first).err(401, "M_UNKNOWN_TOKEN");
    assert_eq!(json["soft_logout"], false);
}

#[test]
fn expired_token_can_log_out() {
    let (mut home, first) = home();
    home.wait(LIFETIME);
    home.post_as(&access(&first), LOGOUT, json!({})).ok();
    refresh(&mut home, &first).err(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn refresh_needs_known_token() {
    let (mut home, _) = home();
    home.post(REFRESH, json!({})).err(400, "M_MISSING_PARAM");
    home.post(REFRESH, json!({ "refresh_token": 1 }))
        .err(400, "M_BAD_JSON");
    let json = home
        .post(REFRESH, json!({ "refresh_token": "mtr_invented" }))
        .err(401, "M_UNKNOWN_TOKEN");
    assert_eq!(json["soft_logout"], false);
}
