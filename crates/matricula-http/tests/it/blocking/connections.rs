//! A connection that the server closed is not used again.

use super::shared::runner;
use crate::{
    post, response,
    server::{Reply, Server, ok},
};

#[test]
fn closed_connection_is_not_reused() {
    let (close, closed) = std::sync::mpsc::channel::<()>();
    let kept_alive: Reply = Box::new(move |to| {
        to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?;
        let _ = closed.recv();
        Ok(())
    });
    let server = Server::start([kept_alive, ok()]);
    let runner = runner();
    response(runner.run(post(&server.url)));
    // As during a prompt, nothing runs here, and the server closes the connection.
    drop(close);
    while server.closed() < 1 {
        std::thread::yield_now();
    }
    response(runner.run(post(&server.url)));
    assert_eq!(server.requests().len(), 2);
}
