//! Files: up, down, and nothing left of those that did not come.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use matricula_homeserver::{
    Config, Errand, Limit, Limits, Media, Options, Received, Request, Server,
};
use matricula_job::{Cx, Method, Secret, ServerUrl, Timestamp};
use serde_json::json;

use crate::{
    Home, Me, Reply, get, kill, text,
    wire::{Answer, connect, read, register, send},
};

const UPLOAD: &str = "/_matrix/media/v3/upload";
const CREATE: &str = "/_matrix/media/v1/create";
const DOWNLOAD: &str = "/_matrix/client/v1/media/download";
const HOUR: u64 = 60 * 60 * 1000;

/// What makes an upload as whoever keeps the files would, with a file of this length.
pub(crate) fn upload(home: &mut Home, mut request: Request, length: u64) -> Reply {
    let mut cx = Cx::new(home.now, &mut home.entropy);
    let answer = home.database.answer(&home.server, &mut cx, request.clone());
    let Some(Errand::Receive(upload)) = answer.errand else {
        return Reply(answer.reply);
    };
    assert_eq!(answer.reply.status, 100);
    request.file = Some(Received { upload, length });
    home.send(request)
}

/// A file of three bytes; its id.
pub(crate) fn keep(home: &mut Home, me: &Me) -> String {
    let kept = upload(home, of(me, Method::Post, UPLOAD), 3).ok();
    id_of(&text(&kept, "content_uri"))
}

/// An address without a file; its id.
pub(crate) fn announce(home: &mut Home, me: &Me) -> String {
    let made = home.post_as(&me.token, CREATE, json!({})).ok();
    id_of(&text(&made, "content_uri"))
}

fn of(me: &Me, method: Method, path: &str) -> Request {
    let mut request = get(path);
    request.method = method;
    request.bearer = Some(Secret::from(me.token.as_str()));
    request
}

fn id_of(uri: &str) -> String {
    uri.strip_prefix("mxc://private.localhost/")
        .unwrap()
        .to_owned()
}

/// Somebody signed in at a server that listens.
struct Person {
    url: ServerUrl,
    header: String,
}

impl Person {
    fn new(server: &Server, name: &str) -> Self {
        Self::at(server.url(), name)
    }

    fn at(url: &ServerUrl, name: &str) -> Self {
        let json = register(url, name).unwrap().json();
        Self {
            url: url.clone(),
            header: format!("Bearer {}", text(&json, "access_token")),
        }
    }

    fn call(&self, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut headers = vec![("Authorization", self.header.as_str())];
        headers.extend(more);
        send(&self.url, method, path, &headers, body).unwrap()
    }

    /// Uploads a text; its id.
    fn up(&self, body: &[u8]) -> String {
        let kept = self.call("POST", UPLOAD, &[("Content-Type", "text/plain")], body);
        assert_eq!(kept.status, 200);
        id_of(&text(&kept.json(), "content_uri"))
    }

    fn down(&self, id: &str, headers: &[(&str, &str)]) -> Answer {
        self.call("GET", &at(id), headers, b"")
    }

    fn announce(&self) -> String {
        let made = self.call("POST", CREATE, &[], b"{}");
        id_of(&text(&made.json(), "content_uri"))
    }

    /// A connection on which an upload has begun: its head is sent.
    fn begin(&self, framing: &str) -> TcpStream {
        let head = format!(
            "POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\
             {framing}\r\n\r\n",
            self.header
        );
        let mut stream = connect(&self.url).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }
}

fn at(id: &str) -> String {
    format!("{DOWNLOAD}/private.localhost/{id}")
}

#[track_caller]
fn refused(answer: &Answer, status: u16, errcode: &str) {
    let code = &answer.json()["errcode"];
    assert_eq!((answer.status, code), (status, &json!(errcode)));
}

async fn start(config: Config) -> Server {
    Server::start(Options::new(config)).await.unwrap()
}

/// A server whose files can be looked at, and where they are.
async fn start_in(directory: &Path, config: Config) -> (Server, PathBuf) {
    let database = directory.join("db");
    let options = Options::new(config).with_database(database);
    let server = Server::start(options).await.unwrap();
    (server, directory.join("db-media"))
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|it| it.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    }
}

