//! `matricula account` on real servers.

use serde_json::json;

use super::addresses::{follow_link, server};
use crate::command::{Home, unique};

/// A home with an account of this name.
fn registered(profile: &str, name: &str) -> Home {
    let (server, home) = (server(profile), Home::new());
    let url = server["base_url"].as_str().unwrap();
    let line = format!("register {url} --no-input --username {name}");
    home.run(&line).exit(0);
    home
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn account_from_password_to_deactivation() {
    let home = registered("open", &unique("n"));
    let first = home.account();
    home.command("account name")
        .word("Alice of Tests")
        .run()
        .exit(0);
    assert_eq!(home.run("account name").exit(0).stdout, "Alice of Tests\n");
    home.run("account avatar mxc://example.org/abc").exit(0);
    home.run("account name --remove").exit(0);
    let shown = home.run("account show --json").exit(0).json();
    assert_eq!(shown["avatar_url"], "mxc://example.org/abc");
    assert_ne!(shown["display_name"], "Alice of Tests");

    home.run("account password --no-input").exit(0);
    let made = home.account()["password"].clone();
    assert_ne!(made, first["password"]);
    home.file("new", "Another-1-wordpass");
    home.run("account password --no-input --new-password-file new")
        .exit(0);
    home.run("account password --no-input").exit(6);
    home.run("whoami").exit(0);
    // Signing in again would replace the session: another program has one of its own.
    let elsewhere = Home::new();
    elsewhere.file("new", "Another-1-wordpass");
    let (user_id, url) = (
        first["user_id"].as_str().unwrap(),
        first["server"].as_str().unwrap(),
    );
    let line = format!("login {user_id} --server {url} --no-input --password-file new");
    elsewhere.run(&line).exit(0);
    let other = elsewhere.account();

    let old = other["device_id"].as_str().unwrap();
    home.run(&format!("account devices rename {old} old"))
        .exit(0);
    let listed = home.run("account devices").exit(0).stdout;
    let mut lines = listed.lines();
    assert!(
        lines.any(|line| line.starts_with(old) && line.ends_with(" old")),
        "{listed}"
    );
    home.file("wrong", "Not-the-1-wordpass");
    let line = format!("account devices delete {old} --no-input --password-file");
    home.run(&format!("{line} wrong")).exit(4);
    home.run(&format!("{line} new")).exit(0);
    let listed = home.run("account devices").exit(0).stdout;
    assert!(!listed.contains(old), "{listed}");

    let line = "account deactivate --erase --no-input --password-file new";
    home.run(line).exit(2);
    home.run(&format!("{line} --yes")).exit(0);
    assert_eq!(home.store()["tables"]["accounts"], json!({}));
    let user_id = first["user_id"].as_str().unwrap();
    let server = first["server"].as_str().unwrap();
    let line = format!("login {user_id} --server {server} --no-input --password-file new");
    assert_ne!(home.run(&line).code(), Some(0));
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn email_address_is_added_and_removed() {
    let name = unique("n");
    let home = registered("email-optional", &name);
    let address = format!("{name}@example.org");
    let line = format!("account email add {address} --no-input --json");
    let waits = home.run(&line).exit(6).json();
    assert_eq!(waits["error"]["stage"], "m.login.email.identity");
    home.run(&line).exit(6);
    follow_link(&server("email-optional"), &address);
    home.run(&line).exit(0);
    let listed = home.run("account email list").exit(0).stdout;
    assert_eq!(listed, format!("{address}\n"));

    // Another account cannot have it.
    let other = registered("email-optional", &unique("n"));
    let refused = other.run(&line).exit(7).json();
    assert_eq!(refused["error"]["errcode"], "M_THREEPID_IN_USE");

    home.run(&format!("account email remove {address}")).exit(0);
    assert_eq!(home.run("account email list").exit(0).stdout, "");
}
