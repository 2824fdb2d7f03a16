//! Answers that no Matrix homeserver gives: exit code 1, and a sentence instead of what came.

use std::time::Duration;

use serde_json::json;

use crate::{
    command::{Ended, Home},
    server::{Reply, Request, Server, answer, bytes, endless, matrix, object},
};

const PAGE: &str = "<!doctype html><title>It works</title><script>alert(1)</script>";

/// Registers on a server that answers everything like this.
fn register(script: fn(&Request) -> Reply) -> (String, Ended) {
    let server = Server::start(script);
    let ended = Home::new().run(&format!("register {} --json", server.url));
    (server.url, ended)
}

/// The sentence names the server, says what is wrong in these words, and what to do; and the page
/// that came is not in it.
#[track_caller]
fn not_matrix((url, ended): (String, Ended), what: &str) {
    let ended = ended.exit(1);
    let json = ended.json();
    let message = json["error"]["message"].as_str().unwrap();
    let start = format!("{url} does not answer like a Matrix homeserver (");
    assert!(
        message.starts_with(&start) && message.ends_with("); check the address"),
        "{message}"
    );
    assert!(message.contains(what), "{message}");
    assert!(
        ended.stderr.ends_with(&format!("error: {message}\n")),
        "{ended}"
    );
    assert!(!ended.stderr.contains("alert"), "{ended}");
}

#[test]
fn server_without_matrix_paths() {
    let answers = register(|_| answer(404, &[], "404 page not found"));
    not_matrix(
        answers,
        "the server answered with status 404 and no Matrix error",
    );
}

#[test]
fn html_instead_of_json() {
    let answers = register(|_| answer(200, &["content-type: text/html"], PAGE));
    not_matrix(answers, "is invalid: it is not whole JSON");
}

#[test]
fn an_error_page_of_a_proxy() {
    let answers = register(|_| answer(502, &["content-type: text/html"], PAGE));
    not_matrix(
        answers,
        "the server answered with status 502 and no Matrix error",
    );
}

#[test]
fn another_kind_of_json() {
    let answers = register(|_| object(200, json!({ "status": "UP" })));
    not_matrix(answers, "missing field `versions`");
}

#[test]
fn matrix_error_to_first_request() {
    let answers = register(|_| crate::server::error(403, "M_FORBIDDEN", "not you"));
    not_matrix(
        answers,
        "asked for its versions, it says M_FORBIDDEN: not you",
    );
}

#[test]
fn a_truncated_body() {
    let answers =
        register(|_| bytes("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"versions\": ["));
    not_matrix(answers, "the connection was lost");
}

#[test]
fn something_that_is_not_http() {
    let answers = register(|_| bytes("SSH-2.0-OpenSSH_9.2p1\r\n"));
    not_matrix(answers, "its response is not HTTP");
}

#[test]
fn an_endless_body() {
    let (url, ended) = register(|_| endless("HTTP/1.1 200 OK\r\n\r\n", "endless ".repeat(1 << 12)));
    assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
    assert!(ended.peak_kib < 500 << 10, "{} KiB", ended.peak_kib);
    not_matrix((url, ended), "its response is longer than 67108864 bytes");
}

/// The last response is always lost: the account is in doubt.
#[test]
fn truncated_last_response_is_in_doubt() {
    let server = Server::start(|request| match request.is_stage() {
        true => bytes("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"user_id"),
        false => matrix(request),
    });
    let home = Home::new();
    let ended = home
        .run(&format!("register {} --json --username a", server.url))
        .exit(1);
    let message = ended.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains("may have made the account"), "{message}");
    assert!(
        message.ends_with("; resume this registration later to find out"),
        "{message}"
    );
    assert!(
        ended
            .stderr
            .contains("it is not certain what the server did: "),
        "{ended}"
    );
    // The password that may be the account's is not lost.
    assert_eq!(ended.json()["error"]["resume"], home.registration());
}
