//! The first five minutes of a new user, on a real terminal.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    command::Home,
    http::who_am_i,
    server::{Reply, Request, Server, asks, matrix, object, silence},
    servers::Site,
    terminal_session::{on_a_terminal, on_columns, plain},
};

const ENTER: &str = "\r";
const DOWN: &str = "\u{1b}[B";
const CTRL_C: &str = "\u{3}";

/// Runs a command line that must end with this code, and returns what stood there.
#[track_caller]
fn run(home: &Home, line: &str, code: i32, answers: &[(&str, &str)]) -> String {
    let (ended, seen) = on_a_terminal(home, line, answers, &[]);
    let seen = plain(&seen);
    assert_eq!(ended, code, "{line}: {seen}");
    seen
}

/// The stored account of this user ID.
fn stored(home: &Home, user_id: &str) -> Value {
    home.store()["tables"]["accounts"][user_id].clone()
}

#[test]
fn a_new_user_finds_the_way() {
    let (site, home) = (Site::embedded("open"), Home::new());
    let url = format!("{}{ENTER}", site.url);

    let seen = run(&home, "", 2, &[]);
    assert!(seen.contains("matricula register"), "{seen}");

    // A typed name is the server; a wrong one is asked for again, and so is a name that is taken. The
    // password is asked for once the name is free.
    let answers = [
        ("Which homeserver?", "not a server\r"),
        ("is not the name of a homeserver", ""),
        ("Which homeserver?", "http://127.0.0.1:9\r"),
        ("cannot be reached", ""),
        ("Which homeserver?", &*url),
        ("Your name there", "admin\r"),
        (r#"the name "admin" is taken"#, ""),
        ("Another name:", "na me\r"),
        ("is not a user name", ""),
        ("Another name:", "@zoe:open.test\r"),
        ("type only the name in it", ""),
        ("Another name:", "na?me\r"),
        ("does not allow the name", ""),
        ("Another name:", "zoe\r"),
        ("A password", ENTER),
    ];
    let seen = run(&home, "register", 0, &answers);
    assert!(seen.contains("registered @zoe:open.test"), "{seen}");
    assert!(seen.contains("account password --show"), "{seen}");
    assert!(!seen.contains("****"), "nothing was typed: {seen}");
    let zoe = stored(&home, "@zoe:open.test");

    let seen = run(&home, "accounts", 0, &[]);
    let row = format!("* @zoe:open.test  {}  signed in", site.url);
    assert!(seen.contains(&row), "{seen}");

    // Signing in again uses the same device.
    let answers = [("You are signed in as @zoe:open.test", ENTER)];
    run(&home, "login", 0, &answers);
    let again = stored(&home, "@zoe:open.test");
    assert_eq!(again["device_id"], zoe["device_id"]);
    assert_ne!(again["access_token"], zoe["access_token"]);
    let old = zoe["access_token"].as_str().unwrap();
    assert_eq!(who_am_i(&site.url, old).0, 401);
    let devices = home.run("account devices --json").exit(0).json();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);

    // The generated password can be seen, if one says yes.
    let password = zoe["password"].as_str().unwrap();
    let line = "account password --show";
    let seen = run(&home, line, 1, &[("Show it?", ENTER)]);
    assert!(!seen.contains(password), "{seen}");
    let seen = run(&home, line, 0, &[("Show it?", "y\r")]);
    assert!(seen.contains(password), "{seen}");
    run(&home, "whoami", 0, &[]);
}

#[test]
fn login_asks_for_what_it_needs() {
    let (site, home) = (Site::embedded("open"), Home::new());
    let elsewhere = Home::new();
    elsewhere.file("password", "an-Old-1-wordpass");
    let register = "register SERVER --username zoe --password-file password";
    elsewhere
        .run(&register.replace("SERVER", &site.url))
        .exit(0);
    let url = format!("{}{ENTER}", site.url);
    let question = format!("Password of zoe on {}:", site.url);
    let answers = [
        ("Your user ID:", "zoe@open.test\r"),
        ("is not a user", ""),
        ("Your user ID:", "zoe\r"),
        ("Your homeserver:", "no server\r"),
        ("is not the name of a homeserver", ""),
        ("Your homeserver:", &*url),
        (&*question, ENTER),
        ("type the password", ""),
        (&*question, "wrong\r"),
        ("does not know this user name with this password", ""),
        (&*question, "an-Old-1-wordpass\r"),
    ];
    let seen = run(&home, "login", 0, &answers);
    assert!(!seen.contains("wordpass"), "{seen}");
    assert!(seen.contains("signed in as @zoe:open.test"), "{seen}");

    // Another account, and the way back.
    let answers = [
        ("You are signed in as", &*format!("{DOWN}{ENTER}")),
        ("Your user ID:", "admin\r"),
        ("Your homeserver:", &*url),
        ("Password of admin", "Aa1-wordpass-of-admin\r"),
    ];
    let seen = run(&home, "login", 0, &answers);
    assert!(
        seen.contains("@admin:open.test is the default account now, instead of @zoe:open.test"),
        "{seen}"
    );
    let answers = [("Which account?", &*format!("{DOWN}{ENTER}"))];
    run(&home, "switch", 0, &answers);
    let seen = run(&home, "whoami", 0, &[]);
    assert!(seen.contains("@zoe:open.test"), "{seen}");
}

