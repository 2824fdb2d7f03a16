//! Tests of `matricula-homeserver`, one module for each behaviour.
#![allow(clippy::unwrap_used)]

mod admin;
mod application_services;
mod attacks;
mod browser;
mod captcha;
mod chromium;
mod conformance;
mod crashes;
mod data_dir;
mod database;
mod deactivation;
mod delegation;
mod devices;
mod discovery;
mod fallback_pages;
mod faults;
mod guests;
mod http;
mod http_client;
mod keys;
mod login;
mod long_polling;
mod mail;
mod malformed_requests;
mod media;
mod moderation;
mod msisdn;
mod oauth;
mod password;
mod password_reset;
mod profile;
mod rate_limits;
mod refresh;
mod register;
mod registration_tokens;
mod rooms;
mod server_limits;
mod service_events;
mod sso;
mod threepids;
mod uia_flows;
mod uia_sessions;
mod user_data;
mod usernames;

use std::time::Duration;

use matricula_core::{Method, Secret, SeededEntropy, StepContext, Timestamp};
use matricula_homeserver::{Config, Database, Homeserver, QueuedMail, Request};
use serde_json::{Value, json};

const REGISTER: &str = "/_matrix/client/v3/register";
const LOGIN: &str = "/_matrix/client/v3/login";
const LOGOUT: &str = "/_matrix/client/v3/logout";
const REFRESH: &str = "/_matrix/client/v3/refresh";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const VALIDITY: &str = "/_matrix/client/v1/register/m.login.registration_token/validity";

const PASSWORD: &str = "correct horse";

/// A homeserver in memory with a virtual clock and seeded randomness.
struct TestServer {
    server: Homeserver,
    database: Database,
    now: Timestamp,
    entropy: SeededEntropy,
}

impl TestServer {
    fn new(config: Config) -> Self {
        let server = Homeserver::new(config).unwrap();
        Self {
            database: Database::memory(&server).unwrap(),
            server,
            now: Timestamp::from_millis(1_700_000_000_000),
            entropy: SeededEntropy::new(7),
        }
    }

    fn open() -> Self {
        Self::new(Config::default())
    }

    fn send(&mut self, request: Request) -> Reply {
        let mut cx = StepContext::new(self.now, &mut self.entropy);
        Reply(self.database.handle(&self.server, &mut cx, request).reply)
    }

    /// A GET request for a path with query.
    fn get(&mut self, address: &str) -> Reply {
        self.send(get(address))
    }

    fn get_as(&mut self, token: &str, address: &str) -> Reply {
        let mut request = get(address);
        request.access_token = Some(Secret::from(token));
        self.send(request)
    }

    fn post(&mut self, address: &str, body: Value) -> Reply {
        self.send(post(address, body))
    }

    fn post_as(&mut self, token: &str, address: &str, body: Value) -> Reply {
        let mut request = post(address, body);
        request.access_token = Some(Secret::from(token));
        self.send(request)
    }

    fn call_as(&mut self, token: &str, method: Method, address: &str, body: Value) -> Reply {
        let mut request = post(address, body);
        request.method = method;
        request.access_token = Some(Secret::from(token));
        self.send(request)
    }

    /// Sends a request that needs authentication again, and authenticates with `PASSWORD`.
    fn prove(&mut self, me: &TestUser, method: Method, address: &str, mut body: Value) -> Reply {
        let asked = self
            .call_as(&me.token, method, address, body.clone())
            .more();
        body["auth"] = me.auth(&text(&asked, "session"), PASSWORD);
        self.call_as(&me.token, method, address, body)
    }

    /// Registers a user with the password `PASSWORD`.
    fn sign_up(&mut self, username: &str) -> TestUser {
        TestUser::of(&self.register_named(username).ok())
    }

    fn sign_in(&mut self, username: &str) -> TestUser {
        TestUser::of(&self.login(username, json!({})).ok())
    }

    /// Takes the next mail out of the queue.
    fn mail(&mut self) -> QueuedMail {
        let message = self.database.next_mail(self.now).unwrap().unwrap();
        self.database.remove_mail(message.id).unwrap();
        message
    }

