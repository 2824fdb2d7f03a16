//! The HTTP request that a job becomes.

use matricula_core::{Body, FileRef, Job, Method, Processed, ServerUrl, TransportErrorKind};
use proptest::{prelude::*, test_runner::TestRunner};

use super::{Runner, run, runner, runner_with};
use crate::{
    error, get, options, response,
    server::{Request, Server, UnreachedServer, ok},
};

fn sent(job: impl FnOnce(&ServerUrl) -> Job) -> Request {
    let server = Server::start([ok()]);
    let job = job(&server.url);
    assert_eq!(response(run(&runner(), job)).status_code(), 200);
    server.request()
}

#[test]
fn request_path_is_sent_unchanged() {
    for method in [Method::Get, Method::Post, Method::Put, Method::Delete] {
        let path = "/_matrix/client/v3/rooms/%21a%3Ab.example/state/m.room.name/a%2Fb";
        let request = sent(|server| Job::new(server, path, method, "test"));
        assert_eq!(request.line, format!("{method} {path} HTTP/1.1"));
    }
}

#[test]
fn base_path_and_trailing_slash_stay() {
    let server = Server::start([ok()]);
    let below: ServerUrl = format!("{}/below", server.url).parse().unwrap();
    response(run(&runner(), Job::new(&below, "/a/", Method::Get, "test")));
    assert_eq!(server.request().target(), "/below/a/");
}

#[test]
fn json_body_has_json_content_type() {
    let text = r#"{"b":1, "a":"ö"}"#;
    let request = sent(|server| {
        Job::new(server, "/a", Method::Post, "test").with_body(Body::Json(text.to_owned()))
    });
    assert_eq!(request.body, text.as_bytes());
    assert_eq!(request.header("content-type"), ["application/json"]);
}

#[test]
fn form_body_has_form_content_type() {
    let text = "grant_type=refresh_token&refresh_token=a+b%26";
    let request = sent(|server| {
        Job::new(server, "/a", Method::Post, "test").with_body(Body::Form(text.to_owned()))
    });
    assert_eq!(request.body, text.as_bytes());
    assert_eq!(
        request.header("content-type"),
        ["application/x-www-form-urlencoded"]
    );
}

#[test]
fn own_content_type_replaces_default() {
    let form = Body::Form("a=b".to_owned());
    let json = Body::Json("{}".to_owned());
    for body in [json, form, Body::Bytes(b"{}".to_vec())] {
        let request = sent(|server| {
            Job::new(server, "/a", Method::Put, "test")
                .with_body(body)
                .with_header("Content-Type", "application/x-test")
        });
        assert_eq!(request.header("content-type"), ["application/x-test"]);
    }
}

#[test]
fn bytes_body_has_no_content_type() {
    let bytes: Vec<u8> = (0..=255).collect();
    let request = sent(|server| {
        Job::new(server, "/a", Method::Post, "test").with_body(Body::Bytes(bytes.clone()))
    });
    assert_eq!(request.body, bytes);
    assert!(request.header("content-type").is_empty());
}

#[test]
fn empty_post_sends_zero_length() {
    for method in [Method::Post, Method::Put] {
        for body in [
            Body::Empty,
            Body::Bytes(Vec::new()),
            Body::Json(String::new()),
        ] {
            let request = sent(|server| Job::new(server, "/a", method, "test").with_body(body));
            assert!(request.body.is_empty());
            assert_eq!(request.header("content-length"), ["0"]);
        }
    }
    let request = sent(get);
    assert!(request.header("content-length").is_empty());
    assert!(request.header("transfer-encoding").is_empty());
}

#[test]
fn headers_and_user_agent_are_sent() {
    let request = sent(|server| {
        get(server)
            .with_header("X-Test", "a b")
            .with_header("x-test", "c")
    });
    assert_eq!(request.header("x-test"), ["a b", "c"]);
    assert_eq!(request.header("user-agent"), [options().user_agent]);
    assert_eq!(request.header("accept-encoding"), ["gzip"]);
    assert!(request.header("authorization").is_empty());
    assert!(request.header("cookie").is_empty());
}

