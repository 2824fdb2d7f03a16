//! Provisioning calls to a homeserver that delegates authentication.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    thread,
};

use matricula_homeserver::{Config, Delegation, OAuth, Server, ServerOptions};
use serde_json::{Value, json};

use crate::{
    PASSWORD, WHOAMI,
    browser::{self, BrowserRedirect, press, visit},
    database,
    http_client::{Answer, post, send},
    oauth::{self, DEVICE_ID, REDIRECT, VERIFIER},
    text,
};

const SECRET: &str = "between us";

/// A homeserver that responds with one status, and records the calls.
struct Told {
    port: u16,
    status: Arc<AtomicU16>,
    requests: mpsc::Receiver<(String, Value)>,
}

impl Told {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let status = Arc::new(AtomicU16::new(200));
        let (sender, requests) = mpsc::channel();
        let answer = Arc::clone(&status);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut first, mut length) = (String::new(), 0);
                stream.read_line(&mut first).unwrap();
                let mut secret = false;
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    secret |= line.trim() == format!("authorization: Bearer {SECRET}");
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                assert!(secret, "it does not show the secret");
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let path = first.split(' ').nth(1).unwrap().to_owned();
                // Recorded before the response is sent.
                if sender
                    .send((path, serde_json::from_slice(&body).unwrap()))
                    .is_err()
                {
                    return;
                }
                let status = answer.load(Ordering::SeqCst);
                let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\n{{}}");
                stream.get_mut().write_all(reply.as_bytes()).unwrap();
            }
        });
        Self {
            port,
            status,
            requests,
        }
    }

    fn config(&self) -> Config {
        let homeserver = format!("http://127.0.0.1:{}", self.port).parse().unwrap();
        let delegation = Delegation::new(homeserver, SECRET);
        Config::default().oauth(OAuth::instead().delegation(delegation))
    }

    fn next(&self) -> (String, Value) {
        self.requests.try_recv().expect("it was told something")
    }
}

/// Signs a user up over HTTP, and returns a code.
fn code(server: &Server, client: &str) -> String {
    let url = oauth::url(&oauth::sign_up_request(client));
    let path = &url[url.find("/oauth2").unwrap()..];
    let page = send(server.url(), "GET", path, &[], b"").unwrap();
    let fields = [("username", "alice"), ("password", PASSWORD)];
    let consent = step(server, path, &page, "sign-up", &fields);
    let led = step(server, path, &consent, "allow", &[]);
    let location = led.header("location").unwrap();
    let (_, query) = location.split_once('?').unwrap();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(name, _)| name == "code")
        .unwrap()
        .1
        .into_owned()
}

fn step(server: &Server, path: &str, page: &Answer, step: &str, fields: &[(&str, &str)]) -> Answer {
    let visit = visit(std::str::from_utf8(&page.body).unwrap());
    let mut all = vec![("csrf", visit.as_str()), ("step", step)];
    all.extend(fields);
    form(server, path, &all)
}

fn form(server: &Server, path: &str, fields: &[(&str, &str)]) -> Answer {
    let request = browser::form(path, fields);
    send(server.url(), "POST", path, &[], &request.body).unwrap()
}

fn client(server: &Server) -> String {
    let registered = post(server.url(), "/oauth2/registration", &oauth::metadata());
    text(&registered.unwrap().json(), "client_id")
}

