//! The device code flow, and the account page.

use std::time::Duration;

use matricula_api::oauth::Scope;
use matricula_homeserver::{Config, Limit, Limits, OAuth};
use serde_json::{Value, json};

use super::{DEVICE_ID, TOKEN, client, home, refused, register_client, session};
use crate::{
    PASSWORD, Reply, TestServer,
    browser::{form, link, press, sign_in},
    text,
};

fn begin(home: &mut TestServer, client: &str) -> Value {
    let scope = Scope::client(DEVICE_ID).unwrap();
    let fields = [("client_id", client), ("scope", scope.as_str())];
    home.send(form("/oauth2/device", &fields)).ok()
}

fn poll(home: &mut TestServer, client: &str, begun: &Value) -> Reply {
    let code = text(begun, "device_code");
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", code.as_str()),
        ("client_id", client),
    ];
    home.send(form(TOKEN, &fields))
}

#[track_caller]
fn decide(home: &mut TestServer, begun: &Value, step: &str) {
    let address = text(begun, "verification_uri_complete");
    let consent = sign_in(home, &address, "alice", PASSWORD);
    assert!(
        consent.text().contains(&text(begun, "user_code")),
        "{}",
        consent.text()
    );
    let done = press(home, &address, &consent, step, &[]);
    assert_eq!(done.0.status, 200, "{}", done.text());
}

#[test]
fn device_code_flow_signs_in() {
    let mut home = home();
    let client = client(&mut home);
    let begun = begin(&mut home, &client);
    assert_eq!(begun["interval"], 5);
    assert_eq!(begun["expires_in"], 600);
    refused(
        &poll(&mut home, &client, &begun),
        400,
        "authorization_pending",
    );
    decide(&mut home, &begun, "allow");
    let tokens = poll(&mut home, &client, &begun).ok();
    let me = home.whoami(&text(&tokens, "access_token")).ok();
    assert_eq!(me["device_id"], DEVICE_ID);
    // The code works once.
    refused(&poll(&mut home, &client, &begun), 400, "invalid_grant");
    home.whoami(&text(&tokens, "access_token")).ok();
}

#[test]
fn denied_device_gets_access_denied() {
    let mut home = home();
    let client = client(&mut home);
    let begun = begin(&mut home, &client);
    decide(&mut home, &begun, "cancel");
    refused(&poll(&mut home, &client, &begun), 400, "access_denied");
    let late = home.send(link(&text(&begun, "verification_uri_complete")));
    assert_eq!(late.0.status, 400);
}

#[test]
fn fast_polling_slows_down() {
    let mut home = home();
    let client = client(&mut home);
    let begun = begin(&mut home, &client);
    refused(
        &poll(&mut home, &client, &begun),
        400,
        "authorization_pending",
    );
    home.wait(Duration::from_secs(4));
    refused(&poll(&mut home, &client, &begun), 400, "slow_down");
    home.wait(Duration::from_secs(6));
    refused(&poll(&mut home, &client, &begun), 400, "slow_down");
    home.wait(Duration::from_secs(15));
    refused(
        &poll(&mut home, &client, &begun),
        400,
        "authorization_pending",
    );
}

#[test]
fn expired_code_gets_expired_token() {
    let mut home = home();
    let client = client(&mut home);
    let begun = begin(&mut home, &client);
    let address = text(&begun, "verification_uri_complete");
    let consent = sign_in(&mut home, &address, "alice", PASSWORD);
    home.wait(Duration::from_secs(600));
    refused(&poll(&mut home, &client, &begun), 400, "expired_token");
    let late = press(&mut home, &address, &consent, "allow", &[]);
    assert_eq!(late.0.status, 400, "{}", late.text());
    refused(&poll(&mut home, &client, &begun), 400, "expired_token");
}

#[test]
fn device_code_belongs_to_client() {
    let mut home = home();
    let client = client(&mut home);
    let mut metadata = super::metadata();
    metadata["client_name"] = json!("Another");
    let other = text(&register_client(&mut home, metadata).json(), "client_id");
    let begun = begin(&mut home, &client);
    decide(&mut home, &begun, "allow");
    refused(&poll(&mut home, &other, &begun), 400, "invalid_grant");
    poll(&mut home, &client, &begun).ok();
}

#[test]
fn deactivation_revokes_approved_code() {
    let mut home = home();
    let client = client(&mut home);
    let begun = begin(&mut home, &client);
    decide(&mut home, &begun, "allow");
    let own = home.login("alice", json!({})).ok();
    let auth = json!({ "type": "m.login.password", "password": PASSWORD,
        "identifier": { "type": "m.id.user", "user": "alice" } });
    let token = text(&own, "access_token");
    let path = "/_matrix/client/v3/account/deactivate";
    home.post_as(&token, path, json!({ "auth": auth })).ok();
    refused(&poll(&mut home, &client, &begun), 400, "invalid_grant");
}

