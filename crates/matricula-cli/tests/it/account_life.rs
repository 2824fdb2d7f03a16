//! The life of an account on the embedded homeserver, by `matricula account`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    command::Home,
    server::{Request, Server, error, matrix},
    servers::Site,
};

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

#[test]
fn avatar_is_uploaded_from_a_file() {
    let (site, home) = (Site::embedded("open"), Home::new());
    home.run(&format!("register {} --username zoe", site.url))
        .exit(0);
    home.file("cat.png", "meow");
    home.file("notes", "meow too");
    fs::create_dir(home.files().join("dir")).unwrap();
    let shown = || home.run("account avatar").exit(0).stdout.trim().to_owned();
    let content = |uri: &str| home.run(&format!("media get {uri} -")).exit(0).stdout;

    let ended = home.run("account avatar cat.png --json").exit(0);
    let uri = ended.json()["avatar_url"].as_str().unwrap().to_owned();
    assert_eq!((shown(), content(&uri)), (uri, "meow".to_owned()));
    assert_eq!(ended.stderr, "");
    let ended = home.run("account avatar ./notes").exit(0);
    assert!(ended.stderr.contains("not as an image"), "{ended}");
    assert_eq!(content(&shown()), "meow too");
    let line = home.command("account avatar -").stdin("from a pipe");
    let ended = line.run().exit(0);
    assert!(ended.stderr.contains("standard input"), "{ended}");
    assert_eq!(content(&shown()), "from a pipe");

    // What cannot be one changes nothing.
    let before = shown();
    for (picture, words) in [
        ("nowhere.png", "there is no file nowhere.png"),
        ("dir", "is a directory"),
        ("/dev/null", "is no file on a disk"),
        ("https://open.test/cat.png", "give a file"),
        ("mxc:cat.png", "mxc:"),
        ("MXC://", "mxc"),
    ] {
        let ended = home.run(&format!("account avatar {picture}")).exit(2);
        assert!(ended.stderr.contains(words), "{ended}");
    }
    home.command("account avatar").word("").run().exit(2);
    let ended = home.run("account avatar cat.png --dry-run --json").exit(0);
    let requests = ended.json()["requests"].as_array().unwrap().clone();
    let operations: Vec<&Value> = requests.iter().map(|one| &one["operation"]).collect();
    assert_eq!(
        operations,
        ["getConfigAuthed", "uploadContent", "setProfileField"]
    );
    assert_eq!(shown(), before);

    // On a private homeserver, which runs for the command only.
    let private = Home::new();
    private.run("register --no-input").exit(0);
    private.file("cat.png", "meow");
    private.run("account avatar cat.png").exit(0);
    let uri = private.run("account avatar").exit(0).stdout;
    assert!(uri.starts_with("mxc://"), "{uri}");
}

#[test]
fn refused_picture_leaves_the_avatar() {
    for (status, code) in [(413, 7), (403, 7), (500, 3), (404, 1)] {
        let server = Server::start(move |request| match request.path.as_str() {
            path if path.ends_with("/upload") => error(status, "M_UNKNOWN", "no"),
            _ => matrix(request),
        });
        let home = Home::new();
        home.run(&format!("register {}", server.url)).exit(0);
        home.file("cat.png", "meow");
        home.run("account avatar cat.png").exit(code);
        let is_change = |one: &Request| one.method != "GET" && one.path.contains("/profile/");
        assert!(!server.requests().iter().any(is_change), "{status}");
    }
}
