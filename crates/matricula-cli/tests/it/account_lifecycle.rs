//! From registering to signing out and in again, checked with the server.
//!
//! Each journey is run on the embedded homeserver here, and on a real Synapse in `live::account_lifecycle`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{
    command::{Home, unique},
    http::{call, who_am_i},
    servers::Site,
};

/// Where a journey goes: the homeserver of a profile.
type Sites = fn(&str) -> Site;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

pub(crate) fn token_has_the_requested_device(sites: Sites) {
    let (site, home, name) = (sites("open"), Home::new(), unique("n"));
    let user_id = format!("@{name}:{}", site.name);
    let registered = home
        .run(&format!(
            "register {} --json --username {name} --device-id MYDEVICE",
            site.url
        ))
        .exit(0)
        .json();
    assert_eq!(registered["user_id"], user_id);
    assert_eq!(registered["device_id"], "MYDEVICE");
    let me = home.run("whoami --json").exit(0).json();
    let expected = json!({
        "schema_version": 1,
        "user_id": user_id,
        "device_id": "MYDEVICE",
        "guest": false,
        "server": site.url,
    });
    assert_eq!(me, expected);
    let (status, answer) = who_am_i(&site.url, text(&home.account()["access_token"]));
    assert_eq!(
        (status, &answer["device_id"]),
        (200, &json!("MYDEVICE")),
        "{answer}"
    );
}

pub(crate) fn inhibited_login_makes_no_session(sites: Sites) {
    let (site, home, name) = (sites("open"), Home::new(), unique("n"));
    let line = format!(
        "register {} --json --username {name} --inhibit-login",
        site.url
    );
    let registered = home.run(&line).exit(0).json();
    assert_eq!(registered["signed_in"], false);
    assert_eq!(registered["device_id"], Value::Null);
    let account = home.account();
    for key in ["access_token", "refresh_token", "device_id"] {
        assert_eq!(account[key], Value::Null, "{key}");
    }
    home.run("whoami").exit(4);
    home.run("login").exit(0);
    let me = home.run("whoami --json").exit(0).json();
    assert_eq!(me["user_id"], format!("@{name}:{}", site.name));
}

pub(crate) fn refresh_replaces_both_tokens(sites: Sites) {
    let (site, home) = (sites("refresh"), Home::new());
    home.run(&format!("register {} --refresh-token", site.url))
        .exit(0);
    let old = home.account();
    let refreshed = home.run("refresh --json").exit(0).json();
    assert_eq!(refreshed["signed_in"], true);
    let new = home.account();
    for key in ["access_token", "refresh_token"] {
        assert_ne!(text(&old[key]), text(&new[key]), "{key}");
    }
    assert_eq!(old["device_id"], new["device_id"]);
    home.run("whoami").exit(0);
    // The old access token may live to its end; the old refresh token dies with the new one's use.
    let path = "/_matrix/client/v3/refresh";
    let body = json!({ "refresh_token": old["refresh_token"] });
    let (status, answer) = call(&site.url, "POST", path, None, Some(&body));
    assert!(matches!(status, 401 | 403), "{status} {answer}");
}

pub(crate) fn expired_session_is_reported(sites: Sites) {
    let (site, home) = (sites("shortlived"), Home::new());
    let before = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let registered = home
        .run(&format!("register {} --json", site.url))
        .exit(0)
        .json();
    let after = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let expires_at = u128::from(registered["expires_at"].as_u64().unwrap());
    assert!(
        (before + 4000..=after + 5000).contains(&expires_at),
        "{before} {expires_at} {after}"
    );
    home.run("refresh").exit(4);
}

pub(crate) fn the_password_signs_in_elsewhere(sites: Sites) {
    let (site, home, name) = (sites("open"), Home::new(), unique("n"));
    let password = "a-Good-1 for \"all\" of äöü";
    home.command(&format!(
        "register {} --username {name} --password-stdin",
        site.url
    ))
    .stdin(password)
    .run()
    .exit(0);
    assert_eq!(
        home.account()["password"],
        Value::Null,
        "what a person knows is not kept"
    );
    let elsewhere = Home::new();
    let user_id = format!("@{name}:{}", site.name);
    for user in [&name, &user_id] {
        let line = format!("login {user} --server {} --json --password-stdin", site.url);
        let signed_in = elsewhere
            .command(&line)
            .stdin(password)
            .run()
            .exit(0)
            .json();
        assert_eq!(signed_in["user_id"], user_id);
        let me = elsewhere.run("whoami --json").exit(0).json();
        assert_eq!(me["device_id"], signed_in["device_id"]);
        let wrong = elsewhere.command(&line).stdin("another").run().exit(4);
        assert!(
            wrong
                .stderr
                .contains("does not know this user name with this password"),
            "{wrong}"
        );
    }
}

pub(crate) fn a_made_password_signs_in_again(sites: Sites) {
    let (site, home) = (sites("open"), Home::new());
    let registered = home
        .run(&format!("register {} --json", site.url))
        .exit(0)
        .json();
    assert_eq!(registered["password_made"], true);
    let token = text(&home.account()["access_token"]).to_owned();
    let out = home.run("logout --json").exit(0).json();
    assert_eq!(out["signed_in"], false);
    assert_eq!(who_am_i(&site.url, &token).0, 401);
    home.run("whoami").exit(4);
    home.run("logout").exit(4);
    home.run("login --device-id AGAIN").exit(0);
    let me = home.run("whoami --json").exit(0).json();
    assert_eq!(me["user_id"], registered["user_id"]);
    assert_eq!(me["device_id"], "AGAIN");
}

