//! A server that means harm: each attack ends in a clear sentence and the right exit code, within
//! bounded time and memory.

use std::{
    thread,
    time::{Duration, Instant},
};

use flate2::{Compress, Compression, FlushCompress, Status};
use serde_json::{Value, json};

use crate::{
    command::{Ended, Home},
    server::{
        AUTH_METADATA, LOGIN, REGISTER, Reply, Request, Server, VERSIONS, WHOAMI, answer, asks,
        bytes, endless, error, matrix, object, registered,
    },
};

/// Everything that plays tricks on a terminal: colours, a bell, a title, C1 controls, an overwritten
/// line, and the marks that turn the direction of writing round.
const TRICKS: &str = "A\u{1b}[31mB\u{7}\u{1b}]0;title\u{7}C\u{9b}31mD\rE\u{8}F\u{7f}G\u{202e}H\u{2066}I\
     \u{200f}J\u{61c}K\u{2028}L\u{0}M";

#[track_caller]
pub(crate) fn assert_harmless(ended: &Ended) {
    for (name, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        let bad = text.chars().find(|c| {
            (c.is_control() && *c != '\n')
                || matches!(
                    c,
                    '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2028}' | '\u{2029}'
                )
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        });
        assert_eq!(bad, None, "in {name}: {text:?}");
    }
}

/// Runs `register` on a server that answers one path in its own way and the others as it should.
fn register(path: &'static str, reply: fn(&Request) -> Reply, options: &str) -> (Server, Ended) {
    let server = Server::start(move |request| match request.path == path {
        true => reply(request),
        false => matrix(request),
    });
    let ended = Home::new().run(&format!("register {} {options}", server.url));
    (server, ended)
}

fn message(ended: &Ended) -> String {
    ended.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn control_characters_in_error_messages() {
    for options in ["", "--json", "--log trace"] {
        let reply: fn(&Request) -> Reply = |_| error(403, "M_FORBIDDEN", TRICKS);
        let (_, ended) = register(REGISTER, reply, options);
        let ended = ended.exit(7);
        assert_harmless(&ended);
        assert!(
            ended.stderr.contains("does not let people register"),
            "{ended}"
        );
    }
}

#[test]
fn control_characters_in_error_codes() {
    for options in ["", "--json"] {
        let reply: fn(&Request) -> Reply = |_| error(400, TRICKS, TRICKS);
        let (_, ended) = register(REGISTER, reply, options);
        let ended = ended.exit(1);
        assert_harmless(&ended);
        assert!(ended.stderr.contains(" refused: A[31mB]0;title"), "{ended}");
    }
}

#[test]
fn control_characters_in_stage_names() {
    for options in ["", "--json"] {
        let (_, ended) = register(REGISTER, |_| asks(&[TRICKS]), options);
        assert_harmless(&ended.exit(6));
        let reply: fn(&Request) -> Reply = |_| {
            let policy = json!({ "version": "1", "en": { "name": TRICKS, "url": format!("https://{TRICKS}") } });
            terms(policy)
        };
        let (_, ended) = register(REGISTER, reply, options);
        assert_harmless(&ended.exit(6));
    }
}

#[test]
fn control_characters_in_results() {
    let server = Server::start(|request| match request.path.as_str() {
        VERSIONS => object(200, json!({ "versions": ["v1.15", TRICKS] })),
        LOGIN => object(
            200,
            json!({ "flows": [{ "type": "m.login.password" }, { "type": TRICKS }] }),
        ),
        REGISTER if request.is_stage() => object(
            200,
            json!({ "user_id": "@a:b.test", "access_token": TRICKS, "device_id": TRICKS }),
        ),
        WHOAMI => object(200, json!({ "user_id": "@a:b.test", "device_id": TRICKS })),
        _ => matrix(request),
    });
    for options in ["", "--json"] {
        let home = Home::new();
        assert_harmless(
            &home
                .run(&format!("discover {} {options}", server.url))
                .exit(0),
        );
        let ended = home
            .run(&format!("register {} {options}", server.url))
            .exit(0);
        assert_harmless(&ended);
        if options == "--json" {
            // Made harmless, and still what the server said.
            assert_eq!(ended.json()["device_id"], TRICKS);
        }
        // A token that no header can carry.
        assert_harmless(&home.run(&format!("whoami {options}")).exit(1));
    }
}

fn terms(policy: Value) -> Reply {
    object(
        401,
        json!({
            "session": "the-session",
            "flows": [{ "stages": ["m.login.terms"] }],
            "params": { "m.login.terms": { "policies": { "p": policy } } },
        }),
    )
}

#[test]
fn terms_with_file_and_script_links() {
    for url in [
        "file:///etc/passwd",
        "javascript:alert(1)",
        " JaVaScRiPt:alert(1)",
        "data:text/html,x",
    ] {
        let server = Server::start(move |request| match request.path.as_str() {
            REGISTER => terms(json!({ "version": "1", "en": { "name": "Terms", "url": url } })),
            _ => matrix(request),
        });
        for options in ["", "--json"] {
            let ended = Home::new()
                .run(&format!("register {} {options}", server.url))
                .exit(1);
            assert!(
                ended.stderr.contains("the terms that it asks to accept"),
                "{ended}"
            );
            let shown = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!shown.contains(url.trim()), "{ended}");
        }
    }
}

