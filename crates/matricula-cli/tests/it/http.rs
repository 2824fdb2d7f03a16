//! A request of our own, by which the tests check with the server what the command says.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// Sends one request: the status and the JSON of the answer.
pub(crate) fn call(
    base_url: &str,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> (u16, Value) {
    let host = base_url.strip_prefix("http://").unwrap();
    let body = body.map(Value::to_string).unwrap_or_default();
    let authorization = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    // HTTP/1.0 has no chunks, and closes the connection at the end.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{authorization}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Who the server says this token's owner is: the status and the answer.
pub(crate) fn who_am_i(base_url: &str, token: &str) -> (u16, Value) {
    let path = "/_matrix/client/v3/account/whoami";
    call(base_url, "GET", path, Some(token), None)
}
