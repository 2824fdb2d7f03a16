//! Prompts on a terminal.

use serde_json::json;

use crate::{
    command::{Home, unique},
    server::{REGISTER, Server, error, matrix, object},
    servers::Site,
};

pub(crate) use crate::terminal_session::on_a_terminal;

const ENTER: &str = "\r";

#[test]
fn asks_for_server_name_and_password() {
    let (home, site, name) = (Home::new(), Site::embedded("open"), unique("n"));
    let answers = [
        ("Which homeserver?", &*format!("{}{ENTER}", site.url)),
        ("Your name there", &format!("{name}{ENTER}")),
        ("A password", &format!("a-Good-1{ENTER}")),
        ("The same again:", &format!("a-Good-2{ENTER}")),
        ("two different passwords", ""),
        ("A password", &format!("a-Good-1{ENTER}")),
        ("The same again:", &format!("a-Good-1{ENTER}")),
    ];
    let (code, seen) = on_a_terminal(&home, "register", &answers, &[]);
    assert_eq!(code, 0, "{seen}");
    assert!(!seen.contains("a-Good-1"), "{seen}");
    assert_eq!(home.account()["user_id"], format!("@{name}:open.test"));
    assert_eq!(home.account()["password"], json!(null));
    let line = format!("login {name} --server {}", site.url);
    let (code, seen) = on_a_terminal(&home, &line, &[("Password of", "a-Good-1\r")], &[]);
    assert_eq!(code, 0, "{seen}");
}

#[test]
fn asks_for_passwords_and_confirmation() {
    let (home, site, name) = (Home::new(), Site::embedded("open"), unique("n"));
    home.file("password", "an-Old-1-wordpass");
    let line = format!(
        "register {} --username {name} --password-file password --no-input",
        site.url
    );
    home.run(&line).exit(0);
    let answers = [
        ("A password", "a-New-1-wordpass\r"),
        ("The same again:", "a-New-1-wordpass\r"),
        (
            &*format!("Password of @{name}:open.test:"),
            "not-the-1-password\r",
        ),
        ("the username or the password", ""),
        ("Password of", "an-Old-1-wordpass\r"),
    ];
    let (code, seen) = on_a_terminal(&home, "account password", &answers, &[]);
    assert_eq!(code, 0, "{seen}");
    assert!(!seen.contains("wordpass"), "{seen}");
    let (code, seen) = on_a_terminal(
        &home,
        "account deactivate",
        &[("Close it for good?", "n\r")],
        &[],
    );
    assert_eq!(code, 1, "{seen}");
    assert!(seen.contains("nothing was done"), "{seen}");
    home.run("whoami").exit(0);
    let answers = [
        ("Close it for good?", "y\r"),
        ("Password of", "a-New-1-wordpass\r"),
    ];
    let (code, seen) = on_a_terminal(&home, "account deactivate", &answers, &[]);
    assert_eq!(code, 0, "{seen}");
    assert_eq!(home.store()["tables"]["accounts"], json!({}));
}

#[test]
fn three_returns_make_a_private_account() {
    let home = Home::new();
    let answers = [
        ("a private one on this machine", ENTER),
        ("Your name there", ENTER),
        ("A password", ENTER),
    ];
    let (code, seen) = on_a_terminal(&home, "register", &answers, &[]);
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("no other machine can reach"), "{seen}");
    assert!(home.account()["password"].is_string());
    home.run("whoami").exit(0);
}

#[test]
fn asks_again_for_name_and_token() {
    let (home, site, name) = (Home::new(), Site::embedded("token"), unique("n"));
    let answers = [
        ("Another name:", &*format!("{name}{ENTER}")),
        ("A password", ENTER),
        ("Registration token:", "typo\r"),
        (
            "Registration token:",
            &format!("{}{ENTER}", site.tokens["unlimited"]),
        ),
    ];
    let line = format!("register {} --username admin", site.url);
    let (code, seen) = on_a_terminal(&home, &line, &answers, &[]);
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains(r#"the name "admin" is taken"#), "{seen}");
    assert_eq!(home.account()["user_id"], format!("@{name}:token.test"));
}

#[test]
fn shows_terms_before_asking() {
    let server = Server::start(|request| match request.is_stage() {
        false if request.path == REGISTER => object(
            401,
            json!({
                "session": "s",
                "flows": [{ "stages": ["m.login.terms"] }],
                "params": { "m.login.terms": { "policies": {
                    "a": { "version": "1", "en": { "name": "Manners", "url": "https://b.test/1" } },
                    "b": { "version": "1", "en": { "name": "Tr\u{1b}]0;x\u{7}ick", "url": "https://b.test/2" } },
                } } },
            }),
        ),
        _ => matrix(request),
    });
    let line = format!("register {}", server.url);
    for (answer, code) in [("y\r", 0), ("n\r", 6)] {
        let home = Home::new();
        let answers = [
            ("Your name there", ENTER),
            ("A password", ENTER),
            ("accept these terms?", answer),
        ];
        let (ended, seen) = on_a_terminal(&home, &line, &answers, &[]);
        assert_eq!(ended, code, "{seen}");
        assert!(seen.contains("Manners: https://b.test/1"), "{seen}");
        assert!(seen.contains("Tr]0;xick: https://b.test/2"), "{seen}");
    }
}

#[test]
fn no_input_asks_nothing() {
    let home = Home::new();
    let (code, seen) = on_a_terminal(&home, "register --no-input", &[], &[]);
    assert_eq!(code, 0, "{seen}");
    assert!(!seen.contains('?'), "{seen}");
}

#[test]
fn colours_can_be_switched_off() {
    let server = Server::start(|request| match request.path.as_str() {
        REGISTER => error(403, "M_FORBIDDEN", "closed"),
        _ => matrix(request),
    });
    for env in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let (_, seen) = on_a_terminal(
            &Home::new(),
            &format!("register {}", server.url),
            &[("Your name there", ENTER), ("A password", ENTER)],
            &[env],
        );
        assert!(!seen.contains("\u{1b}[3"), "{seen:?}");
        let (_, seen) = on_a_terminal(&Home::new(), "register --help", &[], &[env]);
        assert!(!seen.contains('\u{1b}'), "{seen:?}");
    }
    let line = format!("register {} --no-input", server.url);
    for (env, coloured) in [
        (&[][..], true),
        (&[("NO_COLOR", "1")], false),
        (&[("NO_COLOR", "")], true),
        (&[("TERM", "dumb")], false),
        (&[("TERM", "vt100")], true),
    ] {
        let (code, seen) = on_a_terminal(&Home::new(), &line, &[], env);
        assert_eq!(
            (code, seen.contains("\u{1b}[31m")),
            (7, coloured),
            "{seen:?}"
        );
    }
}
