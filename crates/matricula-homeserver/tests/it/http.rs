//! The server over HTTP.

use std::{
    io::Write,
    net::{Shutdown, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use matricula_core::Timestamp;
use matricula_homeserver::{Config, Error, OAuth, Policy, Registration, Server, ServerOptions};
use serde_json::json;

use crate::{
    LOGIN, REGISTER, WHOAMI,
    http_client::{connect, login, post, read, register, send},
    text,
};

async fn start() -> Server {
    Server::start(ServerOptions::new(Config::default()))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn account_works_over_http() {
    let server = start().await;
    let url = server.url();
    assert!(url.is_loopback());
    let json = register(url, "alice").unwrap().json();
    let token = text(&json, "access_token");
    for scheme in ["Bearer", "bearer"] {
        let header = format!("{scheme} {token}");
        let me = send(url, "GET", WHOAMI, &[("Authorization", &header)], b"").unwrap();
        assert_eq!(me.json()["user_id"], "@alice:private.localhost");
    }
    let in_query = format!("{WHOAMI}?access_token={token}");
    assert_eq!(send(url, "GET", &in_query, &[], b"").unwrap().status, 200);
    let basic = send(
        url,
        "GET",
        WHOAMI,
        &[("Authorization", &format!("Basic {token}"))],
        b"",
    );
    assert_eq!(basic.unwrap().json()["errcode"], "M_MISSING_TOKEN");
    assert_eq!(login(url, "alice").unwrap().status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_use_the_listening_address() {
    let policy = Policy::new("1").translation("en", "Rules", "Be kind.");
    let config = Config::default()
        .flows([["m.login.terms"]])
        .policy("rules", policy);
    let server = Server::start(ServerOptions::new(config)).await.unwrap();
    let url = server.url();
    let known = send(url, "GET", "/.well-known/matrix/client", &[], b"").unwrap();
    assert_eq!(known.json()["m.homeserver"]["base_url"], url.as_str());
    let json = post(url, REGISTER, &json!({})).unwrap().json();
    let link = text(
        &json["params"]["m.login.terms"]["policies"]["rules"]["en"],
        "url",
    );
    let path = link.strip_prefix(url.as_str()).unwrap();
    let page = send(url, "GET", path, &[], b"").unwrap();
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cors_preflight_has_no_effect() {
    let server = start().await;
    let url = server.url();
    let auth = json!({ "type": "m.login.dummy" });
    let body = json!({ "username": "alice", "password": "x", "auth": auth }).to_string();
    let preflight = send(url, "OPTIONS", REGISTER, &[], body.as_bytes()).unwrap();
    assert_eq!(
        (preflight.status, preflight.body.as_slice()),
        (204, b"".as_slice())
    );
    let success = register(url, "alice").unwrap();
    assert_eq!(success.status, 200);
    let failure = send(url, "GET", "/nowhere", &[], b"").unwrap();
    assert_eq!(failure.status, 404);
    for answer in [preflight, success, failure] {
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
        let methods = answer.header("Access-Control-Allow-Methods");
        assert_eq!(methods, Some("GET, POST, PUT, DELETE, OPTIONS"));
        let headers = answer.header("Access-Control-Allow-Headers").unwrap();
        assert!(headers.contains("Authorization") && headers.contains("Content-Type"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_body_is_limited() {
    let server = start().await;
    let url = server.url();
    let most = vec![b' '; 1024 * 1024];
    assert_eq!(
        send(url, "POST", LOGIN, &[], &most).unwrap().json()["errcode"],
        "M_NOT_JSON"
    );
    let more = vec![b' '; 1024 * 1024 + 1];
    let answer = send(url, "POST", LOGIN, &[], &more).unwrap();
    assert_eq!(
        (answer.status, &answer.json()["errcode"]),
        (413, &json!("M_TOO_LARGE"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_body_is_harmless() {
    let server = start().await;
    let url = server.url();
    let mut stream = connect(url).unwrap();
    let head = format!("POST {REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{");
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    if let Ok(answer) = read(stream) {
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(register(url, "alice").unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_body() {
    let server = start().await;
    let answer = send(server.url(), "PATCH", REGISTER, &[], b"{}").unwrap();
    assert_eq!(
        (answer.status, &answer.json()["errcode"]),
        (405, &json!("M_UNRECOGNIZED"))
    );
    // `Content-Length` is that of GET, so that the client would see a truncated body.
    let mut stream = connect(server.url()).unwrap();
    let head = b"HEAD /_matrix/client/versions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(head).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_registrations_get_one_winner() {
    let server = start().await;
    let statuses: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| register(server.url(), "alice").unwrap().status))
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(
        statuses.iter().filter(|it| **it == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|it| **it == 400).count(),
        7,
        "{statuses:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_clock_is_used() {
    let millis = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&millis);
    let config = Config::default().access_token_lifetime(Duration::from_secs(60));
    let options = ServerOptions::new(config)
        .clock(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
    let server = Server::start(options).await.unwrap();
    let token = text(
        &register(server.url(), "alice").unwrap().json(),
        "access_token",
    );
    let path = format!("{WHOAMI}?access_token={token}");
    let whoami = || send(server.url(), "GET", &path, &[], b"").unwrap();
    assert_eq!(whoami().status, 200);
    millis.store(61_000, Ordering::SeqCst);
    assert_eq!(whoami().json()["soft_logout"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_stops_on_request_and_drop() {
    let server = start().await;
    let url = server.url().clone();
    // An idle connection does not delay it.
    let idle = connect(&url).unwrap();
    server.stop().await;
    assert!(connect(&url).is_err());
    drop(idle);

    let directory = tempfile::tempdir().unwrap();
    let options = || ServerOptions::new(Config::default()).database(directory.path().join("db"));
    let server = Server::start(options()).await.unwrap();
    register(server.url(), "alice").unwrap();
    let url = server.url().clone();
    drop(server);
    let closed = async {
        while connect(&url).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(10);
    tokio::time::timeout(patience, closed).await.unwrap();
    // The database is unlocked at once.
    let server = Server::start(options()).await.unwrap();
    assert_eq!(login(server.url(), "alice").unwrap().status, 200);
}

#[tokio::test]
async fn remote_access_must_be_allowed() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let options = |config: Config| ServerOptions::new(config).listen(everywhere);
    let error = Server::start(options(Config::default())).await.unwrap_err();
    assert!(matches!(error, Error::Remote(_)), "{error}");

    let terms = Policy::new("1").translation("en", "Rules", "Be kind.");
    let token = [["m.login.registration_token", "m.login.dummy"]];
    for open in [
        Config::default(),
        Config::default()
            .flows([["m.login.terms"]])
            .policy("rules", terms),
        Config::default().flows([["m.login.recaptcha"]]),
        Config::default().flows(token).guests(true),
    ] {
        let error = Server::start(options(open).allow_remote(true))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::OpenRegistration(_)), "{error}");
    }

    // No machine has this address: the checks pass, and only the socket fails.
    let nobodys: SocketAddr = "192.0.2.1:0".parse().unwrap();
    for options in [
        ServerOptions::new(Config::default().flows(token)),
        ServerOptions::new(Config::default().registration(Registration::Closed)),
        ServerOptions::new(Config::default()).allow_open_registration(true),
    ] {
        let options = options.listen(nobodys).allow_remote(true);
        let error = Server::start(options).await.unwrap_err();
        assert!(matches!(error, Error::Listen { .. }), "{error}");
    }
}

#[tokio::test]
async fn used_port_is_named() {
    let server = start().await;
    let port = server.url().as_str().rsplit_once(':').unwrap().1;
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let options = ServerOptions::new(Config::default()).listen(address);
    let error = Server::start(options).await.unwrap_err().to_string();
    assert!(error.contains(port), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cors_excludes_html_pages() {
    let config = Config::default().oauth(OAuth::beside());
    let server = Server::start(ServerOptions::new(config)).await.unwrap();
    for (method, path, is_open) in [
        ("POST", "/oauth2/token", true),
        ("POST", "/oauth2/registration", true),
        ("GET", "/_matrix/client/v1/auth_metadata", true),
        ("GET", "/oauth2/authorize", false),
        ("GET", "/link", false),
        ("GET", "/account", false),
    ] {
        let answer = send(server.url(), method, path, &[], b"").unwrap();
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed.is_some(), is_open, "{path}");
    }
}
