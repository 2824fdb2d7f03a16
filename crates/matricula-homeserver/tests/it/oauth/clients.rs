//! Dynamic client registration.

use matricula_api::oauth::ClientRegistration;
use serde_json::{Value, json};

use super::{client, home, metadata, redeem, refresh, refused, register_client, request, session};
use crate::{TestServer, text};

fn register(home: &mut TestServer, changes: &[(&str, Value)]) -> crate::Reply {
    let mut metadata = metadata();
    for (name, value) in changes {
        metadata[*name] = value.clone();
    }
    register_client(home, metadata)
}

#[test]
fn registration_returns_id_and_metadata() {
    let mut home = home();
    let more = [
        ("client_name#fr", json!("Exemple")),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        (
            "grant_types",
            json!(["authorization_code", "refresh_token", "unheard_of"]),
        ),
    ];
    let reply = register(&mut home, &more);
    assert_eq!(reply.0.status, 201);
    let json = reply.json();
    assert_eq!(json["token_endpoint_auth_method"], "none");
    assert_eq!(
        json["grant_types"],
        json!(["authorization_code", "refresh_token"])
    );
    assert_eq!(json.get("client_name#fr"), None);
    let registration: ClientRegistration = serde_json::from_value(json).unwrap();
    assert_eq!(registration.client_id.len(), 26);
}

#[test]
fn same_metadata_same_client() {
    let mut home = home();
    let one = client(&mut home);
    assert_eq!(one, client(&mut home));
    let other = register(&mut home, &[("client_name", json!("Other"))]);
    assert_ne!(one, text(&other.json(), "client_id"));
}

#[test]
fn redirect_uris_follow_the_rules() {
    let mut home = home();
    for (kind, uri, good) in [
        ("web", "https://example.com/callback", true),
        ("web", "https://app.example.com/callback", true),
        ("web", "https://example.com:5173/?query=value", true),
        ("web", "https://example.com/callback#fragment", false),
        ("web", "http://example.com/callback", false),
        ("web", "http://localhost/", false),
        ("web", "https://notexample.com/", false),
        ("web", "https://user@example.com/", false),
        ("web", "com.example.app:/callback", false),
        ("native", "com.example.app:/callback", true),
        ("native", "com.example:/", true),
        ("native", "com.example:callback", true),
        ("native", "http://localhost/callback", true),
        ("native", "http://127.0.0.1/callback", true),
        ("native", "http://[::1]/callback", true),
        ("native", "https://app.example.com/claimed", true),
        ("native", "example:/callback", false),
        ("native", "com.example.app://callback", false),
        ("native", "com.exampleapp:/callback", false),
        ("native", "https://localhost/callback", false),
        ("native", "http://localhost:1234/callback", true),
        ("native", "http://127.0.0.1:1/", true),
        ("native", "http://[::1]:65535/callback", true),
        ("native", "http://localhost:65536/callback", false),
        ("native", "http://192.0.2.1:1234/callback", false),
        ("web", "http://localhost:1234/", false),
        ("native", "http://192.0.2.1/callback", false),
        ("native", "javascript:alert(1)", false),
        ("native", "com.example:/\u{202e}", false),
        ("native", "com.example:/\"onload=", false),
        ("native", "", false),
    ] {
        let changes = [
            ("application_type", json!(kind)),
            ("redirect_uris", json!([uri])),
        ];
        let reply = register(&mut home, &changes);
        match good {
            true => assert_eq!(reply.0.status, 201, "{uri}: {}", reply.text()),
            false => refused(&reply, 400, "invalid_redirect_uri"),
        }
    }
    let code = "invalid_redirect_uri";
    refused(
        &register(&mut home, &[("redirect_uris", json!([]))]),
        400,
        code,
    );
    let many = vec!["http://127.0.0.1/callback"; 17];
    refused(
        &register(&mut home, &[("redirect_uris", json!(many))]),
        400,
        code,
    );
}

#[test]
fn other_metadata_follow_the_rules() {
    let mut home = home();
    for (name, value) in [
        ("client_uri", json!("http://example.com/")),
        ("client_uri", json!("https://user:password@example.com/")),
        ("client_uri", json!("example")),
        ("client_uri", Value::Null),
        ("client_uri", json!(7)),
        ("logo_uri", json!("https://elsewhere.org/logo.png")),
        ("tos_uri", json!("javascript:alert(1)")),
        ("policy_uri", json!("http://example.com/policy")),
        ("client_name", json!("x".repeat(256))),
        ("application_type", json!("toaster")),
        ("response_types", json!(["token"])),
    ] {
        let reply = register(&mut home, &[(name, value.clone())]);
        assert_eq!(
            reply.json()["error"],
            "invalid_client_metadata",
            "{name}: {value}"
        );
        assert_eq!(reply.0.status, 400);
    }
    for body in [json!([]), json!("x"), Value::Null] {
        let reply = register_client(&mut home, body);
        refused(&reply, 400, "invalid_client_metadata");
    }
}

#[test]
fn device_client_needs_no_redirect_uri() {
    let mut home = home();
    let changes = [
        (
            "grant_types",
            json!(["urn:ietf:params:oauth:grant-type:device_code"]),
        ),
        ("redirect_uris", Value::Null),
        ("response_types", Value::Null),
    ];
    assert_eq!(register(&mut home, &changes).0.status, 201);
}

#[test]
fn clients_are_bounded_except_in_use() {
    let mut home = home();
    let (kept, tokens) = session(&mut home);
    let forgotten = text(
        &register(&mut home, &[("client_name", json!("first"))]).json(),
        "client_id",
    );
    home.wait(std::time::Duration::from_millis(1));
    for number in 0..5_000 {
        register(&mut home, &[("client_name", json!(number.to_string()))]);
    }
    refresh(&mut home, &kept, &tokens).ok();
    refused(&redeem(&mut home, &forgotten, "x"), 401, "invalid_client");
    let page = home.send(crate::browser::link(&super::url(&request(&forgotten))));
    assert_eq!(page.0.status, 400);
}
