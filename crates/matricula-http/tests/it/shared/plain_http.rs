//! Unencrypted requests to other machines are refused. The tests in `environment` allow them.

use matricula_core::{Processed, ServerUrl, TransportErrorKind};

use super::{run, runner};
use crate::{
    error, get, post, response,
    server::{Server, bytes, ok},
};

#[test]
fn unencrypted_remote_request_is_refused() {
    for url in [
        "http://matrix.example.org",
        "http://192.168.1.5:8008",
        "http://10.0.0.1",
        "http://[fd00::1]:8008",
        "http://localhost.example.org",
    ] {
        let server: ServerUrl = url.parse().unwrap();
        for job in [get(&server), post(&server)] {
            let error = error(run(&runner(), job));
            assert_eq!(
                (error.kind, error.processed),
                (TransportErrorKind::InvalidRequest, Processed::No),
                "{url}: {error}"
            );
            let start = format!("{url} is not encrypted: ");
            assert!(error.message.starts_with(&start), "{error}");
        }
    }
}

#[test]
fn loopback_may_be_unencrypted() {
    let server = Server::start([ok(), ok()]);
    assert_eq!(
        response(run(&runner(), get(&server.url))).status_code(),
        200
    );
    let everywhere = server.url.as_str().replace("127.0.0.1", "0.0.0.0");
    let job = get(&everywhere.parse().unwrap());
    assert_eq!(response(run(&runner(), job)).status_code(), 200);
}

#[test]
fn redirect_to_unencrypted_remote_is_refused() {
    let to = "HTTP/1.1 307 -\r\nlocation: http://matrix.example.org/\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start([bytes(to)]);
    let error = error(run(&runner(), get(&server.url)));
    let start = "http://matrix.example.org is not encrypted: ";
    assert!(error.message.starts_with(start), "{error}");
}