/// How many files a database that nobody serves knows of, and how many addresses without one.
fn rows(directory: &Path) -> (i64, i64) {
    let database = rusqlite::Connection::open(directory.join("db")).unwrap();
    let sql = "SELECT count(file), count(*) - count(file) FROM media";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    database.query_row(sql, [], read).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_back_as_it_went() {
    let server = start(Config::default()).await;
    let [alice, bob] = ["alice", "bob"].map(|name| Person::new(&server, name));
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|it| (it % 251) as u8).collect();
    let path = format!("{UPLOAD}?filename=a%20cat.png");
    let kept = alice.call("POST", &path, &[("Content-Type", "image/png")], &bytes);
    let id = id_of(&text(&kept.json(), "content_uri"));
    let answer = bob.down(&id, &[]);
    assert_eq!(answer.status, 200);
    assert!(answer.body == bytes);
    for (name, value) in [
        ("Content-Length", "3000000"),
        ("Content-Type", "image/png"),
        ("Content-Disposition", "inline; filename=\"a cat.png\""),
        ("ETag", &format!("\"{id}\"")),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "private, max-age=86400, immutable"),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Content-Type-Options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let policy = answer.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("sandbox; default-src 'none'; script-src 'none';"));
    let renamed = alice.down(&format!("{id}/dog.png"), &[]);
    let disposition = renamed.header("Content-Disposition");
    assert_eq!(disposition, Some("inline; filename=\"dog.png\""));
    let empty = alice.down(&alice.up(b""), &[]);
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_a_file_tells_its_length_without_a_byte() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let path = at(&alice.up(b"0123456789"));
    let mut stream = connect(server.url()).unwrap();
    let head = format!(
        "HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\r\n",
        alice.header
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"));
    assert!(answer.contains("content-length: 10\r\n"), "{answer}");
}

#[test]
fn what_is_harmless_is_shown_and_all_else_is_saved() {
    let mut home = Home::open();
    let me = home.sign_up("alice");
    for (content_type, name, expected) in [
        (None, "", "attachment"),
        (
            Some("text/html"),
            "x.html",
            "attachment; filename=\"x.html\"",
        ),
        (Some("image/svg+xml"), "", "attachment"),
        (Some("text/plain; charset=utf-8"), "", "inline"),
        (Some("IMAGE/PNG"), "a b.png", "inline; filename=\"a b.png\""),
        (Some("audio/x-flac"), "\"", "inline; filename*=utf-8''%22"),
        (
            Some("video/mp4"),
            "k\u{e4}se",
            "inline; filename*=utf-8''k%C3%A4se",
        ),
        (
            Some("video/mp4"),
            "a\r\nb: c",
            "inline; filename*=utf-8''a%0D%0Ab%3A%20c",
        ),
    ] {
        let mut request = of(&me, Method::Post, UPLOAD);
        request.content_type = content_type.map(str::to_owned);
        request.query.push(("filename".to_owned(), name.to_owned()));
        let kept = upload(&mut home, request, 3).ok();
        let answer = home.get_as(&me.token, &at(&id_of(&text(&kept, "content_uri"))));
        assert_eq!(answer.header("content-disposition"), Some(expected));
        let stored = content_type.unwrap_or("application/octet-stream");
        assert_eq!(answer.header("content-type"), Some(stored));
    }
    let mut request = of(&me, Method::Post, UPLOAD);
    request.query.push(("filename".to_owned(), "x".repeat(256)));
    upload(&mut home, request, 3).err(400, "M_INVALID_PARAM");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_somebody_uploaded_may_be_fetched_by_other_sites_like_any_file() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let kept = alice.call("POST", UPLOAD, &[("Content-Type", "text/html")], b"<p>");
    let answer = alice.down(&id_of(&text(&kept.json(), "content_uri")), &[]);
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(answer.header("Content-Disposition"), Some("attachment"));
}