#[test]
fn oauth_server_is_a_script() {
    for issuer in ["javascript:alert(1)", "file:///etc/passwd"] {
        let server = Server::start(move |request| match request.path.as_str() {
            AUTH_METADATA => {
                let endpoint = "https://auth.b.test/x";
                object(
                    200,
                    json!({
                        "issuer": issuer,
                        "authorization_endpoint": endpoint,
                        "token_endpoint": endpoint,
                        "revocation_endpoint": endpoint,
                        "registration_endpoint": endpoint,
                        "response_types_supported": ["code"],
                        "grant_types_supported": ["authorization_code"],
                        "response_modes_supported": ["query"],
                        "code_challenge_methods_supported": ["S256"],
                    }),
                )
            }
            VERSIONS => matrix(request),
            _ => error(404, "M_UNRECOGNIZED", "gone to OAuth"),
        });
        for options in ["", "--json"] {
            let home = Home::new();
            let register = home.run(&format!("register {} {options}", server.url));
            let discover = home
                .run(&format!("discover {} {options}", server.url))
                .exit(0);
            assert!(matches!(register.code(), Some(6 | 7)), "{register}");
            for ended in [register, discover] {
                let shown = format!("{}{}", ended.stdout, ended.stderr);
                assert!(!shown.contains(issuer), "{ended}");
            }
        }
    }
}

/// The command that an error suggests is quoted for a shell.
#[test]
fn name_is_a_shell_command() {
    let server = Server::start(|request| match request.is_stage() {
        true => registered("@a;touch$IFS`x`$(y)'z\"|&:b.test"),
        false => matrix(request),
    });
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    let ended = home.run("logout");
    let next = ended
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("next: "))
        .unwrap();
    let words = std::process::Command::new("sh")
        .args(["-c", &format!("printf '%s\\n' {next}")])
        .current_dir(home.root())
        .output()
        .unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    let words: Vec<&str> = words.lines().collect();
    assert_eq!(words[1..], ["login", "@a;touch$IFS`x`$(y)'z\"|&:b.test"]);
}

#[test]
fn huge_headers() {
    let (_, ended) = register(
        VERSIONS,
        |_| {
            bytes(format!(
                "HTTP/1.1 200 OK\r\na: {}\r\n\r\n",
                "b".repeat(4 << 20)
            ))
        },
        "--json",
    );
    let ended = ended.exit(1);
    assert!(
        message(&ended).contains("its headers are too large or too many"),
        "{ended}"
    );
}

