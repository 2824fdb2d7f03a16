//! A minimal HTTP client for the set-up of a server on loopback.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Sends a request to 127.0.0.1. Returns the status and the JSON, or null for another body.
pub(crate) fn call(
    port: u16,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> io::Result<(u16, Value)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    // With HTTP/1.0 the response is never chunked and ends with the connection. The forged address
    // keeps these requests out of the rate limits that are tested.
    let mut request =
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nX-Forwarded-For: 192.0.2.1\r\n");
    if let Some(token) = token {
        request += &format!("Authorization: Bearer {token}\r\n");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    parse(&answer)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP"))
}

fn parse(answer: &str) -> Option<(u16, Value)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn response_is_status_and_json() {
        let answer = "HTTP/1.1 401 Unauthorized\r\nServer: x\r\n\r\n{\"session\": \"s\"}";
        assert_eq!(parse(answer), Some((401, json!({"session": "s"}))));
        let page = "HTTP/1.0 200 OK\r\n\r\n<html>";
        assert_eq!(parse(page), Some((200, Value::Null)));
        assert_eq!(parse("SSH-2.0-x\r\n\r\n"), None);
        assert_eq!(parse("HTTP/1.1 "), None);
    }
}
