//! What is typed wrongly ends with exit code 2 and changes nothing.

use std::fs;

use crate::{command::Home, server::listen};

#[test]
fn invalid_options_are_usage_errors() {
    let (listener, server) = listen();
    for line in [
        "",
        "frobnicate",
        "register --frobnicate",
        "register SERVER --password wordpass",
        "register SERVER --token letmein",
        "register SERVER --username a --guest",
        "register SERVER --password-stdin --token-stdin",
        "register SERVER --password-stdin --password-file given",
        "register SERVER --token-stdin --token-file given",
        "register SERVER --password-file missing",
        "register SERVER --password-file empty",
        "register SERVER --token-file empty",
        "register SERVER --password-stdin",
        "register SERVER --timeout 0",
        "register SERVER --timeout -1",
        "register SERVER --timeout soon",
        "register SERVER --timeout inf",
        "register SERVER --log everything",
        "register SERVER --resume abc",
        "register --resume abc",
        "register --resume abc --dry-run",
        "register http://matrix.example.org",
        "register ftp://matrix.example.org",
        "register https://alice@matrix.example.org",
        "register https://matrix.example.org/?a=b",
        "register exa_mple..org:port",
        "login alice",
        "login",
        "login --server SERVER",
        "login @alice:example.org --server SERVER",
        "discover",
        "api",
        "media",
        "media put",
        "media put missing",
        "media put .",
        "media put given --type png",
        "media put given --name a --no-name",
        "media get",
        "media get AbCdEf",
        "media get https://example.org/AbCdEf",
        "media get mxc://example.org/",
        "media get mxc://example.org/../given",
        "media get mxc://example.org/AbCdEf given",
        "media get mxc://example.org/given",
        "media get mxc://example.org/AbCdEf . --overwrite",
        "media get mxc://example.org/AbCdEf missing/file",
        "homeserver --port 65536",
        "homeserver --allow-open-registration",
    ] {
        let home = Home::new();
        home.file("given", "wordpass");
        home.file("empty", "\n");
        let ended = home.run(&line.replace("SERVER", &server)).exit(2);
        assert_eq!(ended.stdout, "", "{line}");
        assert!(
            ended.stderr.contains("error: ") || ended.stderr.contains("Usage: "),
            "{line}: {ended}"
        );
        assert_eq!(
            fs::read_dir(home.root()).unwrap().count(),
            1,
            "{line} wrote something"
        );
    }
    // A connection is there for the taking as soon as its other side believes it open.
    listener.set_nonblocking(true).unwrap();
    listener.accept().expect_err("somebody connected");
}

/// Also where the environment names a home.
#[test]
fn missing_subcommand_shows_help() {
    for (line, expected) in [
        ("", "matricula register example.org"),
        ("--json", "matricula register example.org"),
        ("account", "deactivate"),
        ("account email", "remove"),
        ("admin user --json", "list"),
    ] {
        let ended = Home::new().run(line).exit(2);
        assert!(ended.stderr.contains(expected), "{line}: {ended}");
        assert!(ended.stderr.contains("Usage: matricula"), "{line}: {ended}");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn argument_secrets_are_not_repeated() {
    let home = Home::new();
    for line in [
        "register https://alice:wordpass@example.org",
        "register https://alice:wordpass@example.org --json",
        "discover https://alice:wordpass@example.org",
    ] {
        let ended = home.run(line).exit(2);
        let shown = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!shown.contains("wordpass"), "{ended}");
    }
}

#[test]
fn missing_account_is_named() {
    let home = Home::new();
    for line in ["whoami", "refresh", "logout"] {
        let ended = home.run(line).exit(4);
        assert!(
            ended
                .stderr
                .contains("no account is stored here yet\nnext: "),
            "{ended}"
        );
        let ended = home
            .run(&format!("{line} --json --account @alice:example.org"))
            .exit(4);
        let json = ended.json();
        assert_eq!(json["error"]["kind"], "sign_in");
        let message = json["error"]["message"].as_str().unwrap();
        assert!(
            message.starts_with("no account @alice:example.org is stored here"),
            "{message}"
        );
        let next = json["next"].as_str().unwrap();
        assert!(next.contains(" register"), "{next}");
    }
}

#[test]
fn help_begins_with_examples() {
    for line in [
        "--help",
        "register --help",
        "login --help",
        "discover --help",
        "homeserver --help",
        "api list --help",
        "api show --help",
        "api call --help",
        "media put --help",
        "media get --help",
    ] {
        let ended = Home::new().run(line).exit(0);
        assert!(ended.stdout.starts_with("Example"), "{line}: {ended}");
    }
    let ended = Home::new().run("--version").exit(0);
    assert!(ended.stdout.starts_with("matricula"), "{ended}");
}

#[test]
fn unusable_store_is_not_changed() {
    let home = Home::new();
    fs::create_dir(home.matricula()).unwrap();
    let store = home.matricula().join("accounts.json");
    fs::write(&store, "{\"schema_version\": 7}").unwrap();
    for line in ["whoami", "login", "register", "register --resume abc"] {
        let ended = home.run(line).exit(1);
        assert!(
            ended
                .stderr
                .contains("has format 7, and this program reads formats 1 and 2"),
            "{ended}"
        );
    }
    assert_eq!(
        fs::read_to_string(&store).unwrap(),
        "{\"schema_version\": 7}"
    );
}
