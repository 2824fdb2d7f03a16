//! `--dry-run` prints the requests, secrets masked, and sends nothing.

use std::fs;

use serde_json::{Value, json};

use crate::{command::Home, server::listen};

#[test]
fn requests_are_printed_and_not_sent() {
    let (listener, server) = listen();
    let home = Home::new();
    home.file("token", "letmein-canary");
    let line = format!(
        "register {server} --dry-run --json --username Alice --password-stdin --token-file token \
         --device-id LAPTOP --device-name laptop --refresh-token"
    );
    let ended = home.command(&line).stdin("wordpass-canary").run().exit(0);
    assert!(
        !ended.stdout.contains("canary") && !ended.stderr.contains("canary"),
        "{ended}"
    );
    let json = ended.json();
    let request = |operation: &str, method: &str, path: &str, query: Value, body: Value| {
        json!({
            "operation": operation,
            "method": method,
            "url": format!("{server}{path}"),
            "query": query,
            "body": body,
        })
    };
    let none = Value::Null;
    let expected = json!([
        request(
            "getVersions",
            "GET",
            "/_matrix/client/versions",
            json!([]),
            none.clone()
        ),
        request(
            "getLoginFlows",
            "GET",
            "/_matrix/client/v3/login",
            json!([]),
            none.clone()
        ),
        request(
            "getAuthMetadata",
            "GET",
            "/_matrix/client/v1/auth_metadata",
            json!([]),
            none.clone()
        ),
        request(
            "checkUsernameAvailability",
            "GET",
            "/_matrix/client/v3/register/available",
            json!([["username", "alice"]]),
            none,
        ),
        request(
            "register",
            "POST",
            "/_matrix/client/v3/register",
            json!([]),
            json!({
                "username": "Alice",
                "password": "***",
                "device_id": "LAPTOP",
                "initial_device_display_name": "laptop",
                "refresh_token": true,
            }),
        ),
    ]);
    assert_eq!(json["requests"], expected);
    let words = home
        .command(&line.replace("--json", ""))
        .stdin("wordpass-canary")
        .run()
        .exit(0);
    assert!(words.stdout.contains(r#""password":"***""#), "{words}");
    assert!(!words.stdout.contains("canary"), "{words}");
    assert!(words.stderr.contains("nothing was sent"), "{words}");
    // A connection is there for the taking as soon as its other side believes it open.
    listener.set_nonblocking(true).unwrap();
    listener.accept().expect_err("somebody connected");
    assert!(!home.matricula().exists(), "something was written");
}

#[test]
fn without_a_server_it_starts_none() {
    let home = Home::new();
    let ended = home.run("register --dry-run --json").exit(0);
    assert_eq!(ended.json()["requests"].as_array().unwrap().len(), 4);
    assert_eq!(
        fs::read_dir(home.root()).unwrap().count(),
        1,
        "something was written"
    );
}
