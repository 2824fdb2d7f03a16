//! What a new user tries first, without a terminal.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::{
    command::Home,
    http::who_am_i,
    server::{Server, matrix},
    servers::Site,
};

/// A home with an account of this name.
fn with_account(site: &Site, name: &str) -> Home {
    let home = Home::new();
    add(site, &home, name);
    home
}

fn add(site: &Site, home: &Home, name: &str) {
    let line = format!("register {} --username {name}", site.url);
    home.run(&line).exit(0);
}

/// Runs a line in a shell, where `$M` is the command.
fn shell(home: &Home, line: &str) -> (Option<i32>, String) {
    let mut command = Command::new("bash");
    command
        .args(["-c", line])
        .current_dir(home.files())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("M", env!("CARGO_BIN_EXE_matricula"))
        .env("HOME", home.root())
        .env("MATRICULA_HOME", home.matricula());
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn unwritten_result_is_an_error() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    for line in [
        "whoami",
        "accounts",
        "account devices",
        "account password --show",
        "api list",
        "api show whoami",
        "api call getTokenOwner",
        "discover SERVER",
        "keyring status",
        "login",
        "register SERVER",
        "completions bash",
        "logout",
        // A command that fails stays one that fails.
        "whoami",
    ] {
        let line = line.replace("SERVER", &site.url);
        for option in ["", "--json"] {
            let (code, errors) = shell(&home, &format!("$M {line} {option} > /dev/full"));
            assert!(!matches!(code, Some(0) | None), "{line} {option}: {errors}");
            assert!(errors.contains("error: "), "{line} {option}: {errors}");
        }
    }
    for line in ["--help", "--version", "register --help", "homeserver"] {
        let (code, errors) = shell(&home, &format!("$M {line} > /dev/full"));
        assert_eq!(code, Some(1), "{line}: {errors}");
        assert!(
            errors.contains("standard output could not be written"),
            "{errors}"
        );
    }
    let (code, errors) = shell(&home, "$M accounts --json > /dev/full");
    assert_eq!(code, Some(1));
    assert!(errors.contains("No space left on device"), "{errors}");
}

#[test]
fn closed_pipe_is_no_error() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    for line in [
        "api list",
        "api list --json",
        "whoami",
        "--help",
        "completions zsh",
    ] {
        let line = format!("$M {line} | true; exit ${{PIPESTATUS[0]}}");
        assert_eq!(shell(&home, &line).0, Some(0), "{line}");
    }
    // Messages have no other place to go.
    assert_eq!(shell(&home, "$M accounts 2> /dev/full").0, Some(0));
    assert_eq!(
        shell(&home, "$M whoami --account x 2> /dev/full").0,
        Some(4)
    );
}

#[test]
fn localpart_names_an_account() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    add(&site, &home, "bob");
    for (line, code) in [
        ("switch zoe", 0),
        ("switch @zoe", 0),
        ("switch Zoe", 0),
        ("switch @zoe:open.test", 0),
        ("whoami --account bob", 0),
        ("account name Bobby --account bob", 0),
        ("api call getTokenOwner --account bob", 0),
        ("account devices --account bob", 0),
        ("logout --account bob", 0),
        ("login bob", 0),
        ("accounts forget bob --with-secrets", 0),
        ("switch zoe:open.test", 0),
        ("switch Zoe:OPEN.test", 0),
        ("login zoe:open.test", 0),
        ("login @Zoe", 0),
        ("switch bob", 4),
        ("whoami --account bo", 4),
        ("whoami --account zoe:", 4),
        ("whoami --account @zoe:else.test", 4),
    ] {
        let ended = home.run(line).exit(code);
        if code == 4 {
            let next = format!("next: {} accounts\n", env!("CARGO_BIN_EXE_matricula"));
            assert!(ended.stderr.ends_with(&next), "{ended}");
        }
    }
    let accounts = home.run("accounts --json").exit(0).json();
    assert_eq!(accounts["accounts"].as_array().unwrap().len(), 1);
}

