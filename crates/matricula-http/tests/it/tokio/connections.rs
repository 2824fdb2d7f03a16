//! A connection that the server closed is not used again.

use super::{runtime, shared::runner};
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
    let (runtime, runner) = (runtime(), runner());
    response(runtime.block_on(async {
        let outcome = runner.run(post(&server.url)).await;
        // Until the connection is idle.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        outcome
    }));
    // The runtime does not run while a prompt blocks, and the server closes the connection.
    drop(close);
    while server.closed() < 1 {
        std::thread::yield_now();
    }
    response(runtime.block_on(runner.run(post(&server.url))));
    assert_eq!(server.requests().len(), 2);
}
