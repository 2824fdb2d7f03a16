//! What application services are sent: events, pings, queries.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::Duration,
};

use matricula_core::{Method, ServerUrl};
use matricula_homeserver::{ApplicationService, Config, Server, ServerOptions};
use serde_json::{Value, json};

use crate::{
    TestServer,
    http_client::{Answer, register, send},
    text,
};

const TOKEN: &str = "as-token";
const CREATE: &str = "/_matrix/client/v3/createRoom";

fn service(url: &str) -> ApplicationService {
    ApplicationService::new("irc", TOKEN, "_irc")
        .user_prefix("_irc_")
        .alias_prefix("irc_")
        .listens_at(url.parse().unwrap(), "hs-token")
}

/// The types and senders of the events of the next transaction, which is removed.
fn take(home: &mut TestServer) -> Option<Vec<(String, String)>> {
    let next = home.database.next_service_transaction(&home.server, "irc");
    let transaction = next.unwrap()?;
    home.database
        .remove_service_transaction(&transaction)
        .unwrap();
    let body: Value = serde_json::from_str(&transaction.body).unwrap();
    let events = body["events"].as_array().unwrap().iter();
    Some(
        events
            .map(|it| (text(it, "type"), text(it, "sender")))
            .collect(),
    )
}

#[test]
fn aliases_of_a_service_are_reserved() {
    let service = service("http://127.0.0.1:1");
    let mut home = TestServer::new(Config::default().application_service(service));
    let alice = home.sign_up("alice");
    let body = json!({ "room_alias_name": "irc_tea" });
    home.post_as(&alice.token, CREATE, body.clone())
        .err(400, "M_EXCLUSIVE");
    home.post_as(TOKEN, CREATE, body).ok();
    let free = json!({ "room_alias_name": "tea" });
    home.post_as(&alice.token, CREATE, free).ok();
}

#[test]
fn service_gets_what_concerns_it() {
    let service = service("http://127.0.0.1:1");
    let mut home = TestServer::new(Config::default().application_service(service));
    assert_eq!(take(&mut home), None, "nothing before it is known");
    let alice = home.sign_up("alice");
    let body = json!({ "preset": "public_chat" });
    let room = text(&home.post_as(&alice.token, CREATE, body).ok(), "room_id");
    assert_eq!(take(&mut home), None, "the room has no user of the service");

    let ghost = json!({ "type": "m.login.application_service", "username": "_irc_bob",
        "inhibit_login": true });
    home.post_as(TOKEN, crate::REGISTER, ghost).ok();
    let join = format!("/_matrix/client/v3/join/{room}?user_id=@_irc_bob:private.localhost");
    home.post_as(TOKEN, &join, json!({})).ok();
    let bob = "@_irc_bob:private.localhost".to_owned();
    let member = "m.room.member".to_owned();
    assert_eq!(take(&mut home), Some(vec![(member, bob.clone())]));

    // Masquerading, with a time of its own.
    let path =
        format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1?user_id={bob}&ts=1234");
    let sent = home
        .call_as(TOKEN, Method::Put, &path, json!({ "body": "from irc" }))
        .ok();
    let event = format!(
        "/_matrix/client/v3/rooms/{room}/event/{}",
        text(&sent, "event_id")
    );
    let event = home.get_as(&alice.token, &event).ok();
    assert_eq!(
        (&event["origin_server_ts"], &event["sender"]),
        (&json!(1234), &json!(bob))
    );
    // Others have no time of their own.
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/2?ts=1234");
    let hers = home
        .call_as(
            &alice.token,
            Method::Put,
            &path,
            json!({ "body": "from her" }),
        )
        .ok();
    let event = format!(
        "/_matrix/client/v3/rooms/{room}/event/{}",
        text(&hers, "event_id")
    );
    assert_ne!(
        home.get_as(&alice.token, &event).ok()["origin_server_ts"],
        1234
    );

    // Until it is taken, a transaction is the same.
    let next = |home: &mut TestServer| {
        let next = home.database.next_service_transaction(&home.server, "irc");
        next.unwrap().unwrap()
    };
    let first = next(&mut home);
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/3");
    home.call_as(&alice.token, Method::Put, &path, json!({ "body": "more" }))
        .ok();
    assert_eq!(next(&mut home), first);
    assert_eq!(take(&mut home).unwrap().len(), 2);
    assert_eq!(take(&mut home).unwrap().len(), 1);
    assert_eq!(take(&mut home), None);
}

