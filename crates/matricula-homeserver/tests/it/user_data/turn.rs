//! TURN credentials.

use std::time::Duration;

use matricula_homeserver::{Config, Homeserver, Turn};
use serde_json::json;

use crate::TestServer;

const PATH: &str = "/_matrix/client/v3/voip/turnServer";

#[test]
fn no_turn_server_is_an_empty_object() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    assert_eq!(home.get_as(&alice.token, PATH).ok(), json!({}));
    home.get(PATH).err(401, "M_MISSING_TOKEN");
}

#[test]
fn turn_password_is_derived_from_secret() {
    let turn = Turn::new("sesame")
        .uri("turn:turn.example.org:3478?transport=udp")
        .lifetime(Duration::from_secs(600));
    let mut home = TestServer::new(Config::default().turn(turn));
    let alice = home.sign_up("alice");
    // printf '1700000600:@alice:private.localhost' | openssl dgst -sha1 -hmac sesame -binary | base64
    assert_eq!(
        home.get_as(&alice.token, PATH).ok(),
        json!({
            "username": "1700000600:@alice:private.localhost",
            "password": "0texvRhMyjJ5M2QJCxNEt4XKqYw=",
            "uris": ["turn:turn.example.org:3478?transport=udp"],
            "ttl": 600,
        })
    );
}

#[test]
fn turn_configuration_is_checked() {
    let uri = "turn:turn.example.org";
    for turn in [
        Turn::new("sesame"),
        Turn::new("").uri(uri),
        Turn::new("sesame").uri("stun:turn.example.org"),
        Turn::new("sesame").uri("turn.example.org"),
        Turn::new("sesame").uri("turn:"),
        Turn::new("sesame").uri(uri).lifetime(Duration::ZERO),
    ] {
        let shown = format!("{turn:?}");
        assert!(
            Homeserver::new(Config::default().turn(turn)).is_err(),
            "{shown}"
        );
        assert!(!shown.contains("sesame"));
    }
    let json = r#"{"turn":{"uris":["turns:a"],"shared_secret":"sesame","lifetime_ms":1000}}"#;
    let config: Config = serde_json::from_str(json).unwrap();
    let turn = Turn::new("sesame")
        .uri("turns:a")
        .lifetime(Duration::from_secs(1));
    assert_eq!(config.turn, Some(turn));
    assert!(Homeserver::new(config).is_ok());
}