    fn has_mail(&self) -> bool {
        self.database.next_mail(self.now).unwrap().is_some()
    }

    /// Opens the link in a mail, and presses the button.
    fn click(&mut self, message: &QueuedMail) {
        let mut request = get(&link_in(message));
        assert!(self.send(request.clone()).text().contains("<button>"));
        request.method = Method::Post;
        assert!(self.send(request).0.status < 400);
    }

    /// Registers with the dummy stage.
    fn register(&mut self, mut body: Value) -> Reply {
        body["auth"] = json!({ "type": "m.login.dummy" });
        self.post(REGISTER, body)
    }

    /// Registers a user with the password `PASSWORD`.
    fn register_named(&mut self, username: &str) -> Reply {
        self.register(json!({ "username": username, "password": PASSWORD }))
    }

    fn login(&mut self, username: &str, mut more: Value) -> Reply {
        more["type"] = json!("m.login.password");
        more["identifier"] = json!({ "type": "m.id.user", "user": username });
        more["password"] = json!(PASSWORD);
        self.post(LOGIN, more)
    }

    /// A text that is different each time, such as a transaction id.
    fn entropy_text(&mut self) -> String {
        let cx = StepContext::new(self.now, &mut self.entropy);
        cx.entropy.text(b"abcdefghijklmnop", 20)
    }

    fn whoami(&mut self, token: &str) -> Reply {
        self.get_as(token, WHOAMI)
    }

    fn wait(&mut self, by: Duration) {
        self.now = self.now.plus(by);
    }
}

/// The path of the link in a mail.
fn link_in(message: &QueuedMail) -> String {
    let mut lines = message.body.expose().lines();
    let link = lines.find_map(|it| it.strip_prefix("http://private.localhost"));
    link.unwrap().to_owned()
}

/// A signed-in user.
struct TestUser {
    user_id: String,
    token: String,
}

impl TestUser {
    fn of(answer: &Value) -> Self {
        Self {
            user_id: text(answer, "user_id"),
            token: text(answer, "access_token"),
        }
    }

    /// The `auth` of the password stage.
    fn auth(&self, session: &str, password: &str) -> Value {
        let identifier = json!({ "type": "m.id.user", "user": self.user_id });
        json!({ "type": "m.login.password", "session": session, "identifier": identifier,
            "password": password })
    }
}

fn get(address: &str) -> Request {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut request = Request::new(Method::Get, path);
    request.query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    request.peer = "127.0.0.1".to_owned();
    request
}

fn post(address: &str, body: Value) -> Request {
    let mut request = get(address);
    request.method = Method::Post;
    request.body = body.to_string().into_bytes();
    request
}

/// A response.
struct Reply(matricula_homeserver::OutgoingResponse);

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.0.body).unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.0.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.0.headers.iter();
        headers
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body of a successful response.
    #[track_caller]
    fn ok(self) -> Value {
        assert_eq!(self.0.status, 200, "{}", self.text());
        self.json()
    }

    /// The body of an error response with this status and code.
    #[track_caller]
    fn err(self, status: u16, errcode: &str) -> Value {
        let json = self.json();
        assert_eq!(
            (self.0.status, &json["errcode"]),
            (status, &json!(errcode)),
            "{json}"
        );
        assert!(json["error"].is_string(), "{json}");
        json
    }

    /// The body of a response that needs more stages, without a failed one.
    #[track_caller]
    fn more(self) -> Value {
        let json = self.json();
        assert_eq!(self.0.status, 401, "{json}");
        assert_eq!(json.get("errcode"), None, "{json}");
        json
    }
}

/// A sync that reports nothing new to a device without keys.
fn empty_sync(token: &str) -> Value {
    json!({
        "next_batch": token,
        "device_one_time_keys_count": { "signed_curve25519": 0 },
        "device_unused_fallback_key_types": [],
    })
}

/// A string in a response.
#[track_caller]
fn text(json: &Value, key: &str) -> String {
    let text = json[key].as_str();
    text.unwrap_or_else(|| panic!("no text {key} in {json}"))
        .to_owned()
}