fn redeem(server: &Server, client: &str, code: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("client_id", client),
        ("code_verifier", VERIFIER),
    ];
    form(server, "/oauth2/token", &fields)
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_provisioned_before_tokens() {
    let told = Told::start();
    let server = Server::start(ServerOptions::new(told.config()))
        .await
        .unwrap();
    let client = client(&server);
    let code = code(&server, &client);
    assert!(told.requests.try_recv().is_err(), "no tokens, no device");
    let tokens = redeem(&server, &client, &code).json();
    let user = json!({ "localpart": "alice" });
    assert_eq!(
        told.next(),
        ("/_synapse/mas/provision_user".to_owned(), user)
    );
    let device = json!({ "localpart": "alice", "device_id": DEVICE_ID,
        "display_name": "Example <Client>" });
    assert_eq!(
        told.next(),
        ("/_synapse/mas/upsert_device".to_owned(), device)
    );
    let token = text(&tokens, "access_token");
    let revoked = form(&server, "/oauth2/revoke", &[("token", &token)]);
    assert_eq!(revoked.status, 200);
    let device = json!({ "localpart": "alice", "device_id": DEVICE_ID });
    assert_eq!(
        told.next(),
        ("/_synapse/mas/delete_device".to_owned(), device)
    );
    assert!(told.requests.try_recv().is_err());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_provisioning_withholds_tokens() {
    let told = Told::start();
    let server = Server::start(ServerOptions::new(told.config()))
        .await
        .unwrap();
    let client = client(&server);
    let first = code(&server, &client);
    told.status.store(500, Ordering::SeqCst);
    let refused = redeem(&server, &client, &first);
    assert_eq!(refused.status, 503);
    assert!(refused.json().get("access_token").is_none());
    told.next();
    // Requests without calls still work.
    let known = send(
        server.url(),
        "GET",
        "/.well-known/openid-configuration",
        &[],
        b"",
    );
    assert_eq!(known.unwrap().status, 200);
    told.status.store(200, Ordering::SeqCst);
    // Reusing the code ends its session, which queues another call.
    assert_eq!(redeem(&server, &client, &first).status, 400);
    let paths = [told.next().0, told.next().0, told.next().0];
    let ends = paths
        .each_ref()
        .map(|path| path.rsplit('/').next().unwrap());
    assert_eq!(ends, ["provision_user", "upsert_device", "delete_device"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_devices_are_not_reported() {
    let told = Told::start();
    let server = Server::start(ServerOptions::new(told.config()))
        .await
        .unwrap();
    code(&server, &client(&server));
    let page = send(server.url(), "GET", "/account", &[], b"").unwrap();
    let fields = [("username", "alice"), ("password", PASSWORD)];
    let list = step(&server, "/account", &page, "sign-in", &fields);
    let invented = [("device", "INVENTED")];
    let after = step(&server, "/account", &list, "sign-out", &invented);
    assert_eq!(after.status, 200);
    assert!(told.requests.try_recv().is_err());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_unknown_device_succeeds() {
    let told = Told::start();
    let server = Server::start(ServerOptions::new(told.config()))
        .await
        .unwrap();
    let client = client(&server);
    let code = code(&server, &client);
    let tokens = redeem(&server, &client, &code).json();
    let token = text(&tokens, "access_token");
    told.status.store(404, Ordering::SeqCst);
    let revoked = form(&server, "/oauth2/revoke", &[("token", &token)]);
    assert_eq!(revoked.status, 200);
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let after = send(server.url(), "GET", WHOAMI, &headers, b"").unwrap();
    assert_eq!(after.status, 401);
    server.stop().await;
}

#[test]
fn provisioning_queue_is_ordered_and_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let homeserver = "http://127.0.0.1:9".parse().unwrap();
    let delegation = Delegation::new(homeserver, SECRET);
    let oauth = OAuth::instead().delegation(delegation);
    let config = Config::default().oauth(oauth);
    drop(database::open(&path, config.clone()).unwrap());
    let file = rusqlite::Connection::open(&path).unwrap();
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9998)
        INSERT INTO delegation_calls (path, body) SELECT '/first/' || i, '{}' FROM n";
    file.execute(many, []).unwrap();
    drop(file);

    let mut home = database::open(&path, config).unwrap();
    let client = oauth::client(&mut home);
    let address = oauth::url(&oauth::sign_up_request(&client));
    let page = home.send(browser::link(&address));
    let fields = [("username", "alice"), ("password", PASSWORD)];
    let consent = press(&mut home, &address, &page, "sign-up", &fields);
    for status in [200, 503] {
        let consent = match status {
            200 => &consent,
            _ => &browser::sign_in(&mut home, &address, "alice", PASSWORD),
        };
        let led = BrowserRedirect::of(&press(&mut home, &address, consent, "allow", &[]));
        let code = led.parameter("code").unwrap();
        let reply = oauth::redeem(&mut home, &client, code);
        assert_eq!(reply.0.status, status, "{}", reply.text());
    }
    for number in 1..=2 {
        let next = home.database.next_delegation_call().unwrap().unwrap();
        assert_eq!(next.path, format!("/first/{number}"));
        home.database.remove_delegation_call(next.id).unwrap();
    }
    drop(home);
    let file = rusqlite::Connection::open(&path).unwrap();
    let mut statement = file
        .prepare("SELECT path FROM delegation_calls ORDER BY id")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    let paths: Vec<String> = rows.map(Result::unwrap).collect();
    let last = [
        "/_synapse/mas/provision_user",
        "/_synapse/mas/upsert_device",
    ];
    assert_eq!(paths[9_996..], last);
}
