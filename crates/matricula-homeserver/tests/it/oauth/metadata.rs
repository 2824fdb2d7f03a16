//! Server metadata, and the operations that OAuth 2.0 disables.

use matricula_api::{Endpoint, client::oauth_server_metadata::GetAuthMetadata};
use matricula_core::{Body, Method, Response};
use matricula_homeserver::{Config, OAuth, Registration};
use serde_json::{Value, json};

use super::home;
use crate::{LOGIN, LOGOUT, PASSWORD, REFRESH, REGISTER, TestServer, get, post};

const METADATA: &str = "/_matrix/client/v1/auth_metadata";
const UNSTABLE: &str = "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata";
const DISCOVERY: &str = "/.well-known/openid-configuration";

#[test]
fn metadata_is_same_at_all_paths() {
    let mut home = home();
    let reply = home.get(METADATA);
    let response = Response::new(200, vec![], Body::Bytes(reply.0.body.clone()));
    let metadata = GetAuthMetadata::read_success(&response).unwrap();
    assert_eq!(metadata.issuer, "http://private.localhost/");
    assert_eq!(metadata.code_challenge_methods_supported, ["S256"]);
    assert_eq!(metadata.response_modes_supported, ["query", "fragment"]);
    assert_eq!(metadata.prompt_values_supported.unwrap(), ["create"]);
    let metadata = reply.ok();
    for path in [DISCOVERY, UNSTABLE] {
        assert_eq!(home.get(path).ok(), metadata, "{path}");
    }
}

#[test]
fn closed_sign_up_is_not_listed() {
    let oauth = || Config::default().oauth(OAuth::instead());
    for (config, prompts) in [
        (oauth(), json!(["create"])),
        (oauth().registration(Registration::Closed), json!(["login"])),
        // The page has no form for it.
        (
            oauth().flows([["m.login.email.identity"]]),
            json!(["login"]),
        ),
    ] {
        let metadata = TestServer::new(config).get(METADATA).ok();
        assert_eq!(metadata["prompt_values_supported"], prompts);
    }
}

#[test]
fn disabled_oauth_has_no_endpoints() {
    let mut home = TestServer::open();
    for path in [
        METADATA,
        UNSTABLE,
        DISCOVERY,
        "/oauth2/authorize",
        "/link",
        "/account",
    ] {
        home.get(path).err(404, "M_UNRECOGNIZED");
    }
    let token = home.post("/oauth2/token", Value::Null);
    token.err(404, "M_UNRECOGNIZED");
}

#[test]
fn endpoints_accept_only_post() {
    let mut home = home();
    for path in ["token", "registration", "device", "revoke", "introspect"] {
        let reply = home.get(&format!("/oauth2/{path}"));
        assert_eq!(reply.header("Allow"), Some("POST"));
        reply.err(405, "M_UNRECOGNIZED");
    }
}

#[test]
fn beside_mode_keeps_login() {
    let mut home = home();
    home.register_named("bob").ok();
    home.login("alice", json!({})).ok();
}

#[test]
fn instead_mode_disables_login() {
    let mut home = TestServer::new(Config::default().oauth(OAuth::instead()).guests(true));
    home.get(METADATA).ok();
    let body = json!({ "username": "alice", "password": PASSWORD });
    home.post(REGISTER, body.clone()).err(403, "M_FORBIDDEN");
    home.post(&format!("{REGISTER}?kind=guest"), json!({}))
        .err(403, "M_FORBIDDEN");
    for request in [
        get(LOGIN),
        post(LOGIN, body),
        post(LOGOUT, json!({})),
        post("/_matrix/client/v3/logout/all", json!({})),
        post(REFRESH, json!({ "refresh_token": "x" })),
        get("/_matrix/client/v3/register/available?username=alice"),
        post("/_matrix/client/v3/account/password", json!({})),
        post("/_matrix/client/v3/account/deactivate", json!({})),
    ] {
        home.send(request).err(404, "M_UNRECOGNIZED");
    }
    let whoami = home.send(matricula_homeserver::Request::new(
        Method::Get,
        crate::WHOAMI,
    ));
    whoami.err(401, "M_MISSING_TOKEN");
}
