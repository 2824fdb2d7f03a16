//! The echo bot of `examples/`, as the program that it is: it reports what fails, and goes on.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    thread,
};

use matricula::{
    Account, AccountStore, Store,
    core::{ServerUrl, WriteBatch},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    examples::example,
    server::{Request, Server},
};

/// Ends the bot however the test ends.
struct Bot {
    child: Child,
    out: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bot {
    fn start(dir: &Path) -> Self {
        let mut command = Command::new(example("echo_bot"));
        let command = command
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            out: BufReader::new(child.stdout.take().unwrap()),
            errors: BufReader::new(child.stderr.take().unwrap()),
            child,
        }
    }

    /// The next line that it reports.
    fn report(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).unwrap();
        line
    }

    fn listens(&mut self) {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert_eq!(line, "@bot:b.test listens\n");
    }
}

/// A directory with the bot's account on this server.
fn account_on(server: &ServerUrl) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut account =
        Account::without_session("@bot:b.test".parse().unwrap(), server.clone(), Value::Null);
    account.access_token = Some("syt_bot".into());
    account.device_id = Some("BOT".into());
    let mut writes = WriteBatch::default();
    account.write_to(&mut writes);
    AccountStore::new(dir.path()).commit(&writes).unwrap();
    dir
}

fn message(room: &str) -> Value {
    let event = json!({
        "type": "m.room.message", "event_id": format!("${room}"), "sender": "@a:b.test",
        "origin_server_ts": 1, "content": { "msgtype": "m.text", "body": room },
    });
    json!({ "timeline": { "events": [event] } })
}

/// Two rooms: the bot may write only in the second, and was invited to one that it may not join.
fn two_rooms(request: &Request) -> (u16, Value) {
    let path = &*request.path;
    let forbidden = json!({ "errcode": "M_FORBIDDEN", "error": "you may not do this" });
    if path.contains("/sync") && path.contains("since=s1") {
        let rooms = json!({
            "join": { "!first:b.test": message("first"), "!second:b.test": message("second") },
            "invite": { "!third:b.test": {} },
        });
        return (200, json!({ "next_batch": "s2", "rooms": rooms }));
    }
    match path {
        _ if path.contains("/sync") && path.contains("since=") => {
            (500, json!({ "errcode": "M_UNKNOWN", "error": "not today" }))
        }
        _ if path.contains("/sync") => (200, json!({ "next_batch": "s1" })),
        _ if path.contains("second") => (200, json!({ "event_id": "$echo" })),
        _ => (403, forbidden),
    }
}

#[test]
fn refused_requests_are_reported() {
    let server = Server::start(two_rooms);
    let dir = account_on(&server.url);
    let mut bot = Bot::start(dir.path());
    bot.listens();
    for expected in [
        "could not join !third:b.test: M_FORBIDDEN",
        "could not answer in !first:b.test: M_FORBIDDEN",
        // The next sync.
        "M_UNKNOWN",
    ] {
        let line = bot.report();
        assert!(line.contains(expected), "{line}");
        assert!(
            !line.contains("Error") && !line.contains('{'),
            "no Debug: {line}"
        );
    }
    let sent = server.requests();
    let sent = sent.iter().filter(|one| one.body["msgtype"] == "m.notice");
    let bodies: Vec<&Value> = sent.map(|one| &one.body["body"]).collect();
    assert!(bodies.contains(&&json!("second")), "{bodies:?}");
}

#[test]
fn bot_waits_for_its_server() {
    // A port that is free, until the server opens it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let dir = account_on(&format!("http://{address}").parse().unwrap());
    let mut bot = Bot::start(dir.path());
    let line = bot.report();
    assert!(line.contains("trying again in 1 s"), "{line}");
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            crate::server::answer_one(stream.unwrap(), &|_| (200, json!({ "next_batch": "s1" })));
        }
    });
    bot.listens();
}

#[test]
fn bot_without_session_ends_with_a_sentence() {
    let server = Server::start(|_| {
        let error = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "not known" });
        (401, error)
    });
    let dir = account_on(&server.url);
    let mut bot = Bot::start(dir.path());
    let line = bot.report();
    assert!(line.starts_with("echo_bot: "), "{line}");
    assert!(!line.contains('{'), "no Debug: {line}");
    assert_eq!(bot.child.wait().unwrap().code(), Some(1));
    let output = Command::new(example("echo_bot")).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, "echo_bot: usage: echo_bot DIR\n");
}