pub(crate) fn a_guest_is_one(sites: Sites) {
    let (site, home) = (sites("guests"), Home::new());
    home.run(&format!("register {} --guest", site.url)).exit(0);
    let me = home.run("whoami --json").exit(0).json();
    assert_eq!(me["guest"], true);
    assert_eq!(home.account()["password"], Value::Null);
}

pub(crate) fn registration_resumes_in_another_process(sites: Sites) {
    let (site, home, name) = (sites("token+terms"), Home::new(), unique("n"));
    home.file("token", &site.tokens["unlimited"]);
    let line = format!("register {} --json --no-input --username {name}", site.url);
    let waits = home.run(&line).exit(6).json();
    let id = text(&waits["error"]["resume"]).to_owned();
    assert_eq!(id, home.registration());
    assert_eq!(waits["error"]["stage"], "m.login.registration_token");
    // The server is asked first: two missing things are reported one after the other.
    let line = format!("register --resume {id} --json --token-file token");
    let waits = home.run(&line).exit(6).json();
    assert_eq!(waits["error"]["stage"], "m.login.terms");
    let documents = text(&waits["error"]["message"]);
    assert!(
        documents.contains("Terms of this test server (http://127.0.0.1:"),
        "{documents}"
    );
    let line = format!("register --resume {id} --json --accept-terms");
    let registered = home.run(&line).exit(0).json();
    assert_eq!(registered["user_id"], format!("@{name}:{}", site.name));
    assert_eq!(registered["password_made"], true);
    home.run("whoami").exit(0);
    assert_eq!(home.store()["tables"]["registrations"], json!({}));
    home.run(&line).exit(2);
}

pub(crate) fn rate_limit_wait_is_shown(sites: Sites) {
    let (site, home, name) = (sites("ratelimited"), Home::new(), unique("n"));
    exhaust(&site);
    let line = format!("register {} --username {name}", site.url);
    let ended = home.run(&line).exit(0);
    let waits = "the server accepts no more requests for now: waiting ";
    assert!(ended.stderr.contains(waits), "{ended}");
    home.run("whoami").exit(0);
}

/// Registers until the server has enough.
fn exhaust(site: &Site) {
    let path = "/_matrix/client/v3/register";
    for _ in 0..20 {
        let mut body = json!({ "username": unique("x"), "password": "a-Good-1-for-all" });
        let (status, asked) = call(&site.url, "POST", path, None, Some(&body));
        if status == 429 {
            return;
        }
        body["auth"] = json!({ "type": "m.login.dummy", "session": asked["session"] });
        if call(&site.url, "POST", path, None, Some(&body)).0 == 429 {
            return;
        }
    }
    panic!("the server limits nobody");
}

#[test]
fn default_account_is_the_last_one() {
    let (site, home) = (Site::embedded("open"), Home::new());
    let who = |options: &str| {
        let me = home.run(&format!("whoami --json {options}")).exit(0).json();
        text(&me["user_id"]).to_owned()
    };
    home.run(&format!("register {} --username zoe", site.url))
        .exit(0);
    home.run(&format!("register {} --username alice", site.url))
        .exit(0);
    assert_eq!(who(""), "@alice:open.test");
    home.run(&format!("register {} --username mallory", site.url))
        .exit(0);
    assert_eq!(who(""), "@mallory:open.test");
    assert_eq!(who("--account @zoe:open.test"), "@zoe:open.test");
    assert_eq!(who(""), "@mallory:open.test");
    home.run("login @zoe:open.test").exit(0);
    assert_eq!(who(""), "@zoe:open.test");
}

#[test]
fn final_line_break_is_dropped() {
    let (site, home) = (Site::embedded("open"), Home::new());
    let path = "/_matrix/client/v3/login";
    for (name, content, password) in [
        ("unix", "a-Good-1\n", "a-Good-1"),
        ("windows", "a-Good-1\r\n", "a-Good-1"),
        ("none", "a-Good-1", "a-Good-1"),
        ("spaces", " a Good 1 \n\n", " a Good 1 \n"),
    ] {
        home.file("password", content);
        let line = format!(
            "register {} --username {name} --password-file password",
            site.url
        );
        home.run(&line).exit(0);
        let body = json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": name },
            "password": password,
        });
        let (status, answer) = call(&site.url, "POST", path, None, Some(&body));
        assert_eq!(status, 200, "{name}: {answer}");
    }
}

#[test]
fn the_server_may_choose_another_name() {
    let (site, home) = (Site::embedded("renaming"), Home::new());
    let line = format!("register {} --json --username alice", site.url);
    let registered = home.run(&line).exit(0).json();
    let user_id = text(&registered["user_id"]);
    assert_ne!(user_id, "@alice:renaming.test");
    assert_eq!(home.run("whoami --json").exit(0).json()["user_id"], user_id);
    home.run("logout").exit(0);
    home.run("login").exit(0);
    assert_eq!(home.run("whoami --json").exit(0).json()["user_id"], user_id);
}

#[test]
fn token_and_device() {
    token_has_the_requested_device(Site::embedded);
}

#[test]
fn inhibited_login() {
    inhibited_login_makes_no_session(Site::embedded);
}

#[test]
fn refreshing() {
    refresh_replaces_both_tokens(Site::embedded);
}

#[test]
fn short_life() {
    expired_session_is_reported(Site::embedded);
}

#[test]
fn password() {
    the_password_signs_in_elsewhere(Site::embedded);
}

#[test]
fn made_password() {
    a_made_password_signs_in_again(Site::embedded);
}

#[test]
fn guest() {
    a_guest_is_one(Site::embedded);
}

#[test]
fn resuming() {
    registration_resumes_in_another_process(Site::embedded);
}

#[test]
fn limited() {
    rate_limit_wait_is_shown(Site::embedded);
}