#[test]
fn device_flow_needs_registered_client() {
    let mut home = home();
    let known = client(&mut home);
    let mut metadata = super::metadata();
    metadata["grant_types"] = json!(["authorization_code"]);
    let browser = text(&register_client(&mut home, metadata).json(), "client_id");
    let scope = Scope::client(DEVICE_ID).unwrap();
    for (client, scope, status, error) in [
        ("invented", scope.as_str(), 401, "invalid_client"),
        (&browser, scope.as_str(), 400, "unauthorized_client"),
        (&known, "openid", 400, "invalid_scope"),
        (&known, "", 400, "invalid_scope"),
    ] {
        let fields = [("client_id", client), ("scope", scope)];
        refused(&home.send(form("/oauth2/device", &fields)), status, error);
    }
}

#[test]
fn user_code_ignores_formatting() {
    let mut home = home();
    let client = client(&mut home);
    let begun = begin(&mut home, &client);
    let page = home.send(link("/link"));
    assert_eq!(page.0.status, 200);
    assert!(
        page.text().contains("<label for=\"code\">"),
        "{}",
        page.text()
    );
    let code = text(&begun, "user_code");
    let small = code.to_ascii_lowercase().replace('-', "+");
    for typed in [code, small] {
        let page = home.send(link(&format!("/link?code={typed}")));
        assert!(page.text().contains("<h1>Sign in</h1>"), "{}", page.text());
    }
    for typed in ["BCDF", "BCDFGHJK", "%3Cscript%3E"] {
        let page = home.send(link(&format!("/link?code={typed}")));
        assert_eq!(page.0.status, 400);
        assert!(page.text().contains("id=\"code-error\""), "{}", page.text());
        assert!(!page.text().contains("<script>"), "{}", page.text());
    }
}

#[test]
fn user_codes_are_rate_limited() {
    let limits = Limits::default().login(Limit::new(0.1, 1));
    let config = Config::default().oauth(OAuth::beside());
    let mut home = TestServer::new(config.limits(limits));
    assert_eq!(home.send(link("/link?code=BCDF")).0.status, 400);
    let reply = home.send(link("/link?code=BCDF"));
    assert_eq!(reply.0.status, 429);
    assert_eq!(reply.header("Retry-After"), Some("10"));
}

#[test]
fn device_codes_are_bounded() {
    let mut home = home();
    let client = client(&mut home);
    let oldest = begin(&mut home, &client);
    home.wait(Duration::from_millis(1));
    let begun: Vec<_> = (0..5_000).map(|_| begin(&mut home, &client)).collect();
    refused(&poll(&mut home, &client, &oldest), 400, "invalid_grant");
    refused(
        &poll(&mut home, &client, &begun[0]),
        400,
        "authorization_pending",
    );
}

#[test]
fn account_page_signs_devices_out() {
    let mut home = home();
    let (_, tokens) = session(&mut home);
    let bob = home.register_named("bob").ok();
    let page = sign_in(&mut home, "/account", "alice", PASSWORD);
    assert!(page.text().contains(DEVICE_ID), "{}", page.text());
    let bobs = text(&bob, "device_id");
    assert!(!page.text().contains(&bobs));
    let page = press(
        &mut home,
        "/account",
        &page,
        "sign-out",
        &[("device", &bobs)],
    );
    home.whoami(&text(&bob, "access_token")).ok();
    let page = press(
        &mut home,
        "/account",
        &page,
        "sign-out",
        &[("device", DEVICE_ID)],
    );
    assert!(page.text().contains("role=\"status\""), "{}", page.text());
    home.whoami(&text(&tokens, "access_token"))
        .err(401, "M_UNKNOWN_TOKEN");
    let left = press(&mut home, "/account", &page, "cancel", &[]);
    assert!(left.text().contains("close this page"));
}

#[test]
fn account_page_shows_requested_device() {
    let mut home = home();
    session(&mut home);
    let address = format!("/account?action=org.matrix.device_view&device_id={DEVICE_ID}");
    let page = sign_in(&mut home, &address, "alice", PASSWORD);
    assert_eq!(page.text().matches("value=\"sign-out\"").count(), 1);
    let page = sign_in(&mut home, "/account?device_id=GONE", "alice", PASSWORD);
    assert!(page.text().contains("No such device"), "{}", page.text());
}