#[test]
fn an_address_is_made_first_and_takes_one_file_of_its_maker_in_time() {
    let mut home = Home::open();
    let [alice, bob] = ["alice", "bob"].map(|name| home.sign_up(name));
    let made = home.post_as(&alice.token, CREATE, json!({})).ok();
    let until = home.now.as_millis() + 24 * HOUR;
    assert_eq!(made["unused_expires_at"], until);
    let id = id_of(&text(&made, "content_uri"));
    let path = format!("{UPLOAD}/private.localhost/{id}");
    let put = |who: &Me| of(who, Method::Put, &path);
    upload(&mut home, put(&bob), 3).err(403, "M_FORBIDDEN");
    home.get_as(&alice.token, &at(&id))
        .err(504, "M_NOT_YET_UPLOADED");
    assert_eq!(upload(&mut home, put(&alice), 3).ok(), json!({}));
    assert_eq!(home.get_as(&bob.token, &at(&id)).0.status, 200);
    upload(&mut home, put(&alice), 3).err(409, "M_CANNOT_OVERWRITE_MEDIA");
    upload(&mut home, put(&bob), 3).err(403, "M_FORBIDDEN");

    let late = announce(&mut home, &alice);
    home.wait(Duration::from_millis(24 * HOUR));
    let path = format!("{UPLOAD}/private.localhost/{late}");
    upload(&mut home, of(&alice, Method::Put, &path), 3).err(404, "M_NOT_FOUND");
    home.get_as(&alice.token, &at(&late))
        .err(404, "M_NOT_FOUND");
    assert_eq!(home.get_as(&bob.token, &at(&id)).0.status, 200);
}