/// However the account is named: the password is known nowhere else.
#[test]
fn login_keeps_the_generated_password() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    let password = home.account()["password"].clone();
    assert!(password.is_string());
    home.file("password", password.as_str().unwrap());
    let server = format!("--server {}", site.url);
    for line in [
        "login".to_owned(),
        "login ZOE".to_owned(),
        "login @Zoe:open.test".to_owned(),
        format!("login zoe {server}"),
        format!("login Zoe {server}"),
        format!("login @zoe {server}"),
        format!("login @ZOE:open.test {server}"),
        format!("login zoe:open.test {server}"),
        "login zoe --password-file password".to_owned(),
        "login --device-id OTHER".to_owned(),
        "login --refresh-token".to_owned(),
    ] {
        home.run(&line).exit(0);
        assert_eq!(home.account()["password"], password, "{line}");
    }
    let ended = home.run("login nobody").exit(2);
    assert!(ended.stderr.contains("@nobody:example.org"), "{ended}");
    let ended = home.run("login @nobody").exit(2);
    assert!(ended.stderr.contains("@nobody:example.org"), "{ended}");
    home.command("switch").word("").run().exit(2);
    home.command("whoami --account").word(" ").run().exit(2);
}

#[test]
fn ambiguous_localpart_is_refused() {
    let (site, other) = (Site::embedded("open"), Site::embedded("guests"));
    let home = with_account(&site, "zoe");
    add(&other, &home, "zoe");
    for line in [
        "switch zoe",
        "whoami --account zoe",
        "login zoe",
        "accounts forget zoe",
    ] {
        let ended = home.run(line).exit(2);
        assert!(
            ended
                .stderr
                .contains("@zoe:guests.test, @zoe:open.test; give the whole user ID"),
            "{ended}"
        );
    }
    home.run("switch @zoe:open.test").exit(0);
    // The server makes it unambiguous.
    let line = format!("login zoe --server {}", other.url);
    let ended = home.run(&line).exit(0);
    assert!(ended.stdout.contains("@zoe:guests.test"), "{ended}");
    let ended = home.run("switch").exit(2);
    assert!(
        ended.stderr.contains("@zoe:guests.test, @zoe:open.test"),
        "{ended}"
    );
}

#[test]
fn default_account_is_reported() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    let default = |home: &Home| home.store()["default"].clone();
    assert_eq!(default(&home), "@zoe:open.test");
    let line = format!("register {} --username bob", site.url);
    let ended = home.run(&line).exit(0);
    let words = "@bob:open.test is the default account now, instead of @zoe:open.test";
    assert!(ended.stderr.contains(words), "{ended}");
    home.run("switch zoe").exit(0);
    let ended = home.run("login bob").exit(0);
    assert!(ended.stderr.contains(words), "{ended}");
    let ended = home.run("accounts forget bob --with-secrets").exit(0);
    assert!(
        ended
            .stderr
            .contains("the default account is @zoe:open.test now"),
        "{ended}"
    );
    assert_eq!(default(&home), "@zoe:open.test");
}

#[test]
fn piped_input_makes_no_private_account() {
    for (line, code) in [
        ("echo | $M register", 2),
        ("echo | $M register --json", 2),
        ("echo alice | $M register --username zoe", 2),
        ("yes | $M register", 2),
        ("sleep 2 | $M register", 2),
        ("$M register --no-input", 0),
        ("echo | $M register --no-input", 0),
        ("$M register < /dev/null", 0),
        ("true | $M register", 0),
    ] {
        let home = Home::new();
        let (ended, errors) = shell(&home, line);
        assert_eq!(ended, Some(code), "{line}: {errors}");
        let store = home.matricula().join("accounts.json");
        assert_eq!(store.exists(), code == 0, "{line}: {errors}");
        if code == 2 {
            assert!(errors.contains("register example.org"), "{errors}");
            assert!(errors.contains("--no-input"), "{errors}");
        }
    }
    let site = Site::embedded("open");
    let home = Home::new();
    let (code, errors) = shell(&home, &format!("echo | $M register {}", site.url));
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn stored_password_is_shown_and_written() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    let password = home.account()["password"].as_str().unwrap().to_owned();
    let shown = home.run("account password --show").exit(0);
    assert_eq!(shown.stdout, format!("{password}\n"));
    let shown = home.run("account password --show --json").exit(0).json();
    assert_eq!(shown["password"], password);
    assert_eq!(shown["user_id"], "@zoe:open.test");

    let ended = home.run("account password --to-file secret").exit(0);
    assert!(!format!("{ended}").contains(&password), "{ended}");
    let file = home.files().join("secret");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{password}\n"));
    home.run("account password --to-file secret").exit(2);
    home.run("account password --to-file secret --overwrite")
        .exit(0);
    home.run("account password --to-file nowhere/secret")
        .exit(1);
    // It is the right one, and the file is as other options want it.
    let elsewhere = Home::new();
    elsewhere.file("secret", &fs::read_to_string(&file).unwrap());
    let line = format!("login zoe --server {} --password-file secret", site.url);
    elsewhere.run(&line).exit(0);

    for options in [
        "--to-file x",
        "--new-password-file secret",
        "--keep-devices",
    ] {
        let line = format!("account password --show {options}");
        home.run(&line).exit(2);
    }
    let ended = elsewhere.run("account password --show").exit(1);
    assert!(ended.stderr.contains("you chose it"), "{ended}");
    assert_eq!(ended.stdout, "");
    Home::new().run("account password --show").exit(4);
}

