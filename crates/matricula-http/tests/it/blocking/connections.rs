//! Connections that are kept, and those that are not any more.

use super::shared::runner;
use crate::{
    post, response,
    server::{Reply, Server, ok},
};

#[test]
fn closed_connection_is_not_reused() {
    let (hang_up, hung_up) = std::sync::mpsc::channel::<()>();
    let kept_alive: Reply = Box::new(move |to| {
        to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?;
        let _ = hung_up.recv();
        Ok(())
    });
    let server = Server::start([kept_alive, ok()]);
    let runner = runner();
    response(runner.run(post(&server.url)));
    // As while a person types a password: nothing runs here, and the server hangs up.
    drop(hang_up);
    while server.closed() < 1 {
        std::thread::yield_now();
    }
    response(runner.run(post(&server.url)));
    assert_eq!(server.requests().len(), 2);
}