fn cases(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    })
}

#[test]
fn any_query_arrives_unchanged() {
    let server = Server::start(std::iter::repeat_with(ok));
    let runner = runner();
    let pairs = proptest::collection::vec((any::<String>(), any::<String>()), 0..4);
    cases(64)
        .run(&pairs, |pairs| {
            let job = pairs.iter().fold(get(&server.url), |job, (name, value)| {
                job.with_query(name.clone(), value)
            });
            response(run(&runner, job));
            let request = server.requests().pop().unwrap();
            let target = server.url.as_str().parse::<url::Url>().unwrap();
            let target = target.join(request.target()).unwrap();
            prop_assert_eq!(target.path(), "/_matrix/client/versions");
            prop_assert_eq!(target.query().is_some(), !pairs.is_empty());
            let arrived: Vec<_> = target.query_pairs().into_owned().collect();
            prop_assert_eq!(arrived, pairs);
            Ok(())
        })
        .unwrap();
}

#[test]
fn header_values_cannot_inject_headers() {
    let server = Server::start(std::iter::repeat_with(ok));
    let runner = runner();
    let value = "[ -~\t\r\n\0ö]{0,12}";
    cases(128)
        .run(&value, |value| {
            let before = server.requests();
            let job = get(&server.url).with_header("x-test", &value);
            let outcome = run(&runner, job);
            let after = server.requests();
            if value.contains(['\r', '\n', '\0']) {
                prop_assert_eq!(error(outcome).kind, TransportErrorKind::InvalidRequest);
                prop_assert_eq!(after.len(), before.len());
            } else {
                response(outcome);
                let request = after.last().unwrap();
                prop_assert_eq!(request.header("x-test"), [value.trim()]);
                prop_assert_eq!(request.header.len(), 5, "{:?}", request);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn invalid_requests_send_nothing() {
    let server = UnreachedServer::new();
    let job = || get(&server.url);
    let at = |path: &str| Job::new(&server.url, path, Method::Get, "test");
    let missing = || FileRef::new("/nowhere/cat.png");
    for (job, message) in [
        (
            job().with_header("x-test", "a\r\nx-injected: b"),
            "header value",
        ),
        (job().with_header("x test", "a"), "header name"),
        (
            job().with_token("a\r\nx-injected: b".into()),
            "the token has characters",
        ),
        (
            job().with_body(Body::File(missing())),
            "/nowhere/cat.png cannot be read",
        ),
        (at("/a/../b"), "means"),
        (at("/a/%2e%2E/b"), "means"),
        (at("/a b"), "not well-formed"),
        (at("/a\r\nb"), "not well-formed"),
        (at("/a?b"), "followed by a query"),
        (at("/a#b"), "followed by a query"),
        (at("@elsewhere.example/a"), "user name"),
        (at("0/a"), "port"),
    ] {
        let shown = format!("{job:?}");
        let error = error(run(&runner(), job));
        assert_eq!(
            error.kind,
            TransportErrorKind::InvalidRequest,
            "{shown}: {error}"
        );
        assert_eq!(error.processed, Processed::No, "{shown}");
        assert!(error.message.contains(message), "{shown}: {error}");
    }
    server.assert();
}

#[test]
fn invalid_user_agent_is_refused() {
    let server = UnreachedServer::new();
    let mut options = options();
    options.user_agent = "a\nb".to_owned();
    let error = error(run(&runner_with(options, 1), get(&server.url)));
    assert_eq!(
        (error.kind, error.processed),
        (TransportErrorKind::InvalidRequest, Processed::No)
    );
    server.assert();
}

#[test]
fn default_runner_sends_requests() {
    let server = Server::start([ok()]);
    response(run(&Runner::default(), get(&server.url)));
    assert_eq!(server.requests().len(), 1);
}
