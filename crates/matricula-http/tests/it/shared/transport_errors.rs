//! Kinds of transport errors, and whether the server may have processed the request: that decides about
//! a retry.

use std::time::Duration;

use matricula_core::{
    Processed, ServerUrl, TransportError, TransportErrorKind,
    scheduler::{Event, Outcome, WaitReason},
};

use super::{run, run_watched, runner, runner_with};
use crate::{
    error, get, options, post, response,
    server::{Reply, Server, answer, bytes, ok, unused_address},
};

/// The error of a job that is not idempotent, with several attempts allowed.
fn failure(reply: Reply) -> TransportError {
    let server = Server::start([reply, ok()]);
    let outcome = run(&runner_with(options(), 3), post(&server.url));
    assert_eq!(server.requests().len(), 1, "{outcome:?}");
    let error = error(outcome);
    let host = format!("{}: ", server.url);
    assert!(error.message.starts_with(&host), "{error}");
    error
}

fn assert_maybe(error: &TransportError, kind: TransportErrorKind, message: &str) {
    assert_eq!(
        (error.kind, error.processed),
        (kind, Processed::Maybe),
        "{error}"
    );
    assert!(error.message.contains(message), "{error}");
}

#[test]
fn refused_connection_is_retried() {
    let server = unused_address();
    let mut waits = Vec::new();
    let runner = runner_with(options(), 3);
    let outcome = run_watched(&runner, post(&server), |event| {
        if let Event::Waiting {
            reason: WaitReason::Unreachable(why),
            ..
        } = event
        {
            waits.push(why.clone());
        }
    });
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    let error = error(outcome);
    assert_eq!(
        (error.kind, error.processed),
        (TransportErrorKind::Connect, Processed::No)
    );
    let message = error.message.to_lowercase();
    assert!(
        message.starts_with(&format!("{server}: ")) && message.contains("refused"),
        "{error}"
    );
    assert_eq!(waits, [error.message.clone(), error.message]);
}

#[test]
fn unknown_host_was_not_processed() {
    // A label has at most 63 characters, so this name is not even looked up.
    let server: ServerUrl = format!("http://{}.localhost:1", "a".repeat(64))
        .parse()
        .unwrap();
    let error = error(run(&runner(), post(&server)));
    assert_eq!(
        (error.kind, error.processed),
        (TransportErrorKind::Connect, Processed::No)
    );
    assert!(
        error.message.contains("its name cannot be looked up"),
        "{error}"
    );
}

#[test]
fn close_before_response_leaves_doubt() {
    assert_maybe(
        &failure(bytes("")),
        TransportErrorKind::ConnectionLost,
        "connection closed",
    );
}

#[test]
fn truncated_head_leaves_doubt() {
    assert_maybe(
        &failure(bytes("HTTP/1.1 200 OK\r\ncont")),
        TransportErrorKind::ConnectionLost,
        "",
    );
}

#[test]
fn truncated_body_leaves_doubt() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ] {
        assert_maybe(
            &failure(bytes(reply)),
            TransportErrorKind::ConnectionLost,
            "",
        );
    }
}

#[test]
fn non_http_response_leaves_doubt() {
    for reply in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"\0\xff\0\xff\r\n\r\n",
        // The response of a port that expects TLS.
        b"\x15\x03\x01\x00\x02\x02\x46",
    ] {
        assert_maybe(
            &failure(bytes(reply)),
            TransportErrorKind::ConnectionLost,
            "its response is not HTTP",
        );
    }
}

#[test]
fn broken_compression_leaves_doubt() {
    let reply = answer("200 OK", &["content-encoding: gzip"], "{}");
    assert_maybe(&failure(reply), TransportErrorKind::ConnectionLost, "gzip");
}

#[test]
fn missing_response_leaves_doubt() {
    let (server, _guard) = silent();
    let mut options = options();
    options.timeout = Duration::from_millis(300);
    let error = error(run(&runner_with(options, 3), post(&server.url)));
    assert_maybe(
        &error,
        TransportErrorKind::Timeout,
        "no complete response within 300ms",
    );
}

#[test]
fn long_poll_extends_timeout() {
    let (server, _guard) = silent();
    let mut options = options();
    options.timeout = Duration::from_millis(100);
    let job = post(&server.url).with_query("timeout", "150");
    let error = error(run(&runner_with(options, 3), job));
    assert_maybe(
        &error,
        TransportErrorKind::Timeout,
        "no complete response within 250ms",
    );
}

/// A server that reads a request, and does not respond until the guard is dropped.
fn silent() -> (Server, std::sync::mpsc::Sender<()>) {
    let (guard, end) = std::sync::mpsc::channel::<()>();
    let reply: Reply = Box::new(move |_| {
        let _ = end.recv();
        Ok(())
    });
    (Server::start([reply]), guard)
}

#[test]
fn idempotent_request_is_retried() {
    let server = Server::start([bytes(""), bytes("garbage"), ok()]);
    let outcome = run(&runner_with(options(), 3), get(&server.url));
    assert_eq!(response(outcome).status_code(), 200);
    assert_eq!(server.requests().len(), 3);
}
