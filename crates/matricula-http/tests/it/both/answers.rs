//! What comes back from the wire.

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
fn a_text_is_kept_as_text_where_json_is_wanted() {
    for text in [r#"{"a": "ö"}"#, "<html>", ""] {
        let response = answered(answer("200 OK", &[], text), ResponseFormat::Json);
        assert_eq!(*response.body(), Body::Json(text.to_owned()));
    }
}

#[test]
fn what_is_no_text_is_kept_as_bytes() {
    let response = answered(answer("200 OK", &[], b"\xff\x00"), ResponseFormat::Json);
    assert_eq!(*response.body(), Body::Bytes(b"\xff\x00".to_vec()));
}

#[test]
fn bytes_are_kept_as_bytes_where_bytes_are_wanted() {
    let response = answered(answer("200 OK", &[], "{}"), ResponseFormat::Bytes);
    assert_eq!(*response.body(), Body::Bytes(b"{}".to_vec()));
}

#[test]
fn every_status_that_is_final_is_passed_on_with_its_words() {
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
fn headers_are_passed_on_and_the_job_is_named() {
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
fn a_compressed_answer_is_unpacked() {
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
fn an_answer_may_come_in_chunks_or_end_with_the_connection() {
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
fn an_answer_just_as_long_as_allowed_is_kept_whole() {
    let text = "a".repeat(64 << 10);
    let response = answered(answer("200 OK", &[], &text), ResponseFormat::Bytes);
    assert_eq!(response.body().as_bytes(), text.as_bytes());
}
