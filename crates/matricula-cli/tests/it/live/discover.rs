//! What real servers offer, and whether it works.

use std::{env, fs};

use serde_json::{Value, json};

use crate::{command::Home, servers::Site};

fn url(profile: &str) -> String {
    let file = env::var("MATRICULA_SYNAPSE")
        .expect("MATRICULA_SYNAPSE names the file of the servers; cargo xtask test sets it");
    let servers: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    servers[profile]["base_url"].as_str().unwrap().to_owned()
}

/// The state of each way, after trying all that need no person.
fn tries(profile: &str, options: &str, exit: i32) -> Value {
    let home = Home::new();
    let line = format!("discover {} --try --json {options}", url(profile));
    let json = home.run(&line).exit(exit).json();
    assert_eq!(json["exit_code"], exit);
    if home.matricula().join("accounts.json").exists() {
        assert_eq!(home.store()["tables"]["accounts"], json!({}), "{json:#}");
    }
    json
}

fn steps(json: &Value) -> Vec<&str> {
    let steps = json["tries"]["ways"][0]["steps"].as_array().unwrap();
    assert!(
        steps.iter().all(|step| step["passed"] == true),
        "{steps:#?}"
    );
    steps
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect()
}

const ALL: [&str; 5] = ["register", "whoami", "logout", "login", "deactivate"];

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn an_open_server() {
    let json = tries("open", "", 0);
    assert_eq!(steps(&json), ALL);
    assert_eq!(json["warnings"][0]["code"], "open_registration");
    assert_eq!(json["tries"]["guest"]["state"], "refused");
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn server_requires_a_token() {
    let site = Site::live("token");
    let home = Home::new();
    let without = tries("token", "", 6);
    assert_eq!(without["tries"]["ways"][0]["state"], "not_tried");
    home.file("token", &site.tokens["unlimited"]);
    let line = format!("discover {} --try --json --token-file token", site.url);
    assert_eq!(steps(&home.run(&line).exit(0).json()), ALL);
    home.file("token", "nobody-made-this-one");
    home.run(&line).exit(1);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn a_server_with_terms() {
    tries("terms", "", 6);
    assert_eq!(steps(&tries("terms", "--accept-terms", 0)), ALL);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn a_server_with_guests() {
    let json = tries("guests", "", 0);
    assert_eq!(json["tries"]["guest"]["state"], "allowed");
    let warnings = json["warnings"].as_array().unwrap();
    assert!(
        warnings.iter().any(|one| one["code"] == "guests_allowed"),
        "{warnings:?}"
    );
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn a_server_with_rules_for_passwords() {
    let json = tries("policy", "", 0);
    assert_eq!(steps(&json), ALL);
    let policy = &json["password_policy"];
    assert!(policy["minimum_length"].as_u64() > Some(0), "{policy}");
    // What the server would refuse is not sent.
    let home = Home::new();
    home.file("password", "short");
    let line = format!("register {} --json --password-file password", url("policy"));
    let refused = home.run(&line).exit(7).json();
    assert_eq!(refused["error"]["errcode"], "M_PASSWORD_TOO_SHORT");
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn server_needs_person_or_is_closed() {
    for (profile, exit) in [("email", 6), ("recaptcha", 6), ("closed", 7)] {
        let json = tries(profile, "", exit);
        let ways = json["tries"]["ways"].as_array().unwrap();
        assert!(
            ways.iter().all(|way| way["state"] == "not_tried"),
            "{ways:?}"
        );
    }
}
