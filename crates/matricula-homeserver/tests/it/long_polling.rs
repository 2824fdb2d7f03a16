//! Long polling.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use matricula_core::ServerUrl;
use matricula_homeserver::{Config, Server, ServerOptions};
use serde_json::{Value, json};

use crate::{
    empty_sync,
    http_client::{Answer, connect, read, register, send},
    text,
};

struct TestUser {
    url: ServerUrl,
    token: String,
}

impl TestUser {
    fn new(server: &Server, name: &str) -> Self {
        let json = register(server.url(), name).unwrap().json();
        Self {
            url: server.url().clone(),
            token: text(&json, "access_token"),
        }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let body = match method {
            "GET" => Vec::new(),
            _ => body.to_string().into_bytes(),
        };
        send(
            &self.url,
            method,
            path,
            &[("Authorization", &authorization)],
            &body,
        )
        .unwrap()
    }

    fn make_room(&self) -> String {
        let made = self.ask("POST", "/_matrix/client/v3/createRoom", &json!({}));
        text(&made.json(), "room_id")
    }

    fn say(&self, room: &str, txn: &str) {
        let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{txn}");
        assert_eq!(self.ask("PUT", &path, &json!({ "body": txn })).status, 200);
    }

    fn sync(&self) -> String {
        let synced = self.ask("GET", "/_matrix/client/v3/sync", &Value::Null);
        text(&synced.json(), "next_batch")
    }

    /// Starts a sync, without reading the response.
    fn wait(&self, since: &str, timeout: Duration) -> TcpStream {
        let mut stream = connect(&self.url).unwrap();
        let path = format!(
            "/_matrix/client/v3/sync?since={since}&timeout={}",
            timeout.as_millis()
        );
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token
        )
        .unwrap();
        stream
    }
}

const LONG: Duration = Duration::from_secs(100);

async fn start() -> Server {
    Server::start(ServerOptions::new(Config::default()))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn event_ends_long_poll() {
    let server = start().await;
    let (alice, bob) = (
        TestUser::new(&server, "alice"),
        TestUser::new(&server, "bob"),
    );
    let (hers, his) = (alice.make_room(), bob.make_room());
    let (at, bobs) = (alice.sync(), bob.sync());
    let begun = Instant::now();
    let hears = alice.wait(&at, LONG);
    let does_not = bob.wait(&bobs, Duration::from_millis(300));
    alice.say(&hers, "hello");
    let news = read(hears).unwrap().json();
    let events = &news["rooms"]["join"][&hers]["timeline"]["events"];
    assert_eq!(events[0]["content"]["body"], "hello");
    assert!(begun.elapsed() < LONG / 2);
    let nothing = read(does_not).unwrap().json();
    assert_eq!(nothing, empty_sync(&bobs));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let path = format!("/_matrix/client/v3/sync?since={bobs}&full_state=true&timeout=100000");
    let whole = bob.ask("GET", &path, &Value::Null).json();
    assert!(whole["rooms"]["join"][&his].is_object(), "at once");
    // Events that exist already end the poll at once.
    bob.say(&his, "before");
    let news = read(bob.wait(&bobs, LONG)).unwrap().json();
    assert!(news["rooms"]["join"][&his].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_typing_ends_long_poll() {
    let server = start().await;
    let alice = TestUser::new(&server, "alice");
    let room = alice.make_room();
    let at = alice.sync();
    let path = format!("/_matrix/client/v3/rooms/{room}/typing/@alice:private.localhost");
    let body = json!({ "typing": true, "timeout": 300 });
    assert_eq!(alice.ask("PUT", &path, &body).status, 200);
    let typing = |news: &Value| news["rooms"]["join"][&room]["ephemeral"]["events"][0].clone();
    let begun = Instant::now();
    let news = read(alice.wait(&at, LONG)).unwrap().json();
    assert_eq!(
        typing(&news)["content"],
        json!({ "user_ids": ["@alice:private.localhost"] })
    );
    let later = read(alice.wait(&text(&news, "next_batch"), LONG))
        .unwrap()
        .json();
    assert_eq!(typing(&later)["content"], json!({ "user_ids": [] }));
    assert!(begun.elapsed() < LONG / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn message_to_device_ends_long_poll() {
    let server = start().await;
    let (alice, bob) = (
        TestUser::new(&server, "alice"),
        TestUser::new(&server, "bob"),
    );
    let waits = alice.wait(&alice.sync(), LONG);
    let path = "/_matrix/client/v3/sendToDevice/m.test/1";
    let body = json!({ "messages": { "@alice:private.localhost": { "*": { "n": 1 } } } });
    assert_eq!(bob.ask("PUT", path, &body).status, 200);
    let news = read(waits).unwrap().json();
    assert_eq!(news["to_device"]["events"][0]["content"]["n"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_polls_do_not_block_requests() {
    let server = start().await;
    let alice = TestUser::new(&server, "alice");
    let room = alice.make_room();
    let at = alice.sync();
    // More than the maximum number of running requests.
    let waiting: Vec<_> = (0..100).map(|_| alice.wait(&at, LONG)).collect();
    alice.say(&room, "hello");
    for stream in waiting {
        let news = read(stream).unwrap().json();
        assert!(news["rooms"]["join"][&room].is_object());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_long_polls() {
    let server = start().await;
    let alice = TestUser::new(&server, "alice");
    let at = alice.sync();
    let waiting = alice.wait(&at, LONG);
    let begun = Instant::now();
    // The server has read it once a later request has got two responses.
    for _ in 0..2 {
        alice.sync();
    }
    server.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    if let Ok(answer) = read(waiting) {
        assert_eq!(answer.json(), empty_sync(&at));
    }
}
