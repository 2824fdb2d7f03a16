//! `kill -9` while the server has the last request: nothing is lost, and nothing is made twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    command::Home,
    server::{LOGIN, REGISTER, Reply, Request, Server, error, matrix, object, silence},
};

/// Starts `register`, and kills it when the server has its last request and says nothing.
fn kill_at_the_last_request(home: &Home, server: &Server, options: &str) -> String {
    let line = home.command(&format!("register {} {options}", server.url));
    let running = line.start();
    let start = Instant::now();
    while !server.requests().iter().any(Request::is_stage) {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{:?}",
            server.requests()
        );
        thread::sleep(Duration::from_millis(2));
    }
    let ended = running.kill();
    assert_eq!(ended.code(), None, "{ended}");
    home.registration()
}

/// A server that answers the last request by `then`, once `awake` is set, and never before.
fn sleeper(awake: &Arc<AtomicBool>, then: fn(&Request) -> Reply) -> Server {
    let awake = Arc::clone(awake);
    Server::start(move |request| match awake.load(Ordering::Acquire) {
        true => then(request),
        false if request.is_stage() => silence(),
        false => matrix(request),
    })
}

fn stages(server: &Server) -> Vec<Value> {
    let requests = server.requests();
    let stages = requests.into_iter().filter(Request::is_stage);
    stages.map(|request| request.body).collect()
}

#[test]
fn killed_registration_repeats_its_request() {
    let awake = Arc::new(AtomicBool::new(false));
    let (home, server) = (Home::new(), sleeper(&awake, matrix));
    let id = kill_at_the_last_request(&home, &server, "");
    awake.store(true, Ordering::Release);
    let ended = home.run(&format!("register --resume {id} --json")).exit(0);
    assert_eq!(ended.json()["user_id"], "@a:b.test");
    let [first, second] = &stages(&server)[..] else {
        panic!("{:#?}", server.requests());
    };
    assert_eq!(first, second);
    assert!(
        first["password"].is_string() && first["device_id"].is_string(),
        "{first}"
    );
    assert_eq!(home.account()["password"], first["password"]);
    assert_eq!(home.store()["tables"]["registrations"], json!({}));
    home.run("whoami").exit(0);
}

/// Knows the account, and no session any more.
fn after_all(request: &Request) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", REGISTER) => error(400, "M_USER_IN_USE", "taken"),
        ("POST", LOGIN) => object(
            200,
            json!({
                "user_id": "@a:b.test",
                "access_token": "syt_again",
                "device_id": request.body["device_id"],
            }),
        ),
        _ => matrix(request),
    }
}

#[track_caller]
fn assert_signed_in_as_the_lost_request_would_have(home: &Home, server: &Server) {
    let requests = server.requests();
    let mut logins = requests.iter().filter(|request| request.path == LOGIN);
    let login = &logins
        .find(|request| request.method == "POST")
        .unwrap()
        .body;
    let lost = &stages(server)[0];
    assert_eq!(login["device_id"], lost["device_id"]);
    assert_eq!(login["password"], lost["password"]);
    assert_eq!(home.account()["access_token"], "syt_again");
    assert_eq!(home.account()["password"], lost["password"]);
}

#[test]
fn expired_session_falls_back_to_login() {
    let awake = Arc::new(AtomicBool::new(false));
    let (home, server) = (Home::new(), sleeper(&awake, after_all));
    let id = kill_at_the_last_request(&home, &server, "--username a");
    awake.store(true, Ordering::Release);
    let ended = home.run(&format!("register --resume {id} --json")).exit(0);
    assert!(ended.stderr.contains("trying to sign in"), "{ended}");
    assert_signed_in_as_the_lost_request_would_have(&home, &server);
}

#[test]
fn a_second_kill_loses_nothing_either() {
    let awake = Arc::new(AtomicBool::new(false));
    let (home, server) = (Home::new(), sleeper(&awake, after_all));
    let id = kill_at_the_last_request(&home, &server, "--username a");
    let again = home.command(&format!("register --resume {id}")).start();
    let start = Instant::now();
    while stages(&server).len() < 2 {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{:?}",
            server.requests()
        );
        thread::sleep(Duration::from_millis(2));
    }
    again.kill();
    assert_eq!(home.registration(), id);
    awake.store(true, Ordering::Release);
    home.run(&format!("register --resume {id}")).exit(0);
    assert_signed_in_as_the_lost_request_would_have(&home, &server);
}

/// The private homeserver lives in the process that is killed.
#[test]
fn the_private_homeserver_survives_as_well() {
    let home = Home::new();
    for _ in 0..3 {
        let running = home.command("homeserver").start();
        let start = Instant::now();
        while !home.matricula().join("homeserver/address").exists() {
            assert!(start.elapsed() < Duration::from_secs(30));
            thread::sleep(Duration::from_millis(2));
        }
        home.run("register --json").exit(0);
        running.kill();
        home.run("whoami").exit(0);
    }
    let accounts = home.store()["tables"]["accounts"]
        .as_object()
        .unwrap()
        .len();
    assert_eq!(accounts, 3);
}