#[test]
fn headers_without_end() {
    let (_, ended) = register(
        VERSIONS,
        |_| endless("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
        "--json",
    );
    let ended = ended.exit(1);
    assert!(
        message(&ended).contains("its headers are too large or too many"),
        "{ended}"
    );
}

/// A gzip stream that unpacks to zeros for as long as it is read: its beginning, and the block of a
/// megabyte that is sent over and over.
pub(crate) fn bomb() -> (Vec<u8>, Vec<u8>) {
    let zeros = vec![0; 1 << 20];
    let mut deflate = Compress::new(Compression::best(), false);
    let mut block = || {
        let mut out = Vec::with_capacity(zeros.len());
        let status = deflate
            .compress_vec(&zeros, &mut out, FlushCompress::Sync)
            .unwrap();
        assert_eq!(status, Status::Ok);
        out
    };
    let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff";
    let first = [&head[..], gzip, &block()].concat();
    (first, block())
}

#[test]
fn a_decompression_bomb() {
    let (first, again) = bomb();
    assert!(
        again.len() < 4 << 10,
        "no bomb: {} bytes a megabyte",
        again.len()
    );
    let server = Server::start(move |request| match request.path.as_str() {
        VERSIONS => endless(first.clone(), again.clone()),
        _ => matrix(request),
    });
    let ended = Home::new()
        .run(&format!("register {} --json", server.url))
        .exit(1);
    assert!(
        message(&ended).contains("its response is longer than 67108864 bytes"),
        "{ended}"
    );
    assert!(ended.peak_kib < 500 << 10, "{} KiB", ended.peak_kib);
    assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
}

#[test]
fn a_redirection_loop() {
    let (server, ended) = register(
        VERSIONS,
        |_| answer(302, &[&format!("location: {VERSIONS}")], ""),
        "--json",
    );
    let ended = ended.exit(1);
    assert!(message(&ended).contains("redirects in a row"), "{ended}");
    let requests = server.requests();
    let asked = requests
        .iter()
        .filter(|request| request.path == VERSIONS)
        .count();
    assert!((2..=10).contains(&asked), "{asked}");
}

#[test]
fn a_redirection_of_a_password() {
    let elsewhere = Server::start(matrix);
    let location = format!("location: {}{REGISTER}", elsewhere.url);
    let server = Server::start(move |request| match request.path.as_str() {
        REGISTER => answer(307, &[&location], ""),
        _ => matrix(request),
    });
    let ended = Home::new()
        .run(&format!("register {} --json", server.url))
        .exit(1);
    assert!(message(&ended).contains("redirects"), "{ended}");
    assert!(
        elsewhere.requests().is_empty(),
        "{:?}",
        elsewhere.requests()
    );
}

/// A byte at a time, for as long as anybody waits.
fn drip(head: &'static str, drop: &'static str) -> Reply {
    Box::new(move |to| {
        to.write_all(head.as_bytes())?;
        loop {
            to.write_all(drop.as_bytes())?;
            thread::sleep(Duration::from_millis(50));
        }
    })
}

#[test]
fn a_slow_drip() {
    let (_, ended) = register(
        VERSIONS,
        |_| drip("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", " "),
        "--json --timeout 0.3",
    );
    let ended = ended.exit(3);
    assert!(
        message(&ended).contains("no complete response within 300ms"),
        "{ended}"
    );
    assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
}

#[test]
fn json_as_deep_as_the_sea() {
    let (_, ended) = register(
        VERSIONS,
        |_| answer(200, &[], "[".repeat(1 << 20)),
        "--json",
    );
    let ended = ended.exit(1);
    assert!(message(&ended).contains("is invalid: "), "{ended}");
}

#[test]
fn times_that_no_clock_knows() {
    let server = Server::start(|request| match request.is_stage() {
        true => object(
            200,
            json!({
                "user_id": "@a:b.test",
                "access_token": "t",
                "device_id": "D",
                "expires_in_ms": u64::MAX,
            }),
        ),
        false => matrix(request),
    });
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    home.run("whoami").exit(0);
}

#[test]
fn waits_that_nobody_lives_to_see() {
    for after in ["3601", "18446744073709551615"] {
        let server = Server::start(move |request| match request.path.as_str() {
            REGISTER => answer(
                429,
                &[&format!("retry-after: {after}")],
                r#"{"errcode":"M_LIMIT_EXCEEDED","error":"slow down"}"#,
            ),
            _ => matrix(request),
        });
        let start = Instant::now();
        let ended = Home::new()
            .run(&format!("register {} --json", server.url))
            .exit(5);
        let json = ended.json();
        assert_eq!(json["error"]["kind"], "rate_limited");
        let wait = json["error"]["retry_after_seconds"].as_f64().unwrap();
        assert!(wait >= 3601.0, "{wait}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn authentication_without_end() {
    let (server, ended) = register(
        REGISTER,
        |request| {
            // Another session and another stage each time.
            let number = request.body["auth"]["session"]
                .as_str()
                .unwrap_or_default()
                .len();
            let session = "s".repeat(number + 1);
            object(
                401,
                json!({ "session": session, "flows": [{ "stages": ["m.login.dummy"] }] }),
            )
        },
        "--json",
    );
    let ended = ended.exit(1);
    assert!(message(&ended).contains("without end"), "{ended}");
    assert!(server.requests().len() < 100, "{}", server.requests().len());
}
