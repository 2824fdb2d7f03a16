//! Where no keyring answers, secrets are stored in a file, and that is said once.

use std::{
    fs,
    os::unix::{fs::MetadataExt, net::UnixListener},
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    command::Home,
    server::{Server, matrix},
    servers::Site,
};

const ADDRESS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// A bus that accepts connections and never answers.
#[test]
fn hanging_keyring_times_out_once() {
    let dir = TempDir::new().unwrap();
    let listener = UnixListener::bind(dir.path().join("bus")).unwrap();
    let address = format!("unix:path={}", dir.path().join("bus").display());
    let (home, server) = (Home::new(), Server::start(matrix));
    let register = format!("register {}", server.url);
    let ended = home.command(&register).env(ADDRESS, &address).run().exit(0);
    let said = "only you can read: the keyring did not answer within 2 s";
    assert!(ended.stderr.contains(said), "{ended}");
    assert!(ended.took >= Duration::from_secs(2), "{:?}", ended.took);
    assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
    assert_eq!(
        fs::metadata(home.matricula().join("accounts.json"))
            .unwrap()
            .mode()
            & 0o777,
        0o600
    );
    let again = home.command("whoami").env(ADDRESS, &address).run().exit(0);
    assert!(!again.stderr.contains("only you can read"), "{again}");
    drop(listener);
}

#[test]
fn missing_keyring_is_reported_once() {
    let (home, site) = (Home::new(), Site::embedded("open"));
    let register = format!("register {}", site.url);
    let first = home.run(&register).exit(0);
    let said = "a file that only you can read: no keyring is available";
    assert!(first.stderr.contains(said), "{first}");
    let second = home.run(&register).exit(0);
    assert!(!second.stderr.contains("only you can read"), "{second}");
    let off = Home::new();
    let off = off
        .command(&register)
        .env("MATRICULA_KEYRING", "off")
        .run()
        .exit(0);
    assert!(
        !off.stderr.contains("only you can read"),
        "who switched it off knows: {off}"
    );
}

#[test]
fn a_newer_file_is_left_alone() {
    let home = Home::new();
    fs::create_dir(home.matricula()).unwrap();
    let text = json!({ "schema_version": 3, "anything": 1 }).to_string();
    fs::write(home.matricula().join("accounts.json"), &text).unwrap();
    for line in [
        "accounts",
        "keyring on",
        "keyring off",
        "keyring status",
        "logout --all",
    ] {
        let ended = home.run(line).exit(1);
        assert!(ended.stderr.contains("has format 3"), "{ended}");
    }
    let after = fs::read_to_string(home.matricula().join("accounts.json"));
    assert_eq!(after.unwrap(), text);
}
