//! Deactivation.

use matricula_core::Method;
use matricula_homeserver::{Config, OAuth};
use serde_json::json;

use crate::{PASSWORD, REFRESH, TestServer, TestUser, text};

const DEACTIVATE: &str = "/_matrix/client/v3/account/deactivate";

#[test]
fn deactivation_deletes_all_access() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": PASSWORD, "refresh_token": true });
    let first = home.register(body).ok();
    let me = TestUser::of(&first);
    let other = home.sign_in("alice");
    let answer = home.prove(&me, Method::Post, DEACTIVATE, json!({})).ok();
    assert_eq!(answer["id_server_unbind_result"], "success");
    for token in [&me.token, &other.token] {
        home.whoami(token).err(401, "M_UNKNOWN_TOKEN");
    }
    let refresh = json!({ "refresh_token": text(&first, "refresh_token") });
    home.post(REFRESH, refresh).err(401, "M_UNKNOWN_TOKEN");
    home.login("alice", json!({}))
        .err(403, "M_USER_DEACTIVATED");
}

#[test]
fn deactivated_name_stays_taken() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    home.prove(&me, Method::Post, DEACTIVATE, json!({})).ok();
    home.register_named("alice").err(400, "M_USER_IN_USE");
    home.get("/_matrix/client/v3/register/available?username=alice")
        .err(400, "M_USER_IN_USE");
}

#[test]
fn repeated_registration_does_not_reactivate() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": PASSWORD });
    let session = text(&home.post(crate::REGISTER, body).more(), "session");
    let auth = json!({ "auth": { "type": "m.login.dummy", "session": session } });
    let me = TestUser::of(&home.post(crate::REGISTER, auth.clone()).ok());
    home.prove(&me, Method::Post, DEACTIVATE, json!({})).ok();
    home.post(crate::REGISTER, auth).err(400, "M_UNKNOWN");
}

#[test]
fn erasing_deletes_the_profile() {
    for (erase, left) in [(false, 200), (true, 404)] {
        let mut home = TestServer::open();
        let me = home.sign_up("alice");
        let name = format!("/_matrix/client/v3/profile/{}/displayname", me.user_id);
        let body = json!({ "displayname": "Alice" });
        home.call_as(&me.token, Method::Put, &name, body).ok();
        let body = json!({ "erase": erase });
        home.prove(&me, Method::Post, DEACTIVATE, body).ok();
        assert_eq!(home.get(&name).0.status, left);
    }
}

#[test]
fn deactivation_needs_the_password() {
    let mut home = TestServer::open();
    let me = home.sign_up("alice");
    let asked = home.post_as(&me.token, DEACTIVATE, json!({})).more();
    let body = json!({ "auth": me.auth(&text(&asked, "session"), "guess") });
    home.post_as(&me.token, DEACTIVATE, body)
        .err(401, "M_FORBIDDEN");
    home.post(DEACTIVATE, json!({})).err(401, "M_MISSING_TOKEN");
    home.whoami(&me.token).ok();
}

#[test]
fn oauth_mode_disables_deactivation() {
    let mut home = TestServer::new(Config::default().oauth(OAuth::instead()));
    for (method, path) in [
        (Method::Post, DEACTIVATE),
        (Method::Post, "/_matrix/client/v3/account/password"),
        (Method::Post, "/_matrix/client/v3/delete_devices"),
        (Method::Delete, "/_matrix/client/v3/devices/D"),
    ] {
        home.call_as("any", method, path, json!({}))
            .err(404, "M_UNRECOGNIZED");
    }
}