#[test]
fn login_replaces_the_session() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    let devices = |home: &Home| -> Vec<Value> {
        let listed = home.run("account devices --json").exit(0).json();
        listed["devices"].as_array().unwrap().clone()
    };
    let first = home.account();
    for line in ["login", "login zoe", "login @zoe:open.test --refresh-token"] {
        let before = home.account();
        home.run(line).exit(0);
        assert_eq!(home.account()["device_id"], first["device_id"], "{line}");
        let token = before["access_token"].as_str().unwrap();
        assert_eq!(who_am_i(&site.url, token).0, 401, "{line}");
        assert_eq!(devices(&home).len(), 1, "{line}");
    }
    // Another device: the session on the one before is ended.
    let before = home.account();
    let ended = home.run("login --device-id OTHER").exit(0);
    assert!(ended.stderr.contains("is ended"), "{ended}");
    let token = before["access_token"].as_str().unwrap();
    assert_eq!(who_am_i(&site.url, token).0, 401);
    let left = devices(&home);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["device_id"], "OTHER");
    // After a logout there is nothing to replace.
    home.run("logout").exit(0);
    let ended = home.run("login").exit(0);
    assert!(!ended.stderr.contains("earlier session"), "{ended}");
    assert_eq!(devices(&home).len(), 1);
}

#[test]
fn user_id_of_another_server_is_refused_first() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    // The same user ID on another server.
    let server = Server::start(matrix);
    for signed_out in [false, true] {
        if signed_out {
            home.run("logout").exit(0);
        }
        home.file("password", "wordpass");
        let line = format!(
            "login @zoe:open.test --server {} --password-file password",
            server.url
        );
        let ended = home.run(&line).exit(1);
        assert!(
            ended
                .stderr
                .contains("matricula accounts forget @zoe:open.test"),
            "{ended}"
        );
        let is_login = |method: &str, path: &str| method == "POST" && path.ends_with("/login");
        let requests = server.requests();
        assert!(!requests.iter().any(|one| is_login(&one.method, &one.path)));
    }
}

#[test]
fn refresh_without_refresh_token_says_what_to_do() {
    let site = Site::embedded("refresh");
    let home = with_account(&site, "zoe");
    let ended = home.run("refresh").exit(4);
    let next = "login @zoe:refresh.test --refresh-token\n";
    assert!(ended.stderr.ends_with(next), "{ended}");
    let words = ended.stderr.lines().last().unwrap();
    let line = words.split(" login ").nth(1).unwrap();
    home.run(&format!("login {line}")).exit(0);
    home.run("refresh").exit(0);
}

#[test]
fn wrong_token_does_not_end_a_resumed_registration() {
    let (site, home) = (Site::embedded("token"), Home::new());
    let line = format!("register {} --username zoe --json", site.url);
    let waits = home.run(&line).exit(6).json();
    let id = waits["error"]["resume"].as_str().unwrap().to_owned();
    home.file("wrong", "not-the-token");
    home.file("right", &site.tokens["unlimited"]);
    for _ in 0..2 {
        let line = format!("register --resume {id} --token-file wrong --json");
        let refused = home.run(&line).exit(7).json();
        assert_eq!(refused["error"]["resume"], id);
        let next = refused["next"].as_str().unwrap();
        assert!(
            next.ends_with(&format!("register --resume {id} --token-file FILE")),
            "{next}"
        );
    }
    let line = format!("register --resume {id} --token-file right --json");
    let made = home.run(&line).exit(0).json();
    assert_eq!(made["user_id"], "@zoe:token.test");
    // A first try leaves nothing behind.
    let line = format!("register {} --username bob --token-file wrong", site.url);
    home.run(&line).exit(7);
    assert_eq!(home.store()["tables"]["registrations"], json!({}));
}

