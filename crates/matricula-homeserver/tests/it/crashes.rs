//! Crash tests: a killed server keeps every acknowledged registration.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write, stdin, stdout},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use matricula_core::{Entropy, SeededEntropy, ServerUrl};
use matricula_homeserver::{Config, ServerDir, ServerOptions};

use serde_json::{Value, json};

use crate::{
    http_client::{Answer, login, register, send},
    text,
};

pub(crate) const DIRECTORY: &str = "MATRICULA_HOMESERVER_TEST_DIRECTORY";
const ROUNDS: u64 = 30;

fn open(path: &Path) -> (tokio::runtime::Runtime, ServerDir) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = ServerOptions::new(Config::default());
    let dir = runtime.block_on(ServerDir::open(path, options, tokio::time::sleep));
    (runtime, dir.unwrap())
}

/// The child process: serves until it is killed or its parent has exited.
pub(crate) fn serve(path: &Path) {
    let (_runtime, dir) = open(path);
    let mut out = stdout();
    writeln!(out, "\n{}", dir.url()).unwrap();
    out.flush().unwrap();
    let _ = stdin().read(&mut [0]);
}

/// Runs this test again in a child process that serves `path`.
pub(crate) fn spawn(test: &str, path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DIRECTORY, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn url_of(child: &mut Child) -> ServerUrl {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut urls = lines.map_while(Result::ok).filter_map(|it| it.parse().ok());
    urls.next().unwrap()
}

pub(crate) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn killed_server_loses_no_registration() {
    if let Some(path) = env::var_os(DIRECTORY) {
        return serve(Path::new(&path));
    }
    let home = tempfile::tempdir().unwrap();
    let mut random = SeededEntropy::new(3);
    let mut answered = Vec::new();
    for round in 0..ROUNDS {
        let mut child = spawn("crashes::killed_server_loses_no_registration", home.path());
        let url = url_of(&mut child);
        for number in 0..random.below(3) {
            let name = format!("early-{round}-{number}");
            assert_eq!(register(&url, &name).unwrap().status, 200);
            answered.push(name);
        }
        let name = format!("last-{round}");
        let in_flight = thread::spawn({
            let name = name.clone();
            move || register(&url, &name).is_ok_and(|it| it.status == 200)
        });
        // At a random time around the request.
        thread::sleep(Duration::from_micros(random.below(8_000)));
        kill(child);
        if in_flight.join().unwrap() {
            answered.push(name);
        }
    }
    let (_runtime, dir) = open(home.path());
    assert!(dir.is_local(), "a killed server holds nothing");
    let lost: Vec<_> = answered
        .iter()
        .filter(|name| login(dir.url(), name).unwrap().status != 200)
        .collect();
    assert!(lost.is_empty(), "{lost:?} of {}", answered.len());
    assert!(
        answered.len() > 10,
        "hardly anything was answered: {answered:?}"
    );
}

#[test]
fn killed_creation_can_be_resumed() {
    if let Some(path) = env::var_os(DIRECTORY) {
        return serve(Path::new(&path));
    }
    let mut random = SeededEntropy::new(5);
    for _ in 0..ROUNDS {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("server");
        let child = spawn("crashes::killed_creation_can_be_resumed", &path);
        thread::sleep(Duration::from_micros(random.below(25_000)));
        kill(child);
        let (_runtime, dir) = open(&path);
        assert!(dir.is_local());
        assert_eq!(register(dir.url(), "alice").unwrap().status, 200);
    }
}

/// The number of kills: 50, or what `MATRICULA_KILLS` says.
fn kills() -> u64 {
    let wanted = env::var("MATRICULA_KILLS").ok();
    wanted.map_or(50, |it| it.parse().unwrap())
}

#[test]
fn killed_server_loses_no_event() {
    if let Some(path) = env::var_os(DIRECTORY) {
        return serve(Path::new(&path));
    }
    let home = tempfile::tempdir().unwrap();
    let mut random = SeededEntropy::new(11);
    let (mut token, mut room) = (String::new(), String::new());
    let (mut answered, mut sent) = (Vec::new(), 0);
    for round in 0..kills() {
        let mut child = spawn("crashes::killed_server_loses_no_event", home.path());
        let url = url_of(&mut child);
        if round == 0 {
            token = text(&register(&url, "alice").unwrap().json(), "access_token");
            let made = ask(&url, &token, "POST", "createRoom", &json!({})).unwrap();
            room = text(&made.json(), "room_id");
        }
        let (first, answer) = mpsc::channel();
        let sending = thread::spawn({
            let (token, room) = (token.clone(), room.clone());
            move || {
                let mut answered = Vec::new();
                // Until the server is killed.
                for number in sent.. {
                    let path = format!("rooms/{room}/send/m.room.message/{number}");
                    let body = json!({ "body": number.to_string() });
                    match ask(&url, &token, "PUT", &path, &body) {
                        Ok(answer) if answer.status == 200 => {
                            answered.push((number, text(&answer.json(), "event_id")));
                            let _ = first.send(());
                        }
                        _ => return (answered, number + 1),
                    }
                }
                unreachable!("the server is killed")
            }
        });
        answer.recv_timeout(Duration::from_secs(20)).unwrap();
        thread::sleep(Duration::from_micros(random.below(20_000)));
        kill(child);
        let (round, next) = sending.join().unwrap();
        answered.extend(round);
        sent = next;
    }
    let (_runtime, dir) = open(home.path());
    for (number, id) in &answered {
        let path = format!("rooms/{room}/event/{id}");
        let event = ask(dir.url(), &token, "GET", &path, &json!({})).unwrap();
        assert_eq!(event.json()["content"]["body"], number.to_string());
    }
    // What was sent is there once, in order; only what was in flight may be there without an answer.
    let (mut from, mut read) = (String::new(), Vec::new());
    loop {
        let path = format!("rooms/{room}/messages?dir=f&limit=500{from}");
        let page = ask(dir.url(), &token, "GET", &path, &json!({}))
            .unwrap()
            .json();
        let bodies = page["chunk"].as_array().unwrap().iter();
        let bodies = bodies.filter_map(|it| it["content"]["body"].as_str());
        read.extend(bodies.map(|it| it.parse::<u64>().unwrap()));
        let Some(end) = page["end"].as_str() else {
            break;
        };
        from = format!("&from={end}");
    }
    assert!(read.is_sorted_by(|a, b| a < b), "{read:?}");
    assert!(read.len() >= answered.len() && read.len() <= answered.len() + kills() as usize);
    println!(
        "{} kills, {} events acknowledged, 0 lost",
        kills(),
        answered.len()
    );
}

fn ask(
    url: &ServerUrl,
    token: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> std::io::Result<Answer> {
    let authorization = format!("Bearer {token}");
    let body = body.to_string();
    let body = if method == "GET" { "" } else { &body };
    let path = format!("/_matrix/client/v3/{path}");
    let headers = [("Authorization", &*authorization)];
    send(url, method, &path, &headers, body.as_bytes())
}
