//! Limits on connections and on memory, over real sockets.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use matricula_core::ServerUrl;
use matricula_homeserver::{Config, Server, ServerLimits, ServerOptions};
use serde_json::{Value, json};

use crate::{
    REGISTER, WHOAMI,
    http_client::{Answer, connect, login, read, register, send},
    text,
};

const SHORT: Duration = Duration::from_millis(80);
const VERSIONS: &str = "/_matrix/client/versions";

async fn start(limits: ServerLimits) -> Server {
    let options = ServerOptions::new(Config::default()).limits(limits);
    Server::start(options).await.unwrap()
}

/// A user of a server, with a room.
pub(crate) struct Member {
    url: ServerUrl,
    pub(crate) token: String,
    room: String,
}

impl Member {
    pub(crate) fn new(url: &ServerUrl) -> Self {
        let token = text(&register(url, "alice").unwrap().json(), "access_token");
        let mut member = Self {
            url: url.clone(),
            token,
            room: String::new(),
        };
        let made = member.call("POST", "/_matrix/client/v3/createRoom", b"{}");
        member.room = text(&made.json(), "room_id");
        member
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        send(
            &self.url,
            method,
            path,
            &[("Authorization", &authorization)],
            body,
        )
        .unwrap()
    }

    /// Sends events of 60 kB.
    pub(crate) fn fill_room(&self, events: usize) {
        let body = json!({ "msgtype": "m.text", "body": "x".repeat(60_000) }).to_string();
        for number in 0..events {
            let room = &self.room;
            let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{number}");
            assert_eq!(self.call("PUT", &path, body.as_bytes()).status, 200);
        }
    }

    /// The path of a page with these events.
    pub(crate) fn page(&self) -> String {
        let room = &self.room;
        format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=100")
    }

    /// The head of a request, on a connection that stays open.
    pub(crate) fn head(&self, path: &str) -> String {
        let token = &self.token;
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
    }

    /// Asks for the page, and reads only the status.
    pub(crate) fn read_slowly(&self) -> (u16, TcpStream) {
        let mut stream = connect(&self.url).unwrap();
        stream
            .write_all(self.head(&self.page()).as_bytes())
            .unwrap();
        let status = read_status(&mut stream);
        (status, stream)
    }

    pub(crate) fn whoami(&self) -> Duration {
        let begun = Instant::now();
        assert_eq!(self.call("GET", WHOAMI, b"").status, 200);
        begun.elapsed()
    }
}

fn read_status(stream: &mut TcpStream) -> u16 {
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    let line = String::from_utf8_lossy(&line);
    line.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap()
}

