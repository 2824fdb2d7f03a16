//! A refusal does not mean that nothing happened, and what is not needed stops nothing: the command on
//! servers that fail after they have acted, refuse in odd ways, and send odd values.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use serde_json::{Value, json};

use crate::{
    command::Home,
    issuer::{self, Faults},
    server::{
        self, AUTH_METADATA, AVAILABLE, LOGIN, REGISTER, Reply, Request, Server, VERSIONS, answer,
        asks, error, matrix, object, registered,
    },
};

/// Failures after which the account is there.
const FAILURES: [(u16, &str); 4] = [
    (
        500,
        r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#,
    ),
    (500, r#"{"errcode":"M_FORBIDDEN"}"#),
    (502, r#"{"errcode":"M_UNKNOWN","error":"worker gone"}"#),
    (503, r#"{"errcode":"M_UNKNOWN","error":"database locked"}"#),
];

/// Makes the account at the first request with a stage, and fails; `then` answers the next ones.
fn fails_once(status: u16, body: &'static str, then: fn() -> Reply) -> Server {
    let stages = AtomicU32::new(0);
    Server::start(move |request| match request.path.as_str() {
        REGISTER if request.is_stage() => match stages.fetch_add(1, SeqCst) {
            0 => answer(status, &["content-type: application/json"], body),
            _ => then(),
        },
        LOGIN if request.method == "POST" => registered("@a:b.test"),
        _ => matrix(request),
    })
}

#[test]
fn account_is_there_after_a_failure() {
    let ends: [fn() -> Reply; 2] = [
        || registered("@a:b.test"),
        || error(400, "M_USER_IN_USE", "taken"),
    ];
    for (status, body) in FAILURES {
        for then in ends {
            let server = fails_once(status, body, then);
            let home = Home::new();
            let line = format!("register {} --username a", server.url);
            let ended = home.run(&line).exit(0);
            assert!(
                ended
                    .stderr
                    .contains("it is not certain what the server did"),
                "{ended}"
            );
            let sent = server.requests();
            let sent = sent.iter().find(|request| request.is_stage()).unwrap();
            let account = home.account();
            assert!(account["password"].is_string(), "{account}");
            assert_eq!(
                account["password"], sent.body["password"],
                "{status} {body}"
            );
            assert_eq!(home.store()["tables"]["registrations"], json!({}));
        }
    }
}

#[test]
fn doubt_is_resumed_with_the_password() {
    let is_well = Arc::new(AtomicU32::new(0));
    let well = Arc::clone(&is_well);
    let server = Server::start(move |request| match request.path.as_str() {
        REGISTER if request.is_stage() && well.load(SeqCst) == 0 => {
            error(500, "M_UNKNOWN", "Internal server error")
        }
        LOGIN if request.method == "POST" => error(403, "M_FORBIDDEN", "who?"),
        _ => matrix(request),
    });
    let home = Home::new();
    let line = format!("register {} --username a", server.url);
    let ended = home.run(&line).exit(1);
    assert!(
        ended.stderr.contains("may have made the account"),
        "{ended}"
    );
    assert!(!ended.stderr.contains("refused"), "{ended}");
    let sent = server.requests();
    let sent = sent.iter().find(|request| request.is_stage()).unwrap();
    is_well.store(1, SeqCst);
    let line = format!("register --resume {}", home.registration());
    home.run(&line).exit(0);
    assert_eq!(home.account()["password"], sent.body["password"]);
}

/// What Palpo and others answer to a wrong token.
#[test]
fn refused_token_is_said_in_the_servers_words() {
    let flows = json!([{ "stages": ["m.login.registration_token"] }]);
    let words = "Invalid registration token.";
    let palpo = json!({
        "flows": flows, "params": null, "session": "s",
        "kind": { "errcode": "M_FORBIDDEN" }, "message": words,
    });
    let synapse = json!({
        "flows": flows, "params": {}, "session": "s", "errcode": "M_UNAUTHORIZED", "error": words,
    });
    let bare = json!({ "flows": flows, "session": "s" });
    for (body, words) in [
        (palpo, words),
        (synapse, words),
        (bare, "the registration token;"),
    ] {
        for status in [401, 403] {
            let (body, offer) = (body.clone(), flows.clone());
            let server = Server::start(move |request| match request.path.as_str() {
                REGISTER if request.is_stage() => object(status, body.clone()),
                REGISTER => object(401, json!({ "flows": offer, "session": "s" })),
                _ => matrix(request),
            });
            let home = Home::new();
            home.file("token", "wrong");
            let line = format!("register {} --token-file token", server.url);
            let ended = home.run(&line).exit(7);
            assert!(ended.stderr.contains(words), "{ended}");
            assert!(!ended.stderr.contains("done:"), "{ended}");
            let stages = server.requests();
            let stages = stages.iter().filter(|request| request.is_stage());
            assert_eq!(stages.count(), 1);
        }
    }
}

/// The users of a server with Synapse's admin API, which creates a user before it refuses the address.
#[derive(Default)]
struct Users {
    /// Passwords by user id.
    alive: BTreeMap<String, String>,
    deactivated: Vec<String>,
}

fn synapse(users: &Mutex<Users>, request: &Request) -> Reply {
    let mut users = users.lock().unwrap();
    let id = request.path.rsplit('/').next().unwrap_or_default();
    let id = id.replace("%40", "@").replace("%3A", ":");
    let path = request.path.as_str();
    match request.method.as_str() {
        "GET" if path.starts_with("/_synapse/admin/v2/users/") => {
            match users.alive.contains_key(&id) {
                true => object(200, json!({ "name": id })),
                false => error(404, "M_NOT_FOUND", "no such user"),
            }
        }
        "PUT" if path.starts_with("/_synapse/admin/v2/users/") => {
            let password = request.body["password"].as_str().unwrap();
            users.alive.insert(id.clone(), password.to_owned());
            match request.body.get("threepids") {
                Some(_) => error(400, "M_INVALID_PARAM", "this address is odd"),
                None => object(201, json!({ "name": id })),
            }
        }
        "POST" if path.starts_with("/_synapse/admin/v1/deactivate/") => {
            users.deactivated.push(id);
            object(200, json!({ "id_server_unbind_result": "success" }))
        }
        "POST" if path == LOGIN => {
            let id = request.body["identifier"]["user"].as_str().unwrap();
            match users.alive.get(id) {
                Some(password) if *password == request.body["password"] => registered(id),
                _ => error(403, "M_FORBIDDEN", "no"),
            }
        }
        _ if path.starts_with("/_synapse/admin/v1/threepid/") => {
            error(404, "M_NOT_FOUND", "no such address")
        }
        _ => matrix(request),
    }
}

#[test]
fn partly_created_row_is_incomplete() {
    let users = Arc::new(Mutex::new(Users::default()));
    let state = Arc::clone(&users);
    let server = Server::start(move |request| synapse(&state, request));
    let home = Home::new();
    home.run(&format!("register {} --username a", server.url))
        .exit(0);
    home.file("users.csv", "username,email\nqb1,qb1@example.org\nqb2,\n");
    let ended = home.run("register --from users.csv --run r --json").exit(1);
    let summary = ended.json();
    let counts = ["done", "incomplete", "failed", "in_doubt"];
    assert_eq!(counts.map(|count| &summary[count]), [1, 1, 0, 0], "{ended}");
    let result = fs::read_to_string(home.matricula().join("runs/r.csv")).unwrap();
    let line = result.lines().find(|line| line.contains("qb1")).unwrap();
    assert!(line.contains("@qb1:b.test,"), "{line}");
    assert!(line.contains(",incomplete,"), "{line}");
    assert!(line.contains("this address is odd"), "{line}");
    home.run("register --run r --undo --yes").exit(0);
    let mut deactivated = users.lock().unwrap().deactivated.clone();
    deactivated.sort();
    assert_eq!(deactivated, ["@qb1:b.test", "@qb2:b.test"]);
}

#[test]
fn partly_created_user_is_reported() {
    let state = Mutex::new(Users::default());
    let server = Server::start(move |request| match request.method.as_str() {
        "PUT" => {
            drop(synapse(&state, request));
            error(400, "M_INVALID_PARAM", "this name is long")
        }
        _ => synapse(&state, request),
    });
    let home = Home::new();
    home.run(&format!("register {} --username a", server.url))
        .exit(0);
    let line = "admin user create @qb1:b.test --display-name Q --json";
    let ended = home.run(line).exit(1);
    assert!(ended.stderr.contains("this name is long"), "{ended}");
    let object = ended.json();
    assert_eq!(object["created"], true, "{ended}");
    assert_eq!(object["user_id"], "@qb1:b.test");
    assert!(
        object["refused"]
            .as_str()
            .unwrap()
            .contains("this name is long")
    );
}

/// A server with values that no client needs, as none should send them.
fn odd(request: &Request) -> Reply {
    let session: Value = json!({
        "user_id": "@a:b.test", "access_token": "syt_token", "device_id": "LAPTOP",
        "home_server": "", "well_known": {}, "refresh_token": "", "expires_in_ms": null,
    });
    match request.path.as_str() {
        VERSIONS => object(
            200,
            json!({ "versions": ["v1.15"], "unstable_features": { "org.matrix.odd": "yes" } }),
        ),
        AUTH_METADATA => error(404, "M_UNRECOGNIZED", ""),
        AVAILABLE => server::bytes("HTTP/1.1 404 -\r\ncontent-length: 0\r\n\r\n"),
        REGISTER if request.body.get("auth").is_none() => {
            object(401, json!({ "session": "s", "flows": [{ "stages": [] }] }))
        }
        REGISTER => {
            assert_eq!(request.body["auth"], json!({ "session": "s" }));
            object(200, session)
        }
        LOGIN if request.method == "POST" => object(200, session),
        _ => matrix(request),
    }
}

#[test]
fn odd_values_stop_no_command() {
    let server = Server::start(odd);
    let home = Home::new();
    home.file("password", "wordpass");
    for line in [
        "discover SERVER",
        "register SERVER --username a --password-file password",
        "whoami",
        "logout",
        "login --password-file password",
        "whoami",
    ] {
        let ended = home.run(&line.replace("SERVER", &server.url));
        assert_eq!(ended.code(), Some(0), "{line}: {ended}");
    }
}

#[test]
fn user_id_is_taken_as_a_name() {
    let server = Server::start(|request| match request.path.as_str() {
        REGISTER if request.body.get("auth").is_none() => asks(&["m.login.dummy"]),
        REGISTER => {
            let name = request.body["username"].as_str().unwrap();
            registered(&format!("@{name}:b.test"))
        }
        _ => matrix(request),
    });
    for typed in ["bot", "@bot", "@bot:b.test"] {
        let home = Home::new();
        home.run(&format!("register {} --username {typed}", server.url))
            .exit(0);
        assert_eq!(home.account()["user_id"], "@bot:b.test", "{typed}");
    }
}

/// The device is gone, though the server failed; or it is still there.
#[test]
fn devices_are_looked_at_after_a_failure() {
    for (left, exit) in [(json!(["LAPTOP"]), 0), (json!(["OLDPHONE"]), 1)] {
        let asked = AtomicU32::new(0);
        let server = Server::start(move |request| match request.path.as_str() {
            "/_matrix/client/v3/devices" => {
                let ids = match asked.fetch_add(1, SeqCst) {
                    0 => json!(["OLDPHONE"]),
                    _ => left.clone(),
                };
                let ids = ids.as_array().unwrap().iter();
                let devices: Vec<Value> = ids.map(|id| json!({ "device_id": id })).collect();
                object(200, json!({ "devices": devices }))
            }
            "/_matrix/client/v3/delete_devices" => error(500, "M_UNKNOWN", "worker gone"),
            _ => matrix(request),
        });
        let home = Home::new();
        home.run(&format!("register {} --username a", server.url))
            .exit(0);
        let ended = home.run("account devices delete OLDPHONE --no-input");
        let ended = ended.exit(exit);
        assert!(!ended.stderr.contains("refused"), "{ended}");
        assert_eq!(ended.stdout.contains("signed out: OLDPHONE"), exit == 0);
    }
}

/// A server that fails at something has not refused it.
#[test]
fn failing_server_is_in_trouble() {
    for (line, path) in [
        ("whoami", server::WHOAMI),
        ("account email list", "/_matrix/client/v3/account/3pid"),
        (
            "account email add a@b.test --no-input",
            "/_matrix/client/v3/account/3pid/email/requestToken",
        ),
        ("admin token list", "/_synapse/admin/v1/registration_tokens"),
    ] {
        let server = Server::start(move |request| match request.path == path {
            true => error(500, "M_UNKNOWN", "Internal server error"),
            false => matrix(request),
        });
        let home = Home::new();
        home.run(&format!("register {} --username a", server.url))
            .exit(0);
        let ended = home.run(line).exit(3);
        let words = format!(
            "{} is in trouble (M_UNKNOWN: Internal server error); try again later",
            server.url
        );
        assert!(ended.stderr.contains(&words), "{line}: {ended}");
    }
}

/// A proxy before the homeserver does not know the path, because a service has the accounts.
#[test]
fn account_page_replaces_unknown_paths() {
    for status in [404, 405, 501] {
        let server = issuer::start_with(Faults::default(), move |_, request| {
            match (request.method.as_str(), request.path.as_str()) {
                ("GET", LOGIN) => Some(matrix(request)),
                ("POST", LOGIN) => Some(registered("@a:b.test")),
                (_, path) if path.contains("/account/") => Some(answer(status, &[], "<html>")),
                _ => None,
            }
        });
        let home = Home::new();
        home.file("password", "wordpass");
        let line = format!("login a --server {} --password-file password", server.url);
        home.run(&line).exit(0);
        for line in [
            "account password --password-file password",
            "account email list",
            "account email add a@b.test",
            "account deactivate --yes",
        ] {
            let ended = home.run(&format!("{line} --no-input")).exit(6);
            let page = format!("open {}/account", server.url);
            assert!(ended.stderr.contains(&page), "{line}: {ended}");
        }
    }
}

/// What a command only looks at may be missing.
#[test]
fn missing_details_stop_no_command() {
    const CONFIG: &str = "/_matrix/client/v1/media/config";
    const DEVICES: &str = "/_matrix/client/v3/devices";
    for path in [CONFIG, DEVICES] {
        let replies: [fn() -> Reply; 4] = [
            || error(403, "M_FORBIDDEN", "no"),
            || error(400, "M_UNKNOWN", "no"),
            || object(200, json!([])),
            || answer(404, &[], "<html>"),
        ];
        for reply in replies {
            let server = Server::start(move |request| match request.path.as_str() {
                asked if asked == path => reply(),
                "/_matrix/media/v3/upload" => {
                    object(200, json!({ "content_uri": "mxc://b.test/a" }))
                }
                "/_matrix/client/v3/delete_devices" => object(200, json!({})),
                _ => matrix(request),
            });
            let home = Home::new();
            home.file("note", "milk");
            home.run(&format!("register {} --username a", server.url))
                .exit(0);
            home.run(match path {
                CONFIG => "media put note",
                _ => "account devices delete OLDPHONE --no-input",
            })
            .exit(0);
        }
    }
}

/// The account was made, and its display name refused.
#[test]
fn partly_registered_account_is_reported() {
    let server = Server::start(|request| match request.path.as_str() {
        "/_synapse/admin/v1/register" if request.method == "GET" => {
            object(200, json!({ "nonce": "n" }))
        }
        "/_synapse/admin/v1/register" => error(400, "M_INVALID_PARAM", "this name is long"),
        LOGIN if request.method == "POST" => {
            let name = request.body["identifier"]["user"].as_str().unwrap();
            registered(&format!("@{name}:b.test"))
        }
        _ => matrix(request),
    });
    let home = Home::new();
    home.file("secret", "s");
    let line = format!(
        "admin register {} --username qb1 --display-name Q --shared-secret-file secret --json",
        server.url
    );
    let ended = home.run(&line).exit(1);
    assert!(ended.stderr.contains("this name is long"), "{ended}");
    assert_eq!(ended.json()["user_id"], "@qb1:b.test", "{ended}");
    assert!(home.account()["password"].is_string());
    home.file("users.csv", "username,displayname\nqb2,Q\n");
    let line = format!(
        "register {} --from users.csv --run r --route shared-secret --shared-secret-file secret \
         --json",
        server.url
    );
    let ended = home.run(&line).exit(1);
    assert_eq!(ended.json()["incomplete"], 1, "{ended}");
}
