//! Connections are kept open for the next request.

use std::io::{Read, Write};

use super::{enter, runner, submit, wait};
use crate::{get, response, server::Server};

#[test]
fn open_connection_is_reused() {
    let _context = enter();
    let server = Server::raw("http", |mut stream| {
        for _ in 0..3 {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].ends_with(b"\r\n\r\n"));
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer).unwrap();
        }
        false
    });
    let runner = runner();
    for _ in 0..3 {
        let job = submit(&runner, get(&server.url)).unwrap();
        response(wait(job));
    }
}
