//! The response of a server that closes the connection during an upload is read.

use std::{io::Write, net::Shutdown};

use matricula_core::{Processed, TransportErrorKind, scheduler::Outcome};

use super::shared::{
    early_close::{REFUSAL, resetting, upload},
    runner,
};
use crate::{
    error, get, response,
    server::{Server, look_at_head},
};

fn assert_refused(outcome: Outcome) {
    let response = response(outcome);
    assert_eq!(response.status_code(), 413);
    assert_eq!(response.error_code(), "M_TOO_LARGE");
}

#[test]
fn refusal_before_early_close_is_read() {
    assert_refused(upload(&runner(), &resetting(REFUSAL)));
    let half_closing = Server::raw("http", |mut stream| {
        look_at_head(&stream);
        stream.write_all(REFUSAL.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        false
    });
    assert_refused(upload(&runner(), &half_closing));
}

#[test]
fn early_close_without_response_leaves_doubt() {
    for answer in ["", "HTTP/1.1 413 -\r\n", "HTTP/1.1 413 -\r\n\r\n{\"errc"] {
        let error = error(upload(&runner(), &resetting(answer)));
        assert_eq!(
            (error.kind, error.processed),
            (TransportErrorKind::ConnectionLost, Processed::Maybe),
            "{answer:?}: {error}"
        );
        assert!(
            error
                .message
                .contains("connection closed while the request was sent"),
            "{answer:?}: {error}"
        );
    }
}

#[test]
fn half_written_connection_is_not_reused() {
    let mut replies = [REFUSAL, "HTTP/1.1 204 -\r\n\r\n"].into_iter();
    let server = Server::raw("http", move |mut stream| {
        look_at_head(&stream);
        let reply = replies.next().unwrap();
        stream.write_all(reply.as_bytes()).unwrap();
        replies.len() > 0
    });
    let runner = runner();
    assert_refused(upload(&runner, &server));
    let outcome = runner.run(get(&server.url));
    assert_eq!(response(outcome).status_code(), 204);
}