#[test]
fn unusable_password_is_not_shown_as_stars() {
    let (site, home) = (Site::embedded("policy"), Home::new());
    let answers = [
        ("Your name there", "zoe\r"),
        ("A password", "short\r"),
        ("the server does not take this password", ""),
        ("A password", "a-Good-1-wordpass\r"),
        ("The same again:", "a-Good-1-wordpass\r"),
    ];
    let seen = run(&home, &format!("register {}", site.url), 0, &answers);
    let stars = seen.lines().filter(|line| line.contains("****")).count();
    assert!(stars > 0, "{seen}");
    let refused = seen.split("the server does not take").next().unwrap();
    assert!(!refused.contains("****"), "{seen}");
    assert!(!seen.contains("wordpass"), "{seen}");
}

/// A server that sends a message with a link, which is never followed.
fn mails(request: &Request) -> Reply {
    match request.path.as_str() {
        _ if request.is_stage() => object(
            401,
            json!({
                "session": "the-session",
                "flows": [{ "stages": ["m.login.email.identity"] }],
                "completed": [],
                "errcode": "M_UNAUTHORIZED",
                "error": "the link was not followed",
            }),
        ),
        "/_matrix/client/v3/register" => asks(&["m.login.email.identity"]),
        path if path.ends_with("/email/requestToken") => object(200, json!({ "sid": "s1" })),
        _ => matrix(request),
    }
}

/// A server that asks for a token.
fn token(request: &Request) -> Reply {
    match request.path.as_str() {
        "/_matrix/client/v3/register" => asks(&["m.login.registration_token"]),
        _ => matrix(request),
    }
}

#[test]
fn ctrl_c_ends_each_question() {
    let open = Site::embedded("open");
    let (mail, with_token) = (Server::start(mails), Server::start(token));
    let name = ("Your name there", "zoe\r");
    let no_password = ("A password", ENTER);
    let register = format!("register {}", open.url);
    let register_mail = format!("register {} --email a@example.org", mail.url);
    let register_token = format!("register {}", with_token.url);
    let login = format!("login zoe --server {}", open.url);
    // The command line, the answers before, the question, and whether it can be resumed.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, bool);
    let table: [Row<'_>; 12] = [
        ("register", &[], "Which homeserver?", false),
        (&register, &[], "Your name there", false),
        (
            &register,
            &[("Your name there", "admin\r")],
            "Another name:",
            false,
        ),
        (&register, &[name], "A password", false),
        (
            &register,
            &[name, ("A password", "a-Good-1\r")],
            "The same again:",
            false,
        ),
        (
            &register_token,
            &[name, no_password],
            "Registration token:",
            true,
        ),
        (&register_mail, &[name, no_password], "Done?", true),
        (
            &register_mail,
            &[name, no_password, ("Done?", ENTER)],
            "is not done yet",
            true,
        ),
        ("login", &[], "Your user ID:", false),
        (
            "login",
            &[("Your user ID:", "zoe\r")],
            "Your homeserver:",
            false,
        ),
        (&login, &[], "Password of zoe", false),
        (
            &login,
            &[("Password of zoe", "wrong\r")],
            "does not know this user name",
            false,
        ),
    ];
    for (line, before, question, can_resume) in table {
        let home = Home::new();
        let mut answers = before.to_vec();
        answers.push((question, CTRL_C));
        let seen = run(&home, line, 130, &answers);
        assert!(seen.contains("interrupted"), "{line}: {seen}");
        let store = home.matricula().join("accounts.json");
        if can_resume {
            let next = format!("register --resume {}", home.registration());
            assert!(seen.contains(&next), "{line} at {question}: {seen}");
        } else {
            assert!(!seen.contains("--resume"), "{line}: {seen}");
        }
        let has_account = store.exists() && home.store()["tables"]["accounts"] != Value::Null;
        assert!(!has_account, "{line} at {question} made an account: {seen}");
    }
}

