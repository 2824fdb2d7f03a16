//! Refresh, revocation and introspection of tokens.

use std::time::Duration;

use matricula_core::Secret;
use matricula_homeserver::{Config, Delegation, OAuth};
use serde_json::{Value, json};

use super::{
    DEVICE_ID, TOKEN, client, code, home, redeem, refresh, refused, register_client, session,
};
use crate::{LOGOUT, PASSWORD, REFRESH, Reply, TestServer, browser::form, text};

fn access(pair: &Value) -> String {
    text(pair, "access_token")
}

fn revoke(home: &mut TestServer, token: &str, client: &str) -> Reply {
    let fields = [("token", token), ("client_id", client)];
    home.send(form("/oauth2/revoke", &fields))
}

#[test]
fn oauth_refresh_returns_new_pair() {
    let mut home = home();
    let (client, first) = session(&mut home);
    home.wait(Duration::from_secs(300));
    let second = refresh(&mut home, &client, &first).ok();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(second["expires_in"], 300);
    let me = home.whoami(&access(&second)).ok();
    assert_eq!(me["device_id"], DEVICE_ID);
}

#[test]
fn oauth_lost_refresh_can_repeat() {
    let mut home = home();
    let (client, first) = session(&mut home);
    let lost = refresh(&mut home, &client, &first).ok();
    let second = refresh(&mut home, &client, &first).ok();
    home.whoami(&access(&second)).ok();
    home.whoami(&access(&lost)).err(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn reused_refresh_token_is_only_refused() {
    let mut home = home();
    let (client, first) = session(&mut home);
    let second = refresh(&mut home, &client, &first).ok();
    home.whoami(&access(&first)).ok();
    home.whoami(&access(&second)).ok();
    home.whoami(&access(&first)).err(401, "M_UNKNOWN_TOKEN");
    // It may be that of a restored backup.
    for _ in 0..3 {
        refused(&refresh(&mut home, &client, &first), 400, "invalid_grant");
    }
    home.whoami(&access(&second)).ok();
    let third = refresh(&mut home, &client, &second).ok();
    home.whoami(&access(&third)).ok();
    refused(&refresh(&mut home, &client, &first), 400, "invalid_grant");
    refused(&refresh(&mut home, &client, &second), 400, "invalid_grant");
    home.whoami(&access(&third)).ok();
}

#[test]
fn oauth_refresh_token_expires() {
    let config = Config::default()
        .oauth(OAuth::beside())
        .access_token_lifetime(Duration::from_secs(7))
        .refresh_token_lifetime(Duration::from_secs(60));
    let mut home = TestServer::new(config);
    home.register_named("alice").ok();
    let (client, first) = session(&mut home);
    assert_eq!(first["expires_in"], 7);
    home.wait(Duration::from_secs(60));
    refused(&refresh(&mut home, &client, &first), 400, "invalid_grant");
}

#[test]
fn refresh_token_belongs_to_client() {
    let mut home = home();
    let (client, pair) = session(&mut home);
    let mut metadata = super::metadata();
    metadata["client_name"] = json!("Another");
    let other = text(&register_client(&mut home, metadata).json(), "client_id");
    refused(&refresh(&mut home, &other, &pair), 400, "invalid_grant");
    let body = json!({ "refresh_token": text(&pair, "refresh_token") });
    home.post(REFRESH, body).err(401, "M_UNKNOWN_TOKEN");
    refresh(&mut home, &client, &pair).ok();
    // The reverse fails, too.
    let body = json!({ "username": "bob", "password": PASSWORD, "refresh_token": true });
    let own = home.register(body).ok();
    refused(&refresh(&mut home, &client, &own), 400, "invalid_grant");
}

#[test]
fn new_sign_in_ends_device_session() {
    let mut home = home();
    let (client, first) = session(&mut home);
    let code = code(&mut home, &client);
    let second = redeem(&mut home, &client, &code).ok();
    home.whoami(&access(&first)).err(401, "M_UNKNOWN_TOKEN");
    let own = home.login("alice", json!({ "device_id": DEVICE_ID })).ok();
    refused(&refresh(&mut home, &client, &second), 400, "invalid_grant");
    home.whoami(&access(&own)).ok();
}

#[test]
fn invalid_grants_are_refused() {
    let mut home = home();
    let client = client(&mut home);
    let password = [("grant_type", "password"), ("client_id", client.as_str())];
    let reply = home.send(form(TOKEN, &password));
    refused(&reply, 400, "unsupported_grant_type");
    refused(&home.send(form(TOKEN, &[])), 401, "invalid_client");
    let bare = [
        ("grant_type", "refresh_token"),
        ("client_id", client.as_str()),
    ];
    refused(&home.send(form(TOKEN, &bare)), 400, "invalid_grant");
    refused(&revoke(&mut home, "", &client), 400, "invalid_request");
}

#[test]
fn repeated_form_field_is_refused() {
    let mut home = home();
    let (_, pair) = session(&mut home);
    let token = access(&pair);
    let twice = [("token", token.as_str()), ("token", "x")];
    for path in ["token", "device", "revoke"] {
        let reply = home.send(form(&format!("/oauth2/{path}"), &twice));
        refused(&reply, 400, "invalid_request");
    }
    let names: Vec<_> = (0..33).map(|number| number.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    refused(&home.send(form(TOKEN, &many)), 400, "invalid_request");
    home.whoami(&token).ok();
}

#[test]
fn revoking_either_token_ends_session() {
    for which in ["access_token", "refresh_token"] {
        let mut home = home();
        let (client, pair) = session(&mut home);
        revoke(&mut home, &text(&pair, which), &client).ok();
        home.whoami(&access(&pair)).err(401, "M_UNKNOWN_TOKEN");
        refused(&refresh(&mut home, &client, &pair), 400, "invalid_grant");
        // Revoking again succeeds.
        revoke(&mut home, &text(&pair, which), &client).ok();
    }
}

#[test]
fn anyone_with_token_may_revoke() {
    let mut home = home();
    let (client, pair) = session(&mut home);
    home.wait(Duration::from_secs(301));
    revoke(&mut home, &access(&pair), "another").ok();
    refused(&refresh(&mut home, &client, &pair), 400, "invalid_grant");
}

#[test]
fn matrix_tokens_are_not_revoked() {
    let mut home = home();
    let own = home.login("alice", json!({})).ok();
    revoke(&mut home, &access(&own), "x").ok();
    home.whoami(&access(&own)).ok();
    home.post_as(&access(&own), LOGOUT, json!({})).ok();
}

fn delegated() -> TestServer {
    let homeserver = "http://127.0.0.1:8008".parse().unwrap();
    let oauth = OAuth::instead().delegation(Delegation::new(homeserver, "between us"));
    let mut home = TestServer::new(Config::default().oauth(oauth));
    let client = client(&mut home);
    let address = super::url(&super::sign_up_request(&client));
    let page = home.send(crate::browser::link(&address));
    let fields = [("username", "alice"), ("password", PASSWORD)];
    crate::browser::press(&mut home, &address, &page, "sign-up", &fields);
    home
}

fn introspect(home: &mut TestServer, secret: Option<&str>, token: &str) -> Reply {
    let mut request = form("/oauth2/introspect", &[("token", token)]);
    request.access_token = secret.map(Secret::from);
    home.send(request)
}

#[test]
fn introspection_describes_active_token() {
    let mut home = delegated();
    let (client, pair) = session(&mut home);
    let token = access(&pair);
    home.wait(Duration::from_secs(100));
    let json = introspect(&mut home, Some("between us"), &token).ok();
    assert_eq!(json["active"], true);
    assert_eq!(json["username"], "alice");
    assert_eq!(json["device_id"], DEVICE_ID);
    assert_eq!(json["client_id"], client);
    assert_eq!(json["expires_in"], 200);
    assert_eq!(json["scope"], pair["scope"]);
    let inactive = json!({ "active": false });
    for other in ["", "invented", &text(&pair, "refresh_token")] {
        assert_eq!(
            introspect(&mut home, Some("between us"), other).ok(),
            inactive
        );
    }
    home.wait(Duration::from_secs(200));
    assert_eq!(
        introspect(&mut home, Some("between us"), &token).ok(),
        inactive
    );
}

#[test]
fn introspection_confirms_new_token() {
    let mut home = delegated();
    let (client, first) = session(&mut home);
    let second = refresh(&mut home, &client, &first).ok();
    let json = introspect(&mut home, Some("between us"), &access(&second)).ok();
    assert_eq!(json["active"], true);
    let json = introspect(&mut home, Some("between us"), &access(&first)).ok();
    assert_eq!(json["active"], false);
}

#[test]
fn introspection_needs_the_secret() {
    let mut home = delegated();
    let (_, pair) = session(&mut home);
    let token = access(&pair);
    for secret in [None, Some(""), Some("between you"), Some(token.as_str())] {
        refused(
            &introspect(&mut home, secret, &token),
            401,
            "invalid_client",
        );
    }
    // The same without delegation.
    let mut home = super::home();
    let (_, pair) = session(&mut home);
    for secret in [None, Some("")] {
        refused(
            &introspect(&mut home, secret, &access(&pair)),
            401,
            "invalid_client",
        );
    }
}
