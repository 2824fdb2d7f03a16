//! `--appservice-token-file`: the users of an application service.
//!
//! The journeys are run on the embedded homeserver here, and on a real Synapse in `live::methods`;
//! what a server can say besides, a scripted one says.

use serde_json::{Value, json};

use crate::{
    command::{Home, unique},
    http::who_am_i,
    server::{self, LOGIN, REGISTER, Reply, Request, Server},
    servers::Site,
};

const PROFILE: &str = "appservice+logintoken+sso";

pub(crate) fn appservice_registers_and_logs_in_users(sites: fn(&str) -> Site) {
    let (site, home) = (sites(PROFILE), Home::new());
    home.file("as", site.told("/appservice/as_token"));
    home.file("wrong", "wrong-token");
    let (name, url) = (format!("bridge_{}", unique("n")), &site.url);
    let line = format!("register {url} --username {name} --json --appservice-token-file");
    let registered = home.run(&format!("{line} as")).exit(0).json();
    let user_id = format!("@{name}:{}", site.name);
    assert_eq!(registered["user_id"], user_id);
    assert_eq!(registered["signed_in"], true);
    let me = home.run("whoami --json").exit(0).json();
    assert_eq!(me["user_id"], user_id);
    // A name that is taken, one outside the namespace, an unknown token.
    home.run(&format!("{line} as")).exit(7);
    let outside = format!("register {url} --username outside --appservice-token-file as");
    let ended = home.run(&outside).exit(7);
    assert!(
        ended
            .stderr
            .contains("in no namespace of this application service"),
        "{ended}"
    );
    let ended = home.run(&format!("{line} wrong")).exit(7);
    assert!(
        ended
            .stderr
            .contains("knows no application service with this token"),
        "{ended}"
    );
    // Another session of the same user.
    let line =
        format!("login {user_id} --server {url} --device-id OTHER --appservice-token-file as");
    home.run(&line).exit(0);
    let token = home.account()["access_token"].as_str().unwrap().to_owned();
    let (status, me) = who_am_i(url, &token);
    assert_eq!((status, &me["device_id"]), (200, &json!("OTHER")), "{me}");
}

pub(crate) fn users_without_sessions_are_registered(sites: fn(&str) -> Site) {
    let (site, home) = (sites(PROFILE), Home::new());
    home.file("as", site.told("/appservice/sessionless/as_token"));
    let (name, url) = (format!("phantom_{}", unique("n")), &site.url);
    let line = format!("register {url} --username {name} --json --appservice-token-file as");
    let ended = home.run(&line).exit(0);
    assert!(
        ended.stderr.contains("gives this user no session"),
        "{ended}"
    );
    let registered = ended.json();
    let user_id = format!("@{name}:{}", site.name);
    assert_eq!(registered["user_id"], user_id);
    assert_eq!(registered["signed_in"], false);
    let line = format!("login {user_id} --server {url} --appservice-token-file as");
    let ended = home.run(&line).exit(7);
    assert!(
        ended
            .stderr
            .contains("act as them with the token of the service"),
        "{ended}"
    );
}

/// A server that knows one application service, and answers its registrations so.
fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Server, Home) {
    let server =
        Server::start(
            move |request| match (request.method.as_str(), request.path.as_str()) {
                ("POST", REGISTER | LOGIN) => {
                    let token = request.headers.get("authorization").map(String::as_str);
                    assert_eq!(token, Some("Bearer as-token-canary"));
                    assert_eq!(request.body["type"], "m.login.application_service");
                    answer(request)
                }
                _ => server::matrix(request),
            },
        );
    let home = Home::new();
    home.file("as", "as-token-canary\n");
    (server, home)
}

fn line(server: &Server) -> String {
    format!(
        "register {} --username _bridge_a --appservice-token-file as",
        server.url
    )
}

#[test]
fn on_the_embedded_homeserver() {
    appservice_registers_and_logs_in_users(Site::embedded);
}

#[test]
fn on_the_embedded_homeserver_without_sessions() {
    users_without_sessions_are_registered(Site::embedded);
}

#[test]
fn user_is_registered_in_one_request() {
    let (server, home) = start(|_| server::registered("@_bridge_a:b.test"));
    home.run(&line(&server)).exit(0);
    let sent = server.requests();
    assert_eq!(
        sent.iter()
            .filter(|request| request.path == REGISTER)
            .count(),
        1
    );
    assert!(
        !home.store().to_string().contains("canary"),
        "the service's token is not kept"
    );
}

#[test]
fn refused_session_is_not_requested_again() {
    let (server, home) = start(|request| match request.body["inhibit_login"] == true {
        true => server::object(200, json!({ "user_id": "@_bridge_a:b.test" })),
        false => server::error(400, "M_APPSERVICE_LOGIN_UNSUPPORTED", "words"),
    });
    let registered = home
        .run(&format!("{} --json", line(&server)))
        .exit(0)
        .json();
    assert_eq!(registered["signed_in"], false);
    assert_eq!(registered["next"], Value::Null);
}

#[test]
fn refusal_and_malformed_response_exit_codes() {
    for (status, code, exit) in [
        (400, "M_EXCLUSIVE", 7),
        (401, "M_UNKNOWN_TOKEN", 7),
        (400, "M_USER_IN_USE", 7),
        (400, "M_BAD_JSON", 1),
        (403, "M_FORBIDDEN", 7),
    ] {
        let (server, home) = start(move |_| server::error(status, code, "words"));
        let ended = home.run(&line(&server)).exit(exit);
        assert!(!ended.stderr.contains("canary"), "{ended}");
        assert!(!home.matricula().join("accounts.json").exists(), "{code}");
    }
}

#[test]
fn dry_run_hides_the_token() {
    let (server, home) = start(|_| panic!("nothing is sent"));
    let ended = home
        .run(&format!("{} --dry-run --json", line(&server)))
        .exit(0);
    assert!(!ended.stdout.contains("canary"), "{ended}");
    let requests = ended.json()["requests"].clone();
    let last = requests.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["body"]["type"], "m.login.application_service");
    assert_eq!(last["body"]["username"], "_bridge_a");
    assert!(server.requests().is_empty());
}

#[test]
fn unneeded_options_are_refused() {
    let home = Home::new();
    home.file("as", "t");
    for line in [
        "register --username a --appservice-token-file as",
        "register b.test --appservice-token-file as",
        "register b.test --username a --appservice-token-file as --password-file as",
        "login --appservice-token-file as",
    ] {
        home.run(line).exit(2);
    }
}