#[test]
fn ctrl_c_ends_questions_about_accounts() {
    let (site, home) = (Site::embedded("open"), Home::new());
    let line = format!("register {} --username zoe --no-input", site.url);
    home.run(&line).exit(0);
    let before = home.store();
    for (line, question) in [
        ("login", "You are signed in as"),
        ("switch", "Which account?"),
        ("account password --show", "Show it?"),
        ("account password", "A password"),
        ("account deactivate", "Close it for good?"),
    ] {
        let seen = run(&home, line, 130, &[(question, CTRL_C)]);
        assert!(seen.contains("interrupted"), "{line}: {seen}");
        assert_eq!(home.store(), before, "{line}");
    }
    home.run("whoami").exit(0);
}

/// Ctrl-C while a request is under way, without a question.
#[test]
fn ctrl_c_during_a_request_names_the_way_back() {
    let server = Server::start(|request| match request.path.as_str() {
        "/_matrix/client/v3/register" => silence(),
        _ => matrix(request),
    });
    let home = Home::new();
    let running = home
        .command(&format!("register {} --username zoe", server.url))
        .start();
    let is_asked = || {
        let requests = server.requests();
        requests.iter().any(|one| one.path.ends_with("/register"))
    };
    for _ in 0..1_000 {
        if is_asked() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let ended = running.interrupt().exit(130);
    let next = format!("register --resume {}\n", home.registration());
    assert!(ended.stderr.ends_with(&next), "{ended}");
}

/// Whether a question stands there, which is drawn again for each key.
fn is_question(line: &str) -> bool {
    line.contains("? ") || line.contains("> ")
}

#[test]
fn words_stay_whole_on_a_narrow_terminal() {
    let (site, home) = (Site::embedded("open"), Home::new());
    let long = "A device with a name of several words";
    let line = format!("register {} --username zoe --no-input", site.url);
    home.command(&line)
        .word("--device-name")
        .word(long)
        .run()
        .exit(0);
    let server = format!("{}{ENTER}", site.url);
    // The last line of a question is the one that is asked.
    let register = [
        ("machine)", &*server),
        ("one):", ENTER),
        ("stored):", ENTER),
    ];
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], i32);
    let table: [Row<'_>; 9] = [
        ("", &[], 2),
        ("--help", &[], 0),
        ("register --help", &[], 0),
        ("accounts", &[], 0),
        ("account devices", &[], 0),
        ("account deactivate", &[("for good?", "n\r")], 1),
        ("whoami --account nobody", &[], 4),
        ("refresh", &[], 4),
        ("register", &register, 0),
    ];
    for columns in [24, 32, 50] {
        for (line, answers, code) in table {
            let (ended, seen) = on_columns(columns, &home, line, answers, &[]);
            let seen = plain(&seen);
            assert_eq!(ended, code, "{line} on {columns}: {seen}");
            for shown in seen.lines().filter(|line| !is_question(line)) {
                let shown = shown.trim_end_matches('\\').trim_end();
                // A single word may be wider than the terminal.
                let first = shown.trim_start().find(' ');
                let is_one_word = first.is_none();
                assert!(
                    shown.chars().count() <= columns.into() || is_one_word,
                    "{line} on {columns}: {shown:?}"
                );
            }
        }
    }
}

#[test]
fn options_stay_whole_on_a_narrow_terminal() {
    let (site, home) = (Site::embedded("open"), Home::new());
    for name in ["zoe", "bob-of-the-long-name"] {
        let line = format!("register {} --username {name} --no-input", site.url);
        home.run(&line).exit(0);
    }
    for (columns, option, answer) in [
        (80, "> @bob-of-the-long-name:open.test, signed in", DOWN),
        (45, "> @bob-of-the-long-name:open.test, signed in", DOWN),
        // They do not fit: they are listed, and numbered.
        (44, "1  @bob-of-the-long-name:open.test, signed\nin", DOWN),
        (36, "1  @bob-of-the-long-name:open.test,\nsigned in", DOWN),
    ] {
        let answers = [("Which account?", &*format!("{answer}{ENTER}"))];
        let (code, seen) = on_columns(columns, &home, "switch", &answers, &[]);
        let seen = plain(&seen);
        assert_eq!(code, 0, "{seen}");
        assert!(seen.contains(option), "{columns}: {seen}");
        assert!(!seen.contains("type to filter"), "{seen}");
        assert!(seen.contains("@zoe:open.test is used"), "{columns}: {seen}");
    }
}
