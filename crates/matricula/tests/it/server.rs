//! A server on loopback that answers what a script says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use matricula::core::ServerUrl;
use serde_json::Value;

/// A request: its path, where it was sent to, the token that came with it, and its JSON body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) token: Option<String>,
    pub(crate) body: Value,
}

/// A server, and what it was asked.
pub(crate) struct Server {
    pub(crate) url: ServerUrl,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request with a status and a JSON body.
    pub(crate) fn start(script: impl Fn(&Request) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&requests);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                answer_one(stream, &|request| {
                    record.lock().unwrap().push(request.clone());
                    script(request)
                });
            }
        });
        Self {
            url: url.parse().unwrap(),
            requests,
        }
    }

    /// What it was asked, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers the one request of a connection.
pub(crate) fn answer_one(mut stream: TcpStream, script: &dyn Fn(&Request) -> (u16, Value)) {
    let Some(request) = read(&stream) else {
        return;
    };
    let (status, body) = script(&request);
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // Who hangs up is looked at from the other side.
    let _ = stream.write_all((head + &body).as_bytes());
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut from = BufReader::new(stream);
    let (mut line, mut length, mut token) = (String::new(), 0, None);
    let mut host = String::new();
    from.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "host" => host = value.to_owned(),
            "content-length" => length = value.parse().ok()?,
            "authorization" => token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Request {
        path,
        host,
        token,
        body,
    })
}
