//! Uploads: authorization, size, transfer.

use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use matricula_core::{Method, Timestamp};
use matricula_homeserver::{Config, Limit, Limits, Media, Server, ServerOptions};
use serde_json::json;

use super::{
    CREATE, Person, UPLOAD, announce, at, files_in, id_of, keep, of, refused, rows, start,
    start_in, upload,
};
use crate::{
    TestServer, TestUser,
    http_client::{read, send},
    text,
};

#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_use_media() {
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
fn guests_and_suspended_cannot_upload() {
    let mut home = TestServer::new(Config::default().guests(true).admin("admin"));
    let [admin, alice] = ["admin", "alice"].map(|name| home.sign_up(name));
    let id = keep(&mut home, &alice);
    let guest = home.post(&format!("{}?kind=guest", crate::REGISTER), json!({}));
    let guest = TestUser::of(&guest.ok());
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
fn upload_limit_needs_a_token() {
    for (config, size) in [
        (Config::default(), 1024 * 1024 * 1024),
        (Config::default().media(Media::default().max_size(7)), 7),
    ] {
        let mut home = TestServer::new(config);
        let alice = home.sign_up("alice");
        for path in [
            "/_matrix/client/v1/media/config",
            "/_matrix/media/v3/config",
        ] {
            let told = home.get_as(&alice.token, path).ok();
            assert_eq!(told, json!({ "m.upload.size": size }));
        }
    }
    let nothing = Config::default().media(Media::default().max_size(0));
    assert!(matricula_homeserver::Homeserver::new(nothing).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_upload_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let max = 100_000;
    let media = Media::default().max_size(max as u64);
    let (server, files) = start_in(directory.path(), Config::default().media(media)).await;
    let alice = Person::new(&server, "alice");
    alice.up(&vec![b'x'; max]);
    // The body is not sent.
    let mut head = format!("Content-Length: {}", max + 1);
    refused(&read(alice.begin(&head)).unwrap(), 413, "M_TOO_LARGE");
    // The server does not request the body.
    head += "\r\nExpect: 100-continue";
    refused(&read(alice.begin(&head)).unwrap(), 413, "M_TOO_LARGE");
    // A client that writes everything first still gets the response.
    let more = vec![b'x'; 20_000_000];
    let mut stream = alice.begin(&format!("Content-Length: {}", more.len()));
    stream.write_all(&more).unwrap();
    refused(&read(stream).unwrap(), 413, "M_TOO_LARGE");
    // A body of unknown length.
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
async fn chunked_and_expect_uploads_work() {
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
async fn token_expiry_during_upload_is_harmless() {
    let millis = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&millis);
    let config = Config::default().access_token_lifetime(Duration::from_secs(60));
    let options = ServerOptions::new(config)
        .clock(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
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

#[test]
fn uploads_are_rate_limited() {
    let limits = Limits::default().uploads(Limit::new(1.0, 2));
    let mut home = TestServer::new(Config::default().limits(limits));
    let alice = home.sign_up("alice");
    keep(&mut home, &alice);
    announce(&mut home, &alice);
    let request = of(&alice, Method::Post, UPLOAD);
    upload(&mut home, request, 3).err(429, "M_LIMIT_EXCEEDED");
    home.wait(Duration::from_secs(1));
    keep(&mut home, &alice);
}
