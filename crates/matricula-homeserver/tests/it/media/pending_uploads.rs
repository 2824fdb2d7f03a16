//! Pending uploads.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use matricula_core::{Method, StepContext};
use matricula_homeserver::{Config, FileAction, Media, ReceivedFile};
use serde_json::json;

use super::{CREATE, HOUR, Person, UPLOAD, announce, at, id_of, of, refused, start, upload};
use crate::{
    TestServer, TestUser,
    http_client::{connect, read},
    text,
};

#[test]
fn created_uri_takes_one_file_in_time() {
    let mut home = TestServer::open();
    let [alice, bob] = ["alice", "bob"].map(|name| home.sign_up(name));
    let made = home.post_as(&alice.token, CREATE, json!({})).ok();
    let until = home.now.as_millis() + 24 * HOUR;
    assert_eq!(made["unused_expires_at"], until);
    let id = id_of(&text(&made, "content_uri"));
    let path = format!("{UPLOAD}/private.localhost/{id}");
    let put = |who: &TestUser| of(who, Method::Put, &path);
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
fn second_upload_to_uri_is_refused() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    let id = announce(&mut home, &alice);
    let path = format!("{UPLOAD}/private.localhost/{id}");
    let mut allowed = Vec::new();
    for _ in 0..2 {
        let request = of(&alice, Method::Put, &path);
        let mut cx = StepContext::new(home.now, &mut home.entropy);
        let answer = home.database.handle(&home.server, &mut cx, request);
        let Some(FileAction::Receive(upload)) = answer.file_action else {
            panic!("{answer:?}");
        };
        allowed.push(upload);
    }
    assert_ne!(allowed[0].name(), allowed[1].name());
    let mut end = |upload| {
        let mut request = of(&alice, Method::Put, &path);
        request.received = Some(ReceivedFile { upload, length: 3 });
        home.send(request)
    };
    end(allowed.remove(1)).ok();
    end(allowed.remove(0)).err(409, "M_CANNOT_OVERWRITE_MEDIA");
}

#[tokio::test(flavor = "multi_thread")]
async fn download_waits_for_pending_upload() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let id = alice.announce();
    let at_once = alice.down(&format!("{id}?timeout_ms=0"), &[]);
    refused(&at_once, 504, "M_NOT_YET_UPLOADED");
    let waiting = thread::scope(|scope| {
        let waiting = scope.spawn(|| alice.down(&id, &[]));
        // The download gets the file, whether it waits already or not.
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
async fn waiting_download_ends_on_stop() {
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
    // The connection may not have been accepted.
    if let Ok(answer) = read(stream) {
        assert!(answer.status >= 500, "{}", answer.status);
    }
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn pending_uploads_are_bounded() {
    let media = Media::default().max_pending_uploads(2);
    let mut home = TestServer::new(Config::default().media(media));
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
