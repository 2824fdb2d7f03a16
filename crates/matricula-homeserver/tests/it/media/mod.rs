//! The content repository.

mod download;
mod pending_uploads;
mod storage;
mod upload;

use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::{Path, PathBuf},
};

use matricula_core::{Method, Secret, ServerUrl, StepContext};
use matricula_homeserver::{Config, FileAction, ReceivedFile, Request, Server, ServerOptions};
use serde_json::json;

use crate::{
    Reply, TestServer, TestUser, get,
    http_client::{Answer, connect, register, send},
    text,
};

const UPLOAD: &str = "/_matrix/media/v3/upload";
const CREATE: &str = "/_matrix/media/v1/create";
const DOWNLOAD: &str = "/_matrix/client/v1/media/download";
const HOUR: u64 = 60 * 60 * 1000;

/// Completes an upload as the server around the engine does, with a file of this length.
pub(crate) fn upload(home: &mut TestServer, mut request: Request, length: u64) -> Reply {
    let mut cx = StepContext::new(home.now, &mut home.entropy);
    let answer = home.database.handle(&home.server, &mut cx, request.clone());
    let Some(FileAction::Receive(upload)) = answer.file_action else {
        return Reply(answer.reply);
    };
    assert_eq!(answer.reply.status, 100);
    request.received = Some(ReceivedFile { upload, length });
    home.send(request)
}

/// Uploads three bytes; returns the id.
pub(crate) fn keep(home: &mut TestServer, me: &TestUser) -> String {
    let kept = upload(home, of(me, Method::Post, UPLOAD), 3).ok();
    id_of(&text(&kept, "content_uri"))
}

/// Creates a pending upload; returns the id.
pub(crate) fn announce(home: &mut TestServer, me: &TestUser) -> String {
    let made = home.post_as(&me.token, CREATE, json!({})).ok();
    id_of(&text(&made, "content_uri"))
}

fn of(me: &TestUser, method: Method, path: &str) -> Request {
    let mut request = get(path);
    request.method = method;
    request.access_token = Some(Secret::from(me.token.as_str()));
    request
}

fn id_of(uri: &str) -> String {
    uri.strip_prefix("mxc://private.localhost/")
        .unwrap()
        .to_owned()
}

/// A signed-in user of a server over HTTP.
struct Person {
    url: ServerUrl,
    header: String,
}

impl Person {
    fn new(server: &Server, name: &str) -> Self {
        Self::at(server.url(), name)
    }

    fn at(url: &ServerUrl, name: &str) -> Self {
        let json = register(url, name).unwrap().json();
        Self {
            url: url.clone(),
            header: format!("Bearer {}", text(&json, "access_token")),
        }
    }

    fn call(&self, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut headers = vec![("Authorization", self.header.as_str())];
        headers.extend(more);
        send(&self.url, method, path, &headers, body).unwrap()
    }

    /// Uploads a text; returns the id.
    fn up(&self, body: &[u8]) -> String {
        let kept = self.call("POST", UPLOAD, &[("Content-Type", "text/plain")], body);
        assert_eq!(kept.status, 200);
        id_of(&text(&kept.json(), "content_uri"))
    }

    fn down(&self, id: &str, headers: &[(&str, &str)]) -> Answer {
        self.call("GET", &at(id), headers, b"")
    }

    fn announce(&self) -> String {
        let made = self.call("POST", CREATE, &[], b"{}");
        id_of(&text(&made.json(), "content_uri"))
    }

    /// Starts an upload: sends the head of the request.
    fn begin(&self, framing: &str) -> TcpStream {
        let head = format!(
            "POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\
             {framing}\r\n\r\n",
            self.header
        );
        let mut stream = connect(&self.url).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }
}

fn at(id: &str) -> String {
    format!("{DOWNLOAD}/private.localhost/{id}")
}

#[track_caller]
fn refused(answer: &Answer, status: u16, errcode: &str) {
    let code = &answer.json()["errcode"];
    assert_eq!((answer.status, code), (status, &json!(errcode)));
}

async fn start(config: Config) -> Server {
    Server::start(ServerOptions::new(config)).await.unwrap()
}

/// A server in a directory, and the directory of its files.
async fn start_in(directory: &Path, config: Config) -> (Server, PathBuf) {
    let database = directory.join("db");
    let options = ServerOptions::new(config).database(database);
    let server = Server::start(options).await.unwrap();
    (server, directory.join("db-media"))
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|it| it.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    }
}

/// The numbers of files and of pending uploads in the database of a stopped server.
fn rows(directory: &Path) -> (i64, i64) {
    let database = rusqlite::Connection::open(directory.join("db")).unwrap();
    let sql = "SELECT count(file), count(*) - count(file) FROM media";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    database.query_row(sql, [], read).unwrap()
}
