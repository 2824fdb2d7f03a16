//! The response that a job gets.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use matricula_core::{Body, Response, ResponseFormat};

use super::{run, runner};
use crate::{
    get, response,
    server::{Reply, Server, answer, bytes},
};

fn answered(reply: Reply, return_type: ResponseFormat) -> Response {
    let server = Server::start([reply]);
    response(run(
        &runner(),
        get(&server.url).with_response_format(return_type),
    ))
}

#[test]
fn json_format_keeps_any_text() {
    for text in [r#"{"a": "ö"}"#, "<html>", ""] {
        let response = answered(answer("200 OK", &[], text), ResponseFormat::Json);
        assert_eq!(*response.body(), Body::Json(text.to_owned()));
    }
}

#[test]
fn non_text_body_becomes_bytes() {
    let response = answered(answer("200 OK", &[], b"\xff\x00"), ResponseFormat::Json);
    assert_eq!(*response.body(), Body::Bytes(b"\xff\x00".to_vec()));
}

#[test]
fn bytes_format_keeps_bytes() {
    let response = answered(answer("200 OK", &[], "{}"), ResponseFormat::Bytes);
    assert_eq!(*response.body(), Body::Bytes(b"{}".to_vec()));
}

#[test]
fn final_statuses_pass_through() {
    let body = r#"{"errcode":"M_FORBIDDEN","error":"no"}"#;
    for status in [200, 204, 300, 304, 400, 401, 403, 404, 418, 501] {
        let body = match status {
            204 | 304 => "",
            _ => body,
        };
        let reply = answer(&format!("{status} Words"), &[], body);
        let response = answered(reply, ResponseFormat::Json);
        assert_eq!(response.status_code(), status);
        assert_eq!(response.body().as_bytes(), body.as_bytes());
    }
}

#[test]
fn response_has_headers_and_operation() {
    let header = ["X-Test: a", "x-test: b", "Retry-After: 7", "x-odd: \u{f6}"];
    let response = answered(answer("400 Bad", &header, "{}"), ResponseFormat::Json);
    let found = response
        .headers()
        .iter()
        .filter(|(name, _)| name == "x-test");
    assert_eq!(
        found.map(|(_, value)| value).collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(response.header("X-Odd"), Some("\u{f6}"));
    assert_eq!(response.retry_after().unwrap().as_secs(), 7);
    assert_eq!(response.operation_id(), "getVersions");
}

#[test]
fn gzip_response_is_decompressed() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(br#"{"a":1}"#).unwrap();
    let reply = answer(
        "200 OK",
        &["content-encoding: gzip"],
        gzip.finish().unwrap(),
    );
    let response = answered(reply, ResponseFormat::Json);
    assert_eq!(*response.body(), Body::Json(r#"{"a":1}"#.to_owned()));
}

#[test]
fn body_may_be_chunked_or_unframed() {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
    for reply in [
        chunked,
        "HTTP/1.1 200 OK\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\n\r\n{}",
    ] {
        let response = answered(bytes(reply), ResponseFormat::Json);
        assert_eq!(*response.body(), Body::Json("{}".to_owned()));
    }
}

#[test]
fn body_at_size_limit_is_accepted() {
    let text = "a".repeat(64 << 10);
    let response = answered(answer("200 OK", &[], &text), ResponseFormat::Bytes);
    assert_eq!(response.body().as_bytes(), text.as_bytes());
}
