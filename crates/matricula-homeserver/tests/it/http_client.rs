//! A minimal HTTP client.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use matricula_core::ServerUrl;
use serde_json::{Value, json};

use crate::{LOGIN, PASSWORD, REGISTER};

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

pub(crate) fn connect(url: &ServerUrl) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(url.as_str().trim_start_matches("http://"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

pub(crate) fn send(
    url: &ServerUrl,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut stream = connect(url)?;
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    // A server that rejects a large body may not read all of it.
    let _ = stream.write_all(body);
    read(stream)
}

/// Reads a response until the connection closes.
pub(crate) fn read(mut stream: TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let result = stream.read_to_end(&mut bytes);
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else {
        return Err(result.err().unwrap_or_else(cut));
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|it| it.split(' ').nth(1)?.parse().ok());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let answer = Answer {
        status: status.ok_or_else(cut)?,
        headers,
        body: bytes[end + 4..].to_vec(),
    };
    // A truncated response is an error.
    let length: Option<usize> = answer
        .header("content-length")
        .and_then(|it| it.parse().ok());
    match length {
        Some(length) if answer.body.len() < length => Err(cut()),
        _ => Ok(answer),
    }
}

pub(crate) fn post(url: &ServerUrl, path: &str, body: &Value) -> io::Result<Answer> {
    send(url, "POST", path, &[], body.to_string().as_bytes())
}

pub(crate) fn register(url: &ServerUrl, username: &str) -> io::Result<Answer> {
    let auth = json!({ "type": "m.login.dummy" });
    let body = json!({ "username": username, "password": PASSWORD, "auth": auth });
    post(url, REGISTER, &body)
}

pub(crate) fn login(url: &ServerUrl, username: &str) -> io::Result<Answer> {
    let identifier = json!({ "type": "m.id.user", "user": username });
    let body =
        json!({ "type": "m.login.password", "identifier": identifier, "password": PASSWORD });
    post(url, LOGIN, &body)
}