/// A request that the service got.
struct Got {
    line: String,
    has_token: bool,
    body: String,
}

/// A service that answers each request with the next of these statuses, and 200 afterwards.
fn listen(statuses: &'static [u16]) -> (String, mpsc::Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut statuses = statuses.iter();
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut line, mut length, mut has_token) = (String::new(), 0, false);
            reader.read_line(&mut line).unwrap();
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                let header = header.trim().to_ascii_lowercase();
                if header.is_empty() {
                    break;
                }
                if let Some(value) = header.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
                has_token |= header == "authorization: bearer hs-token";
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = statuses.next().copied().unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\n{{}}");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            let got = Got {
                line: line.trim().to_owned(),
                has_token,
                body: String::from_utf8(body).unwrap(),
            };
            if sender.send(got).is_err() {
                break;
            }
        }
    });
    (url, receiver)
}

fn ask(url: &ServerUrl, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", &*authorization)];
    send(url, method, path, &headers, body.to_string().as_bytes()).unwrap()
}

async fn start(url: &str) -> Server {
    let config = Config::default().application_service(service(url));
    Server::start(ServerOptions::new(config)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_transaction_is_sent_again() {
    // A service of before v1.1 has another path.
    let (url, requests) = listen(&[404, 500, 200]);
    let server = start(&url).await;
    let json = register(server.url(), "alice").unwrap().json();
    let alice = text(&json, "access_token");
    // The room is the service's once one of its users is invited.
    let body = json!({ "invite": ["@_irc:private.localhost"] });
    ask(server.url(), "GET", crate::WHOAMI, TOKEN, &json!({}));
    assert_eq!(ask(server.url(), "POST", CREATE, &alice, &body).status, 200);
    let next = || requests.recv_timeout(Duration::from_secs(20)).unwrap();
    let (first, second, third) = (next(), next(), next());
    assert!(
        first.line.starts_with("PUT /_matrix/app/v1/transactions/"),
        "{}",
        first.line
    );
    assert!(
        second.line.starts_with("PUT /transactions/"),
        "{}",
        second.line
    );
    assert_eq!((&first.line, &first.body), (&third.line, &third.body));
    assert!(first.has_token && second.has_token && third.has_token);
    assert!(first.body.contains("m.room.member"), "{}", first.body);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_pings_itself() {
    const PING: &str = "/_matrix/client/v1/appservice/irc/ping";
    let (url, requests) = listen(&[200, 418]);
    let server = start(&url).await;
    let body = json!({ "transaction_id": "abc" });
    let pinged = ask(server.url(), "POST", PING, TOKEN, &body);
    assert_eq!(pinged.status, 200);
    assert!(pinged.json()["duration_ms"].is_u64());
    let got = requests.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(got.line, "POST /_matrix/app/v1/ping HTTP/1.1");
    assert_eq!(got.body, r#"{"transaction_id":"abc"}"#);
    let refused = ask(server.url(), "POST", PING, TOKEN, &json!({}));
    assert_eq!(
        (refused.status, text(&refused.json(), "errcode")),
        (502, "M_BAD_STATUS".into())
    );
    let json = register(server.url(), "alice").unwrap().json();
    let other = ask(
        server.url(),
        "POST",
        PING,
        &text(&json, "access_token"),
        &json!({}),
    );
    assert_eq!(other.status, 403);
    server.stop().await;

    let server = start("http://127.0.0.1:1").await;
    let lost = ask(server.url(), "POST", PING, TOKEN, &json!({}));
    assert_eq!(text(&lost.json(), "errcode"), "M_CONNECTION_FAILED");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_alias_is_asked_for() {
    let (url, requests) = listen(&[]);
    let server = start(&url).await;
    let path = "/_matrix/client/v3/directory/room/%23irc_tea:private.localhost";
    let found = ask(server.url(), "GET", path, TOKEN, &json!({}));
    assert_eq!(found.status, 404, "the service said yes, but made no room");
    let got = requests.recv_timeout(Duration::from_secs(20)).unwrap();
    let alias = "%23irc%5Ftea%3Aprivate%2Elocalhost";
    assert_eq!(
        got.line,
        format!("GET /_matrix/app/v1/rooms/{alias} HTTP/1.1")
    );
    let other = "/_matrix/client/v3/directory/room/%23tea:private.localhost";
    assert_eq!(
        ask(server.url(), "GET", other, TOKEN, &json!({})).status,
        404
    );
    assert!(requests.try_recv().is_err());
    server.stop().await;
}