#[test]
fn of_two_uploads_to_one_address_the_second_to_end_is_refused() {
    let mut home = Home::open();
    let alice = home.sign_up("alice");
    let id = announce(&mut home, &alice);
    let path = format!("{UPLOAD}/private.localhost/{id}");
    let mut allowed = Vec::new();
    for _ in 0..2 {
        let request = of(&alice, Method::Put, &path);
        let mut cx = Cx::new(home.now, &mut home.entropy);
        let answer = home.database.answer(&home.server, &mut cx, request);
        let Some(Errand::Receive(upload)) = answer.errand else {
            panic!("{answer:?}");
        };
        allowed.push(upload);
    }
    assert_ne!(allowed[0].name(), allowed[1].name());
    let mut end = |upload| {
        let mut request = of(&alice, Method::Put, &path);
        request.file = Some(Received { upload, length: 3 });
        home.send(request)
    };
    end(allowed.remove(1)).ok();
    end(allowed.remove(0)).err(409, "M_CANNOT_OVERWRITE_MEDIA");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_announced_is_waited_for() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let id = alice.announce();
    let at_once = alice.down(&format!("{id}?timeout_ms=0"), &[]);
    refused(&at_once, 504, "M_NOT_YET_UPLOADED");
    let waiting = thread::scope(|scope| {
        let waiting = scope.spawn(|| alice.down(&id, &[]));
        // Whether it is waiting by then or not, it gets the file.
        let path = format!("{UPLOAD}/private.localhost/{id}");
        assert_eq!(alice.call("PUT", &path, &[], b"here").status, 200);
        waiting.join().unwrap()
    });
    assert_eq!(
        (waiting.status, waiting.body.as_slice()),
        (200, &b"here"[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_file_is_answered_when_the_server_stops() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let id = alice.announce();
    let mut stream = connect(server.url()).unwrap();
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
        at(&id),
        alice.header
    );
    stream.write_all(head.as_bytes()).unwrap();
    let began = Instant::now();
    server.stop().await;
    // It may have come too late to be let in.
    if let Ok(answer) = read(stream) {
        assert!(answer.status >= 500, "{}", answer.status);
    }
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn so_many_addresses_wait_at_once_and_no_more() {
    let media = Media::default().with_max_announced(2);
    let mut home = Home::new(Config::default().with_media(media));
    let [alice, bob] = ["alice", "bob"].map(|name| home.sign_up(name));
    let first = announce(&mut home, &alice);
    home.wait(Duration::from_millis(HOUR));
    announce(&mut home, &alice);
    let limited = home.post_as(&alice.token, CREATE, json!({}));
    let limited = limited.err(429, "M_LIMIT_EXCEEDED");
    assert_eq!(limited["retry_after_ms"], 23 * HOUR);
    announce(&mut home, &bob);
    let path = format!("{UPLOAD}/private.localhost/{first}");
    upload(&mut home, of(&alice, Method::Put, &path), 3).ok();
    announce(&mut home, &alice);
    home.post_as(&alice.token, CREATE, json!({}))
        .err(429, "M_LIMIT_EXCEEDED");
    home.wait(Duration::from_millis(24 * HOUR));
    announce(&mut home, &alice);
}

#[test]
fn who_uploads_too_often_is_told_to_wait() {
    let limits = Limits::default().with_uploads(Limit::new(1.0, 2));
    let mut home = Home::new(Config::default().with_limits(limits));
    let alice = home.sign_up("alice");
    keep(&mut home, &alice);
    announce(&mut home, &alice);
    let request = of(&alice, Method::Post, UPLOAD);
    upload(&mut home, request, 3).err(429, "M_LIMIT_EXCEEDED");
    home.wait(Duration::from_secs(1));
    keep(&mut home, &alice);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (server, files) = start_in(directory.path(), Config::default()).await;
    let url = server.url().clone();
    let id = Person::new(&server, "alice").up(b"secret");
    let to_address = format!("{UPLOAD}/private.localhost/{id}");
    for (method, path) in [
        ("POST", UPLOAD),
        ("PUT", &to_address),
        ("POST", CREATE),
        ("GET", &at(&id)),
        ("GET", &format!("{}/x", at(&id))),
        ("GET", "/_matrix/client/v1/media/config"),
        ("GET", "/_matrix/media/v3/config"),
    ] {
        let answer = send(&url, method, path, &[], b"body").unwrap();
        refused(&answer, 401, "M_MISSING_TOKEN");
        let nobody = [("Authorization", "Bearer nobody")];
        let answer = send(&url, method, path, &nobody, b"body").unwrap();
        refused(&answer, 401, "M_UNKNOWN_TOKEN");
    }
    assert_eq!(files_in(&files).len(), 1);
}

#[test]
fn guests_see_files_and_upload_none_and_so_do_the_suspended() {
    let mut home = Home::new(Config::default().with_guests(true).with_admin("admin"));
    let [admin, alice] = ["admin", "alice"].map(|name| home.sign_up(name));
    let id = keep(&mut home, &alice);
    let guest = home.post(&format!("{}?kind=guest", crate::REGISTER), json!({}));
    let guest = Me::of(&guest.ok());
    let path = format!("/_matrix/client/v1/admin/suspend/{}", alice.user_id);
    let body = json!({ "suspended": true });
    home.call_as(&admin.token, Method::Put, &path, body).ok();
    for (me, code) in [
        (guest, "M_GUEST_ACCESS_FORBIDDEN"),
        (alice, "M_USER_SUSPENDED"),
    ] {
        assert_eq!(home.get_as(&me.token, &at(&id)).0.status, 200);
        home.post_as(&me.token, CREATE, json!({})).err(403, code);
        let request = of(&me, Method::Post, UPLOAD);
        upload(&mut home, request, 3).err(403, code);
    }
}

#[test]
fn other_servers_have_nothing_here() {
    let mut home = Home::open();
    let alice = home.sign_up("alice");
    let id = keep(&mut home, &alice);
    for path in [
        format!("{DOWNLOAD}/elsewhere.example/{id}"),
        format!("{DOWNLOAD}/elsewhere.example/{id}/name"),
        at("nothing"),
    ] {
        home.get_as(&alice.token, &path).err(404, "M_NOT_FOUND");
    }
    let path = format!("{UPLOAD}/elsewhere.example/{id}");
    upload(&mut home, of(&alice, Method::Put, &path), 3).err(404, "M_NOT_FOUND");
    let thumbnail = at(&id).replace("download", "thumbnail");
    home.get_as(&alice.token, &thumbnail)
        .err(404, "M_UNRECOGNIZED");
}

#[test]
fn how_large_a_file_may_be_is_told_to_those_who_are_signed_in() {
    for (config, size) in [
        (Config::default(), 1024 * 1024 * 1024),
        (
            Config::default().with_media(Media::default().with_max_size(7)),
            7,
        ),
    ] {
        let mut home = Home::new(config);
        let alice = home.sign_up("alice");
        for path in [
            "/_matrix/client/v1/media/config",
            "/_matrix/media/v3/config",
        ] {
            let told = home.get_as(&alice.token, path).ok();
            assert_eq!(told, json!({ "m.upload.size": size }));
        }
    }
    let nothing = Config::default().with_media(Media::default().with_max_size(0));
    assert!(matricula_homeserver::Homeserver::new(nothing).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_or_when_it_comes_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let max = 100_000;
    let media = Media::default().with_max_size(max as u64);
    let (server, files) = start_in(directory.path(), Config::default().with_media(media)).await;
    let alice = Person::new(&server, "alice");
    alice.up(&vec![b'x'; max]);
    // Not a byte of the body is sent.
    let mut head = format!("Content-Length: {}", max + 1);
    refused(&read(alice.begin(&head)).unwrap(), 413, "M_TOO_LARGE");
    // Nor is it asked for.
    head += "\r\nExpect: 100-continue";
    refused(&read(alice.begin(&head)).unwrap(), 413, "M_TOO_LARGE");
    // Who writes it all before reading comes to read.
    let more = vec![b'x'; 2_000_000];
    refused(&alice.call("POST", UPLOAD, &[], &more), 413, "M_TOO_LARGE");
    // Nobody says how much it will be.
    let mut stream = alice.begin("Transfer-Encoding: chunked");
    let piece = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000));
    for _ in 0..2 {
        stream.write_all(piece.as_bytes()).unwrap();
    }
    refused(&read(stream).unwrap(), 413, "M_TOO_LARGE");
    assert_eq!(files_in(&files).len(), 1);
    server.stop().await;
    assert_eq!(rows(directory.path()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_is_kept_and_one_that_waits_for_leave_is_let_in() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let mut stream = alice.begin("Transfer-Encoding: chunked\r\nExpect: 100-continue");
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
        .write_all(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        .unwrap();
    let kept = read(stream).unwrap().json();
    let answer = alice.down(&id_of(&text(&kept, "content_uri")), &[]);
    assert_eq!(answer.body, b"abcde");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_during_an_upload_does_not_undo_it() {
    let millis = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&millis);
    let config = Config::default().with_access_token_lifetime(Duration::from_secs(60));
    let options = Options::new(config)
        .with_clock(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
    let server = Server::start(options).await.unwrap();
    let alice = Person::new(&server, "alice");
    let mut stream = alice.begin("Content-Length: 3\r\nExpect: 100-continue");
    stream.read_exact(&mut [0; 25]).unwrap();
    millis.store(61_000, Ordering::SeqCst);
    stream.write_all(b"abc").unwrap();
    assert_eq!(read(stream).unwrap().status, 200);
    let next = alice.call("POST", UPLOAD, &[], b"abc");
    refused(&next, 401, "M_UNKNOWN_TOKEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn part_of_a_file_may_be_asked_for() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let id = alice.up(b"0123456789");
    for (range, expected) in [
        ("bytes=0-3", "0-3"),
        ("bytes=4-", "4-9"),
        ("bytes=-3", "7-9"),
        ("bytes=0-", "0-9"),
        ("bytes=9-9", "9-9"),
        ("bytes=2-1000", "2-9"),
        ("bytes=-1000", "0-9"),
        ("Bytes=1-2", "1-2"),
    ] {
        let answer = alice.down(&id, &[("Range", range)]);
        assert_eq!(answer.status, 206, "{range}");
        let said = format!("bytes {expected}/10");
        assert_eq!(answer.header("Content-Range"), Some(&*said), "{range}");
        let (first, last) = expected.split_once('-').unwrap();
        let [first, last] = [first, last].map(|it| it.parse::<usize>().unwrap());
        assert_eq!(answer.body, b"0123456789"[first..=last], "{range}");
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("Content-Length"), Some(&*length), "{range}");
    }
    for range in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
        let answer = alice.down(&id, &[("Range", range)]);
        refused(&answer, 416, "M_INVALID_PARAM");
        assert_eq!(answer.header("Content-Range"), Some("bytes */10"));
    }
    // What makes no sense, or means more than one part, may be passed over.
    for range in [
        "bytes=3-1",
        "bytes=",
        "bytes=-",
        "lines=1-2",
        "bytes=0-1,3-4",
        "bytes=+1-2",
    ] {
        let answer = alice.down(&id, &[("Range", range)]);
        assert_eq!((answer.status, answer.body.len()), (200, 10), "{range}");
        assert_eq!(answer.header("Content-Range"), None);
    }
    let empty = alice.up(b"");
    refused(
        &alice.down(&empty, &[("Range", "bytes=0-")]),
        416,
        "M_INVALID_PARAM",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_had_already_is_not_sent_again_and_what_is_another_file_is_sent_whole() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let [id, other] = [b"0123456789", b"abcdefghij"].map(|it| alice.up(it));
    let [etag, others] = [&id, &other].map(|it| format!("\"{it}\""));
    let range = ("Range", "bytes=4-");
    for (if_range, status) in [
        (&*etag, 206),
        (&others, 200),
        (&format!("W/{etag}"), 200),
        ("Thu, 26 Nov 2026 00:00:00 GMT", 200),
    ] {
        let answer = alice.down(&id, &[range, ("If-Range", if_range)]);
        assert_eq!(answer.status, status, "{if_range}");
    }
    for (none_match, status) in [
        (&*etag, 304),
        (&format!("{others}, W/{etag}"), 304),
        ("*", 304),
        (&others, 200),
    ] {
        let answer = alice.down(&id, &[("If-None-Match", none_match)]);
        assert_eq!(answer.status, status, "{none_match}");
        assert_eq!(answer.header("ETag"), Some(&*etag), "{none_match}");
        assert_eq!(answer.body.is_empty(), status == 304, "{none_match}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_cut_short_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (server, files) = start_in(directory.path(), Config::default()).await;
    let alice = Person::new(&server, "alice");
    for (framing, sent) in [
        ("Content-Length: 1000000", "x".repeat(500_000)),
        (
            "Transfer-Encoding: chunked",
            format!("{:x}\r\n{}\r\n", 9, "x".repeat(9)),
        ),
    ] {
        let mut stream = alice.begin(framing);
        stream.write_all(sent.as_bytes()).unwrap();
        let until = |count| {
            let files = files.clone();
            async move {
                while files_in(&files).len() != count {
                    tokio::task::yield_now().await;
                }
            }
        };
        let patience = Duration::from_secs(10);
        tokio::time::timeout(patience, until(1)).await.unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
        tokio::time::timeout(patience, until(0)).await.unwrap();
    }
    server.stop().await;
    assert_eq!(rows(directory.path()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_outlive_the_process_and_what_was_never_finished_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let (server, files) = start_in(directory.path(), Config::default()).await;
    let alice = Person::new(&server, "alice");
    let (id, announced) = (alice.up(b"here"), alice.announce());
    let header = alice.header;
    server.stop().await;
    assert_eq!(files_in(&files).len(), 1);
    #[cfg(unix)]
    for (path, mode) in [(&files, 0o700), (&files_in(&files)[0], 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            mode
        );
    }
    // As a process leaves them that was killed before, and right after, it gave the name for good.
    for name in ["unfinished.part", "unknown"] {
        fs::write(files.join(name), b"orphan").unwrap();
    }

    let (server, files) = start_in(directory.path(), Config::default()).await;
    assert_eq!(files_in(&files).len(), 1);
    let url = server.url().clone();
    let alice = Person { url, header };
    assert_eq!(alice.down(&id, &[]).body, b"here");
    let path = format!("{UPLOAD}/private.localhost/{announced}");
    assert_eq!(alice.call("PUT", &path, &[], b"late").status, 200);
    assert_eq!(alice.down(&announced, &[]).body, b"late");
    // A file that somebody took away is not a shorter one.
    for path in files_in(&files) {
        fs::remove_file(path).unwrap();
    }
    refused(&alice.down(&id, &[]), 500, "M_UNKNOWN");
}

/// What a process has had in memory at most since this was last asked for, in KiB.
#[cfg(target_os = "linux")]
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let peak = line.unwrap().trim().trim_end_matches(" kB");
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    peak.parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_file_does_not_make_the_server_larger() {
    const MIB: usize = 256;

    if let Some(path) = std::env::var_os(kill::DIRECTORY) {
        return kill::serve(Path::new(&path));
    }
    let home = tempfile::tempdir().unwrap();
    let mut child = kill::spawn(
        "media::a_large_file_does_not_make_the_server_larger",
        home.path(),
    );
    let alice = Person::at(&kill::url_of(&mut child), "alice");
    alice.down(&alice.up(b"warm"), &[]);
    peak(child.id());
    let before = peak(child.id());

    let piece = vec![b'x'; 1024 * 1024];
    let mut stream = alice.begin(&format!("Content-Length: {}", MIB * piece.len()));
    for _ in 0..MIB {
        stream.write_all(&piece).unwrap();
    }
    let kept = read(stream).unwrap().json();
    let up = peak(child.id());
    let path = at(&id_of(&text(&kept, "content_uri")));
    let mut stream = connect(&alice.url).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\r\n",
        alice.header
    );
    stream.write_all(head.as_bytes()).unwrap();
    let read = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    assert!(read > (MIB * piece.len()) as u64);
    let down = peak(child.id());
    kill::kill(child);
    let grown = up.max(down).saturating_sub(before);
    assert!(
        grown < 16 * 1024,
        "{before} KiB, then {up} up and {down} down"
    );
}
