//! Downloads: complete, ranges, conditional requests.

use std::io::{Read, Write};

use matricula_core::Method;
use matricula_homeserver::Config;
use proptest::{prelude::*, test_runner::TestRunner};

use super::{DOWNLOAD, Person, UPLOAD, at, id_of, keep, of, refused, start, upload};
use crate::{TestServer, http_client::connect, text};

#[tokio::test(flavor = "multi_thread")]
async fn file_downloads_unchanged() {
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
async fn head_has_length_without_body() {
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
fn only_safe_types_are_inline() {
    let mut home = TestServer::open();
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
async fn uploaded_html_allows_cors_like_files() {
    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let kept = alice.call("POST", UPLOAD, &[("Content-Type", "text/html")], b"<p>");
    let answer = alice.down(&id_of(&text(&kept.json(), "content_uri")), &[]);
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(answer.header("Content-Disposition"), Some("attachment"));
}

#[test]
fn files_of_other_servers_are_missing() {
    let mut home = TestServer::open();
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

#[tokio::test(flavor = "multi_thread")]
async fn single_ranges_are_served() {
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
    // Invalid and multiple ranges may be ignored.
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
async fn etag_avoids_resending() {
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
async fn any_range_matches_content_range() {
    const BYTES: &[u8] = b"0123456789";

    let server = start(Config::default()).await;
    let alice = Person::new(&server, "alice");
    let id = alice.up(BYTES);
    let ranges = "(bytes|Bytes|x)?=?([0-9]{0,2}|[0-9]{20})-?([0-9]{0,2}|[0-9]{20})(,1-2)?";
    let run = TestRunner::default().run(&ranges, |range| {
        let answer = alice.down(&id, &[("Range", &range)]);
        match (answer.status, answer.header("Content-Range")) {
            (200, None) => prop_assert_eq!(answer.body, BYTES),
            (206, Some(said)) => {
                let said = said.strip_prefix("bytes ").unwrap();
                let (first, last) = said.strip_suffix("/10").unwrap().split_once('-').unwrap();
                let [first, last] = [first, last].map(|it| it.parse::<usize>().unwrap());
                prop_assert_eq!(answer.body, &BYTES[first..=last]);
            }
            (416, Some("bytes */10")) => {}
            other => prop_assert!(false, "{:?}", other),
        }
        Ok(())
    });
    run.unwrap();
}
