//! Endless and oversized responses are bounded.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use matricula_core::{Processed, TransportError, TransportErrorKind};

use super::{MOST_HEADERS, run, runner, runner_with};
use crate::{
    error, options, post,
    server::{Reply, Server, answer, bytes, endless},
};

const HEAD: &str = "HTTP/1.1 200 OK\r\n";

fn too_large(reply: Reply, message: &str) {
    let server = Server::start([reply]);
    let error = error(run(&runner(), post(&server.url)));
    assert_eq!(
        (error.kind, error.processed),
        (TransportErrorKind::TooLarge, Processed::Maybe),
        "{error}"
    );
    assert_eq!(error.message, format!("{}: {message}", server.url));
}

fn timed_out(reply: Reply) {
    let server = Server::start([reply]);
    let mut options = options();
    options.timeout = Duration::from_millis(300);
    // Only the timeout ends it.
    options.max_body_size = usize::MAX;
    let start = Instant::now();
    let error: TransportError = error(run(&runner_with(options, 1), post(&server.url)));
    assert_eq!(
        (error.kind, error.processed),
        (TransportErrorKind::Timeout, Processed::Maybe),
        "{error}"
    );
    let message = format!("{}: no complete response within 300ms", server.url);
    assert_eq!(error.message, message);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
}

const HEADERS: &str = "its headers are too large or too many";

#[test]
fn oversized_header_value() {
    too_large(
        bytes(format!("{HEAD}a: {}\r\n\r\n", "b".repeat(1 << 20))),
        HEADERS,
    );
}

#[test]
fn endless_header_value() {
    too_large(endless(&format!("{HEAD}a: "), "b"), HEADERS);
}

#[test]
fn too_many_header_lines() {
    too_large(
        bytes(format!("{HEAD}{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1))),
        HEADERS,
    );
}

#[test]
fn endless_headers() {
    too_large(endless(HEAD, "a: b\r\n"), HEADERS);
}

const BODY: &str = "its response is longer than 65536 bytes";

#[test]
fn endless_body() {
    too_large(endless(&format!("{HEAD}\r\n"), "endless "), BODY);
}

#[test]
fn endless_chunks() {
    too_large(
        endless(
            &format!("{HEAD}transfer-encoding: chunked\r\n\r\n"),
            "1\r\na\r\n",
        ),
        BODY,
    );
}

#[test]
fn body_with_excessive_content_length() {
    too_large(
        endless(&format!("{HEAD}content-length: 1099511627776\r\n\r\n"), "a"),
        BODY,
    );
}

#[test]
fn body_one_byte_over_limit() {
    too_large(answer("200 OK", &[], "a".repeat((64 << 10) + 1)), BODY);
}

#[test]
fn decompression_bomb_is_bounded() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..16 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(
        bomb.len() < 64 << 10,
        "the bound must apply to the decompressed size: {}",
        bomb.len()
    );
    too_large(answer("200 OK", &["content-encoding: gzip"], bomb), BODY);
}

#[test]
fn slow_body_times_out() {
    timed_out(Box::new(|to| {
        to.write_all(format!("{HEAD}content-length: 1000000\r\n\r\n").as_bytes())?;
        loop {
            to.write_all(b"a")?;
            std::thread::sleep(Duration::from_millis(20));
        }
    }));
}

#[test]
fn slow_headers_time_out() {
    timed_out(Box::new(|to| {
        to.write_all(HEAD.as_bytes())?;
        loop {
            to.write_all(b"a: b\r\n")?;
            std::thread::sleep(Duration::from_millis(20));
        }
    }));
}

#[test]
fn endless_informational_responses_time_out() {
    timed_out(Box::new(|to| {
        loop {
            to.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")?;
            std::thread::sleep(Duration::from_millis(20));
        }
    }));
}
