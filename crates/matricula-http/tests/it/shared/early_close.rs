//! Servers that respond or close the connection before they have read the request.

use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
};

use matricula_core::{
    Body, FileRef, Job, Method, Processed, ResponseFormat, TransportErrorKind, scheduler::Outcome,
};
use tempfile::TempDir;

use super::{Runner, run, runner};
use crate::{
    error, get, response,
    server::{Server, look_at_head},
};

#[test]
fn reset_truncates_unframed_body() {
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\nhalf",
        "HTTP/1.0 200 OK\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    ] {
        let dir = TempDir::new().unwrap();
        let file = ResponseFormat::File(FileRef::new(dir.path().join("cat.png")));
        for wanted in [ResponseFormat::Json, ResponseFormat::Bytes, file] {
            let server = resetting(answer);
            let job = get(&server.url).with_response_format(wanted);
            let error = error(run(&runner(), job));
            assert_eq!(
                (error.kind, error.processed),
                (TransportErrorKind::ConnectionLost, Processed::Maybe),
                "{answer:?}: {error}"
            );
            assert!(error.message.contains("reset"), "{error}");
        }
        assert!(
            !dir.path().join("cat.png").exists(),
            "a truncated file was committed"
        );
    }
}

/// Responds after the head of a request has arrived, and closes the connection with all of it unread,
/// which resets the connection.
pub(crate) fn resetting(answer: &'static str) -> Server {
    Server::raw("http", move |mut stream| {
        look_at_head(&stream);
        stream.write_all(answer.as_bytes()).unwrap();
        false
    })
}

pub(crate) const REFUSAL: &str = "HTTP/1.1 413 Payload Too Large\r\n\
    content-type: application/json\r\ncontent-length: 25\r\n\r\n{\"errcode\":\"M_TOO_LARGE\"}";

/// Sends more than the buffers of any system hold while the server reads nothing.
pub(crate) fn upload(runner: &Runner, server: &Server) -> Outcome {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("cat.png");
    fs::write(&path, vec![0; 32 << 20]).unwrap();
    let there = "/_matrix/media/v3/upload";
    let job = Job::new(&server.url, there, Method::Post, "uploadContent");
    run(runner, job.with_body(Body::File(FileRef::new(&path))))
}

#[test]
fn early_refusal_of_upload_is_read() {
    let server = Server::raw("http", |mut stream| {
        look_at_head(&stream);
        stream.write_all(REFUSAL.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // It reads the rest, so that its response is not lost.
        while stream.read(&mut [0; 1 << 16]).is_ok_and(|read| read > 0) {}
        false
    });
    let response = response(upload(&runner(), &server));
    assert_eq!(response.status_code(), 413);
    assert_eq!(response.error_code(), "M_TOO_LARGE");
}
