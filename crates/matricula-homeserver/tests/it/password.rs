//! Changing a password, and authentication again.

use std::time::Duration;

use matricula_core::Method;
use matricula_homeserver::{Config, Limit, Limits, PasswordCodes, PasswordPolicy};
use serde_json::{Value, json};

use crate::{LOGIN, PASSWORD, REGISTER, TestServer, TestUser, text};

const CHANGE: &str = "/_matrix/client/v3/account/password";
const NEW: &str = "staple battery";

fn change() -> Value {
    json!({ "new_password": NEW })
}

fn begin(home: &mut TestServer, me: &TestUser) -> String {
    text(&home.post_as(&me.token, CHANGE, change()).more(), "session")
}

fn finish(home: &mut TestServer, me: &TestUser, auth: Value) -> crate::Reply {
    let mut body = change();
    body["auth"] = auth;
    home.post_as(&me.token, CHANGE, body)
}

#[test]
fn new_password_replaces_old_one() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    home.prove(&me, Method::Post, CHANGE, change()).ok();
    home.login("alice", json!({})).err(403, "M_FORBIDDEN");
    let body = json!({ "type": "m.login.password", "password": NEW,
        "identifier": { "type": "m.id.user", "user": "alice" } });
    home.post(LOGIN, body).ok();
    home.whoami(&me.token).ok();
}

#[test]
fn change_asks_only_for_old_password() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let asked = home.post_as(&me.token, CHANGE, change()).more();
    assert_eq!(asked["flows"], json!([{ "stages": ["m.login.password"] }]));
    assert_eq!(asked["params"], json!({}));
    home.login("alice", json!({})).ok();
}

#[test]
fn other_devices_are_logged_out() {
    for (logout, left) in [(Value::Null, 401), (json!(true), 401), (json!(false), 200)] {
        let mut home = TestServer::open();
        let me = home.sign_up("alice");
        let other = home.sign_in("alice");
        let body = json!({ "new_password": NEW, "logout_devices": logout });
        home.prove(&me, Method::Post, CHANGE, body).ok();
        assert_eq!(home.whoami(&other.token).0.status, left);
        home.whoami(&me.token).ok();
    }
}

#[test]
fn wrong_password_can_be_retried() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let session = begin(&mut home, &me);
    let json = finish(&mut home, &me, me.auth(&session, "guess")).err(401, "M_FORBIDDEN");
    assert_eq!(json["session"], session);
    finish(&mut home, &me, me.auth(&session, PASSWORD)).ok();
}

#[test]
fn password_of_another_user_fails() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let mallory = home.sign_up("mallory");
    let session = begin(&mut home, &me);
    finish(&mut home, &me, mallory.auth(&session, PASSWORD)).err(401, "M_FORBIDDEN");
    let nobody = json!({ "type": "m.login.password", "session": session, "password": PASSWORD });
    finish(&mut home, &me, nobody).err(401, "M_FORBIDDEN");
}

#[test]
fn deprecated_user_field_works() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let auth = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD });
    finish(&mut home, &me, auth).ok();
}

#[test]
fn session_belongs_to_user_and_request() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let mallory = home.sign_up("mallory");
    let session = begin(&mut home, &me);
    finish(&mut home, &mallory, mallory.auth(&session, PASSWORD)).err(400, "M_UNKNOWN");
    let body = json!({ "auth": me.auth(&session, PASSWORD) });
    let path = "/_matrix/client/v3/account/deactivate";
    home.post_as(&me.token, path, body.clone())
        .err(403, "M_UNKNOWN");
    // Sessions of registrations and of operations are not interchangeable.
    home.post(REGISTER, body).err(400, "M_UNKNOWN");
    let registration = text(&home.post(REGISTER, json!({})).more(), "session");
    finish(&mut home, &me, me.auth(&registration, PASSWORD)).err(400, "M_UNKNOWN");
    finish(&mut home, &me, me.auth("none", PASSWORD)).err(400, "M_UNKNOWN");
    home.whoami(&me.token).ok();
}

#[test]
fn repeated_request_repeats_result() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let session = begin(&mut home, &me);
    let auth = me.auth(&session, PASSWORD);
    finish(&mut home, &me, auth.clone()).ok();
    // The stage stays complete although the password has changed.
    finish(&mut home, &me, auth).ok();
    finish(&mut home, &me, json!({ "session": session })).ok();
}

#[test]
fn reauth_session_expires() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let session = begin(&mut home, &me);
    home.wait(Duration::from_secs(24 * 60 * 60));
    finish(&mut home, &me, me.auth(&session, PASSWORD)).err(400, "M_UNKNOWN");
}

#[test]
fn password_guesses_are_rate_limited() {
    let limits = Limits::default().login(Limit::new(0.1, 2));
    let mut home = TestServer::new(Config::default().limits(limits));
    let me = home.sign_up("alice");
    let session = begin(&mut home, &me);
    for _ in 0..2 {
        finish(&mut home, &me, me.auth(&session, "guess")).err(401, "M_FORBIDDEN");
    }
    finish(&mut home, &me, me.auth(&session, PASSWORD)).err(429, "M_LIMIT_EXCEEDED");
    home.wait(Duration::from_secs(10));
    finish(&mut home, &me, me.auth(&session, PASSWORD)).ok();
}

#[test]
fn weak_password_is_rejected_first() {
    let policy = PasswordPolicy::strict(PasswordCodes::Named);
    let mut home = TestServer::new(Config::default().password_policy(policy));
    let body = json!({ "username": "alice", "password": "Passw0rd!" });
    let me = TestUser::of(&home.register(body).ok());
    home.post_as(&me.token, CHANGE, json!({ "new_password": "short" }))
        .err(400, "M_PASSWORD_TOO_SHORT");
}

#[test]
fn guests_cannot_change_passwords() {
    let mut home = TestServer::new(Config::default().guests(true));
    home.post(CHANGE, change()).err(401, "M_MISSING_TOKEN");
    let guest = home.post(&format!("{REGISTER}?kind=guest"), json!({})).ok();
    home.post_as(&text(&guest, "access_token"), CHANGE, change())
        .err(403, "M_GUEST_ACCESS_FORBIDDEN");
}