#[test]
fn completions_are_those_of_the_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = home.run(&format!("completions {shell}")).exit(0);
        for word in ["matricula", "register", "accounts", "--no-input"] {
            let word = match shell {
                "fish" => word.trim_start_matches("--"),
                _ => word,
            };
            assert!(ended.stdout.contains(word), "{shell} lacks {word}");
        }
        assert_eq!(ended.stderr, "");
    }
    home.run("completions tcsh").exit(2);
    home.run("completions").exit(2);
    // The script is one that bash reads.
    let (code, errors) = shell(&home, "$M completions bash | bash -n");
    assert_eq!((code, &*errors), (Some(0), ""));
}

#[test]
fn unknown_device_is_not_deleted() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    let mine = home.account()["device_id"].as_str().unwrap().to_owned();
    for ids in [
        "NOPE",
        &format!("{mine} NOPE"),
        "NOPE NADA",
        &mine.to_lowercase(),
    ] {
        let ended = home
            .run(&format!("account devices delete {ids} --json"))
            .exit(1);
        let message = ended.json()["error"]["message"].to_string();
        assert!(message.contains("has no device"), "{message}");
        assert!(message.contains("nothing was deleted"), "{message}");
    }
    home.run("whoami").exit(0);
    home.run(&format!("account devices delete {mine}")).exit(0);
    home.run("whoami").exit(4);
}

#[test]
fn device_has_a_name() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    let name = |home: &Home| {
        let listed = home.run("account devices --json").exit(0).json();
        listed["devices"][0]["display_name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(name(&home).starts_with("matricula on "), "{}", name(&home));
    home.run("logout").exit(0);
    home.run("login").exit(0);
    assert!(name(&home).starts_with("matricula on "), "{}", name(&home));
    home.run("login --device-id NEW --device-name mine").exit(0);
    assert_eq!(name(&home), "mine");
    // The device is used again.
    for (line, expected) in [
        ("login --device-name other", "other"),
        ("login", "other"),
        ("login --device-id NEW --device-name third", "third"),
        ("login --refresh-token --device-name fourth", "fourth"),
    ] {
        home.run(line).exit(0);
        assert_eq!(name(&home), expected, "{line}");
    }
}

#[test]
fn lists_have_columns() {
    let site = Site::embedded("open");
    let home = with_account(&site, "zoe");
    add(&site, &home, "alexandra");
    home.run("login --device-id ALONGERDEVICEID").exit(0);
    for line in ["accounts", "account devices"] {
        let shown = home.run(line).exit(0).stdout;
        let starts: Vec<Option<usize>> = shown
            .lines()
            .map(|line| line.trim_start_matches(['*', ' ']).find("  "))
            .collect();
        assert!(starts.iter().all(Option::is_some), "{shown}");
    }
    let shown = home.run("accounts").exit(0).stdout;
    let starts: Vec<Option<usize>> = shown.lines().map(|line| line.find("http://")).collect();
    assert_eq!(starts[0], starts[1], "{shown}");
}

#[test]
fn listen_address_is_explained() {
    let home = Home::new();
    for address in [
        "example.org:8008",
        "8008",
        "0.0.0.0:",
        "1.2.3",
        "http://0.0.0.0:8008",
    ] {
        let ended = home.run(&format!("homeserver --listen {address}")).exit(2);
        assert!(ended.stderr.contains("HOST:PORT"), "{ended}");
    }
    let ended = home
        .run("homeserver --listen 127.0.0.1:8008 --port 8009")
        .exit(2);
    assert!(ended.stderr.contains("the port is named twice"), "{ended}");
}

#[test]
fn a_first_registration_that_is_refused_is_not_listed() {
    let (site, home) = (Site::embedded("token"), Home::new());
    home.file("wrong", "not-the-token");
    let line = format!("register {} --token-file wrong", site.url);
    home.run(&line).exit(7);
    let again = home.run(&line).exit(7);
    assert!(!again.stderr.contains("half done"), "{again}");
}