/// Whether the server ends the connection, within the time-out of reading.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1024]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Connects from another loopback address.
#[cfg(target_os = "linux")]
pub(crate) async fn connect_from(address: [u8; 4], url: &ServerUrl) -> TcpStream {
    let server: SocketAddr = url.as_str().trim_start_matches("http://").parse().unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    let stream = socket.connect(server).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn get_versions(mut stream: TcpStream) -> Answer {
    let head = format!("GET {VERSIONS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    read(stream).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_not_spoken() {
    let server = start(ServerLimits::default()).await;
    let mut stream = connect(server.url()).unwrap();
    // Prior knowledge: the preface, and an empty SETTINGS frame.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
        "{answer:?}"
    );
    // An upgrade: the request is answered as if it did not ask for one.
    let stream = connect(server.url()).unwrap();
    let head = format!(
        "GET {VERSIONS} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    );
    (&stream).write_all(head.as_bytes()).unwrap();
    let answer = read(stream).unwrap();
    assert_eq!((answer.status, answer.header("upgrade")), (200, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connection_is_closed() {
    let mut limits = ServerLimits::default();
    limits.idle_timeout = SHORT;
    let server = start(limits).await;
    assert!(is_closed(&mut connect(server.url()).unwrap()));
    // After a response, too.
    let mut stream = connect(server.url()).unwrap();
    let head = format!("GET {VERSIONS} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read(stream).unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn trickling_head_is_cut_off() {
    let mut limits = ServerLimits::default();
    limits.idle_timeout = SHORT;
    let server = start(limits).await;
    let mut stream = connect(server.url()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let begun = Instant::now();
    let is_cut = loop {
        if stream.write_all(b"x").is_err() {
            break true;
        }
        match stream.read(&mut [0; 16]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => break true,
        }
        if begun.elapsed() > Duration::from_secs(10) {
            break false;
        }
    };
    assert!(is_cut && begun.elapsed() >= SHORT);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_poll_outlives_idle_timeout() {
    let mut limits = ServerLimits::default();
    limits.idle_timeout = SHORT;
    limits.stall_timeout = SHORT;
    let server = start(limits).await;
    let alice = Member::new(server.url());
    let synced = alice.call("GET", "/_matrix/client/v3/sync", b"").json();
    let since = text(&synced, "next_batch");
    let timeout = 4 * SHORT.as_millis();
    let path = format!("/_matrix/client/v3/sync?since={since}&timeout={timeout}");
    assert_eq!(alice.call("GET", &path, b"").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_body_is_rejected() {
    let mut limits = ServerLimits::default();
    limits.body_timeout = SHORT;
    let server = start(limits).await;
    let mut stream = connect(server.url()).unwrap();
    let head = format!("POST {REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{");
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_status(&mut stream), 408);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_delay_no_other_request() {
    let mut limits = ServerLimits::default();
    limits.requests = 4;
    let server = start(limits).await;
    let head = format!("POST {REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{");
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = connect(server.url()).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(register(server.url(), "alice").unwrap().status, 200);
    drop(slow);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_head_is_rejected() {
    let server = start(ServerLimits::default()).await;
    let long = "x".repeat(80_000);
    let answer = send(server.url(), "GET", VERSIONS, &[("X", &long)], b"");
    // The connection may end before the response is read.
    assert_eq!(answer.map_or(431, |it| it.status), 431);
    let fits = "x".repeat(30_000);
    let answer = send(server.url(), "GET", VERSIONS, &[("X", &fits)], b"");
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_size_is_rejected_at_once() {
    let server = start(ServerLimits::default()).await;
    let mut stream = connect(server.url()).unwrap();
    let head = format!(
        "POST {REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_status(&mut stream), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_share_memory() {
    let mut limits = ServerLimits::default();
    // An address has half of it.
    limits.bodies = 300_000;
    let server = start(limits).await;
    let size = 100_000;
    let head = format!("POST {REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
    let body = vec![b' '; size];
    let begun = Instant::now();
    let mut first = loop {
        let mut first = connect(server.url()).unwrap();
        first.write_all(head.as_bytes()).unwrap();
        first.write_all(&body[..size / 2]).unwrap();
        let second = send(server.url(), "POST", REGISTER, &[], &body).unwrap();
        if second.status == 429 {
            assert_eq!(second.json()["errcode"], "M_LIMIT_EXCEEDED");
            assert!(second.header("retry-after").is_some());
            break first;
        }
        // The second has been read before the first.
        assert!(begun.elapsed() < Duration::from_secs(10));
    };
    // Small bodies need no room.
    assert_eq!(register(server.url(), "alice").unwrap().status, 200);
    first.write_all(&body[size / 2..]).unwrap();
    assert_eq!(read_status(&mut first), 400);
    let third = send(server.url(), "POST", REGISTER, &[], &body).unwrap();
    assert_eq!(third.json()["errcode"], "M_NOT_JSON");
}

/// A server whose responses have room for two pages, one for each address.
fn room_for_one_page() -> ServerLimits {
    let mut limits = ServerLimits::default();
    limits.responses = 4 * 1024 * 1024;
    limits
}

/// A page that needs the whole share of an address.
async fn large_page(limits: ServerLimits) -> (Server, Member) {
    let server = start(limits).await;
    let alice = Member::new(server.url());
    alice.fill_room(20);
    assert!(alice.call("GET", &alice.page(), b"").body.len() > 1_000_000);
    (server, alice)
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_responses_share_memory() {
    let (_server, alice) = large_page(room_for_one_page()).await;
    let readers: Vec<_> = (0..30).map(|_| alice.read_slowly()).collect();
    let statuses: Vec<_> = readers.iter().map(|it| it.0).collect();
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    assert!((1..=2).contains(&count(200)), "{statuses:?}");
    assert_eq!(count(200) + count(429), 30, "{statuses:?}");
    let refused = alice.call("GET", &alice.page(), b"");
    assert_eq!(refused.json()["errcode"], "M_LIMIT_EXCEEDED");
    let wait = refused.json()["retry_after_ms"].as_u64().unwrap();
    assert!((1..=10_000).contains(&wait));
    // Small responses need no room.
    let slowest = (0..20).map(|_| alice.whoami()).max().unwrap();
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    // The end of the connections gives the room back.
    drop(readers);
    retry_until_ok(&alice);
}

/// Asks for the page until there is room for it.
fn retry_until_ok(alice: &Member) {
    let begun = Instant::now();
    while alice.call("GET", &alice.page(), b"").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_response_gives_room_back() {
    let (_server, alice) = large_page(room_for_one_page()).await;
    for _ in 0..10 {
        assert_eq!(alice.call("GET", &alice.page(), b"").status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_response_ends_its_connection() {
    let mut limits = room_for_one_page();
    limits.stall_timeout = SHORT;
    let (_server, alice) = large_page(limits).await;
    let stalled: Vec<_> = (0..2).map(|_| alice.read_slowly()).collect();
    assert!(stalled.iter().any(|it| it.0 == 200));
    retry_until_ok(&alice);
    for (status, mut stream) in stalled {
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        assert!(status == 429 || end.is_err() || rest.len() < 1_000_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_share_memory() {
    let mut limits = ServerLimits::default();
    // For two downloads of an address.
    limits.responses = 500_000;
    let server = start(limits).await;
    let alice = Member::new(server.url());
    let file = vec![b'x'; 3_000_000];
    let uploaded = alice.call("POST", "/_matrix/media/v3/upload", &file);
    let uri = text(&uploaded.json(), "content_uri");
    let name = uri.strip_prefix("mxc://").unwrap();
    let path = format!("/_matrix/client/v1/media/download/{name}");
    let mut slow = Vec::new();
    for expected in [200, 200, 429] {
        let mut stream = connect(server.url()).unwrap();
        stream.write_all(alice.head(&path).as_bytes()).unwrap();
        assert_eq!(read_status(&mut stream), expected);
        slow.push(stream);
    }
    drop(slow);
    let begun = Instant::now();
    loop {
        let answer = alice.call("GET", &path, b"");
        if answer.status == 200 {
            assert_eq!(answer.body, file);
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

fn few_connections() -> ServerLimits {
    let mut limits = ServerLimits::default();
    limits.connections = 12;
    limits.connections_per_address = 8;
    limits
}

fn half_open(url: &ServerUrl) -> TcpStream {
    let mut stream = connect(url).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_make_room() {
    let server = start(few_connections()).await;
    let mut half_open: Vec<_> = (0..40).map(|_| half_open(server.url())).collect();
    for _ in 0..3 {
        assert_eq!(get_versions(connect(server.url()).unwrap()).status, 200);
    }
    assert!(is_closed(&mut half_open[0]));
    // So do connections that have been used.
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(server.url()).unwrap();
        let head = format!("GET {VERSIONS} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        assert_eq!(read_status(&mut stream), 200);
        idle.push(stream);
    }
    assert_eq!(get_versions(connect(server.url()).unwrap()).status, 200);
}

/// Begins a long poll on a connection of its own.
fn poll(alice: &Member, mut stream: TcpStream, since: &str) -> TcpStream {
    let path = format!("/_matrix/client/v3/sync?since={since}&timeout=60000");
    stream.write_all(alice.head(&path).as_bytes()).unwrap();
    stream
}

fn since(alice: &Member) -> String {
    let synced = alice.call("GET", "/_matrix/client/v3/sync", b"").json();
    text(&synced, "next_batch")
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn address_never_has_all_connections() {
    let server = start(few_connections()).await;
    let alice = Member::new(server.url());
    let since = since(&alice);
    let other = |last| connect_from([127, 0, 0, last], server.url());
    let mut polls = Vec::new();
    let begun = Instant::now();
    // Its address gets no more once it has its share of connections that are being served.
    loop {
        let mut stream = poll(&alice, other(2).await, &since);
        stream.set_read_timeout(Some(SHORT)).unwrap();
        if polls.len() >= 8 && is_closed(&mut stream) {
            break;
        }
        polls.push(stream);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    for last in 3..6 {
        assert_eq!(get_versions(other(last).await).status, 200);
    }
    assert_eq!(login(server.url(), "alice").unwrap().status, 200);
    // A poll that ends makes room.
    for stream in &polls {
        let _ = stream.shutdown(Shutdown::Both);
    }
    let begun = Instant::now();
    loop {
        let mut stream = other(2).await;
        let head = format!("GET {VERSIONS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        if read(stream).is_ok_and(|it| it.status == 200) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn served_connection_stays_open() {
    let server = start(few_connections()).await;
    let alice = Member::new(server.url());
    let since = since(&alice);
    let waiting = poll(&alice, connect(server.url()).unwrap(), &since);
    // The server has read it once a later request has got a response.
    assert_eq!(get_versions(connect(server.url()).unwrap()).status, 200);
    let half_open: Vec<_> = (0..40).map(|_| half_open(server.url())).collect();
    alice.fill_room(1);
    drop(half_open);
    let mut waiting = waiting;
    assert_eq!(read_status(&mut waiting), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_json_is_rejected() {
    let server = start(ServerLimits::default()).await;
    let alice = Member::new(server.url());
    let room = &alice.room;
    let send = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1");
    for unit in ["[", "{\"a\":", "[[],"] {
        let deep = unit.repeat(1_000_000 / unit.len());
        for body in [
            deep.clone(),
            format!("{{\"auth\":{deep}"),
            format!("{{\"body\":{deep}"),
        ] {
            for (method, path) in [
                ("POST", REGISTER),
                ("POST", "/_matrix/client/v3/login"),
                ("POST", "/_matrix/client/v3/createRoom"),
                ("POST", "/_matrix/client/v3/delete_devices"),
                ("PUT", &send),
            ] {
                let answer = alice.call(method, path, body.as_bytes());
                assert_eq!(answer.status, 400, "{method} {path}");
            }
        }
    }
    let filter = "%7B%22a%22:".repeat(1_500);
    let answer = alice.call(
        "GET",
        &format!("/_matrix/client/v3/sync?filter={filter}"),
        b"",
    );
    assert!([200, 400].contains(&answer.status), "{}", answer.status);
    assert_eq!(alice.call("GET", WHOAMI, b"").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_paths_are_not_found() {
    let server = start(ServerLimits::default()).await;
    let alice = Member::new(server.url());
    let long = format!("/{}", "a/".repeat(10_000));
    for path in [
        "/../etc/passwd",
        "/_matrix/client/v1/media/download/private.localhost/..%2F..%2Fetc%2Fpasswd",
        "/_matrix/client/v1/media/download/private.localhost/%2e%2e",
        "/_matrix/client/v1/media/download/private.localhost/%00",
        "/_matrix/client/v3/rooms/%FF/state",
        "//_matrix/client/versions",
        "/_matrix/client/versions/",
        "/_matrix//client/versions",
        "/_matrix/client/v3/../versions",
        "/_matrix/client%2Fversions",
        "http://evil.example/_matrix/client/v3/nowhere",
        "*",
        long.as_str(),
    ] {
        let answer = alice.call("GET", path, b"");
        let allowed = [400, 403, 404];
        assert!(
            allowed.contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        assert!(
            answer.body.is_empty() || json["errcode"].is_string(),
            "{path}"
        );
    }
}
