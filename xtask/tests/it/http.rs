//! An HTTP client that shows the whole response, and stores cookies like a browser on https.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The JSON of the body, or null if it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// All headers with this name.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head.lines().filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The target of a redirect.
    pub(crate) fn location(&self) -> &str {
        let mut locations = self.headers("location");
        locations
            .next()
            .unwrap_or_else(|| panic!("not a redirect: {self:?}"))
    }
}

/// Sends a request without cookies.
pub(crate) fn call(method: &str, url: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
    let mut head = String::new();
    if let Some(token) = token {
        head += &format!("Authorization: Bearer {token}\r\n");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    send(method, url, &head, &body)
}

/// Sends a form, without cookies.
pub(crate) fn submit(url: &str, fields: &[(&str, &str)]) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let head = "Content-Type: application/x-www-form-urlencoded\r\n";
    send("POST", url, head, &form)
}

/// A browser: it follows links and stores cookies by origin.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

impl Browser {
    /// Fetches a page. Cookies marked Secure are stored, because real servers use https.
    pub(crate) fn get(&mut self, url: &str) -> Answer {
        let (host, _) = split(url);
        let cookies = self.cookies.entry(host.to_owned()).or_default();
        let all: Vec<_> = cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let head = match all.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", all.join("; ")),
        };
        let answer = send("GET", url, &head, "");
        for cookie in answer.headers("set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

fn split(url: &str) -> (&str, &str) {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("not on loopback: {url}"));
    rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()))
}

fn send(method: &str, url: &str, head: &str, body: &str) -> Answer {
    let (host, path) = split(url);
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut stream = TcpStream::connect(host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // HTTP/1.0 has no chunks, and closes the connection at the end.
    let length = body.len();
    let request = format!(
        "{method} {slash}{path} HTTP/1.0\r\nHost: {host}\r\n{head}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}
