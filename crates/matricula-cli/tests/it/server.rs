//! Servers on loopback that answer what a script says, byte by byte.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without its query.
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The JSON body; null where there is none.
    pub(crate) body: Value,
    /// The fields of a form.
    pub(crate) form: BTreeMap<String, String>,
}

impl Request {
    fn read(from: &TcpStream) -> Option<Self> {
        let mut from = BufReader::new(from);
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            from.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or("0", |length| length);
        let mut body = vec![0; length.parse().ok()?];
        from.read_exact(&mut body).ok()?;
        let form = form_urlencoded::parse(&body).into_owned().collect();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Some(Self {
            method,
            path,
            query,
            headers,
            body,
            form,
        })
    }

    /// Whether it asks to register, with a stage of the server's authentication.
    pub(crate) fn is_stage(&self) -> bool {
        self.path == REGISTER && self.body.get("auth").is_some()
    }
}

pub(crate) const VERSIONS: &str = "/_matrix/client/versions";
pub(crate) const LOGIN: &str = "/_matrix/client/v3/login";
pub(crate) const AUTH_METADATA: &str = "/_matrix/client/v1/auth_metadata";
pub(crate) const AVAILABLE: &str = "/_matrix/client/v3/register/available";
pub(crate) const REGISTER: &str = "/_matrix/client/v3/register";
pub(crate) const LOGOUT: &str = "/_matrix/client/v3/logout";
pub(crate) const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

/// What is written once a request was read; then the connection is closed.
pub(crate) type Reply = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()>>;

/// Writes these bytes.
pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Reply {
    let bytes = bytes.into();
    Box::new(move |to| to.write_all(&bytes))
}

/// Answers with a status, further header lines, and a body of the length it says.
pub(crate) fn answer(status: u16, header: &[&str], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let length = body.len();
    let mut head =
        format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {length}\r\n");
    for line in header {
        head += line;
        head += "\r\n";
    }
    let mut answer = (head + "\r\n").into_bytes();
    answer.extend_from_slice(body);
    bytes(answer)
}

/// Answers with JSON.
pub(crate) fn object(status: u16, body: Value) -> Reply {
    answer(
        status,
        &["content-type: application/json"],
        body.to_string(),
    )
}

/// Answers with an error of Matrix's form.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Reply {
    object(status, json!({ "errcode": code, "error": message }))
}

/// Writes the head and then the tail over and over, for as long as anybody reads.
pub(crate) fn endless(head: impl Into<Vec<u8>>, tail: impl Into<Vec<u8>>) -> Reply {
    let (head, tail) = (head.into(), tail.into());
    Box::new(move |to| {
        to.write_all(&head)?;
        loop {
            to.write_all(&tail)?;
        }
    })
}

/// Answers never, and holds the connection for as long as anybody waits.
pub(crate) fn silence() -> Reply {
    Box::new(|_| {
        loop {
            thread::park();
        }
    })
}

/// What an ordinary homeserver, `b.test`, says: anyone may register, after a dummy stage.
pub(crate) fn matrix(request: &Request) -> Reply {
    let path = request.path.as_str();
    match (request.method.as_str(), path) {
        ("GET", VERSIONS) => object(200, json!({ "versions": ["v1.15"] })),
        ("GET", LOGIN) => object(200, json!({ "flows": [{ "type": "m.login.password" }] })),
        ("GET", AVAILABLE) => object(200, json!({ "available": true })),
        ("POST", REGISTER) if request.body.get("auth").is_none() => asks(&["m.login.dummy"]),
        ("POST", REGISTER) => registered("@a:b.test"),
        ("GET", WHOAMI) => object(
            200,
            json!({ "user_id": "@a:b.test", "device_id": "LAPTOP" }),
        ),
        ("POST", LOGOUT) => object(200, json!({})),
        _ => error(404, "M_UNRECOGNIZED", "no such path"),
    }
}

/// Asks for these stages.
pub(crate) fn asks(stages: &[&str]) -> Reply {
    object(
        401,
        json!({ "session": "the-session", "flows": [{ "stages": stages }] }),
    )
}

/// The account is made.
pub(crate) fn registered(user_id: &str) -> Reply {
    let token = "syt_token";
    object(
        200,
        json!({ "user_id": user_id, "access_token": token, "device_id": "LAPTOP" }),
    )
}

/// A server that answers each connection's first request by a script.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let (listener, url) = listen();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (record, script) = (Arc::clone(&requests), Arc::new(script));
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let (record, script) = (Arc::clone(&record), Arc::clone(&script));
                thread::spawn(move || {
                    let Some(request) = Request::read(&stream) else {
                        return;
                    };
                    record.lock().unwrap().push(request.clone());
                    // Who hangs up early is what the tests look at from the other side.
                    let _ = script(&request)(&mut stream);
                });
            }
        });
        Self { url, requests }
    }

    /// What it was asked, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// A listener that the system connects people to, and its address; it never answers.
pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// The address of a closed port.
pub(crate) fn nobody() -> String {
    listen().1
}
