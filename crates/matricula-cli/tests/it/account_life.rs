//! The life of an account on the embedded homeserver, by `matricula account`.

use serde_json::{Value, json};

use crate::command::Home;

#[test]
fn private_account_can_be_managed() {
    let home = Home::new();
    home.run("register --username alice --no-input").exit(0);
    let first = home.account();

    home.run("account name Alice").exit(0);
    assert_eq!(home.run("account name").exit(0).stdout, "Alice\n");
    home.run("account avatar mxc://example.org/abc").exit(0);
    let shown = home.run("account show --json").exit(0).json();
    assert_eq!(
        (&shown["display_name"], &shown["avatar_url"]),
        (&json!("Alice"), &json!("mxc://example.org/abc"))
    );
    home.run("account name --remove").exit(0);
    assert_ne!(home.run("account name").exit(0).stdout, "Alice\n");

    home.run("account password --no-input").exit(0);
    let second = home.account();
    assert_ne!(second["password"], first["password"]);
    assert_eq!(second["access_token"], first["access_token"]);
    // Signing in again would replace the session: another program has one of its own.
    home.run("account password --to-file password").exit(0);
    let old = "SECOND";
    let line = format!("api call login type=m.login.password password=@password device_id={old}");
    let user = r#"identifier:={"type":"m.id.user","user":"alice"}"#;
    home.command(&line).word(user).run().exit(0);
    home.run(&format!("account devices rename {old} old"))
        .exit(0);
    let listed = home.run("account devices --json").exit(0).json();
    assert_eq!(listed["devices"].as_array().unwrap().len(), 2);
    home.run(&format!("account devices delete {old} --no-input"))
        .exit(0);
    let listed = home.run("account devices --json").exit(0).json();
    assert_eq!(listed["devices"].as_array().unwrap().len(), 1);

    home.file("wrong", "not-the-password");
    let line = "account password --no-input --password-file";
    // The stored password is tried too.
    home.run(&format!("{line} wrong")).exit(0);

    home.run("account deactivate --no-input --yes").exit(0);
    assert_eq!(home.store()["tables"]["accounts"], json!({}));
    assert_eq!(home.store()["default"], Value::Null);
    // The name stays taken.
    home.run("register --username alice --no-input").exit(7);
}
