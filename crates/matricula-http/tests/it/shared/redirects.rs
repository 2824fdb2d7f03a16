//! Requests without secrets follow redirects; passwords and tokens are not forwarded.

use matricula_core::{
    Auth, Body, CredentialRef, Job, Method, Processed, ResponseFormat, TransportError,
    TransportErrorKind,
};

use super::{run, runner};
use crate::{
    error, get, post, response,
    server::{Reply, Server, UnreachedServer, answer, ok},
};

fn redirect(status: u16, location: &str) -> Reply {
    answer(
        &format!("{status} Redirect"),
        &[&format!("location: {location}")],
        "",
    )
}

fn refusal(job: impl FnOnce(&Server) -> Job, reply: Reply) -> TransportError {
    let server = Server::start([reply]);
    let error = error(run(&runner(), job(&server)));
    assert_eq!(error.kind, TransportErrorKind::Redirect, "{error}");
    assert!(
        error
            .message
            .starts_with(&format!("{} redirects ", server.url)),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
    error
}

#[test]
fn plain_get_follows_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let there = Server::start([answer("200 OK", &[], r#"{"there":true}"#)]);
        let here = Server::start([redirect(status, &format!("{}/there?a=b", there.url))]);
        let job = get(&here.url).with_query("secret", "registration-token");
        let response = response(run(&runner(), job));
        assert_eq!(
            *response.body(),
            Body::Json(r#"{"there":true}"#.to_owned()),
            "{status}"
        );
        assert_eq!(there.request().line, "GET /there?a=b HTTP/1.1");
    }
}

#[test]
fn location_format_does_not_follow_redirect() {
    let here = Server::start([redirect(302, "https://sso.example.org/sign-in?a=b")]);
    let job = get(&here.url).with_response_format(ResponseFormat::Location);
    let response = response(run(&runner(), job));
    assert_eq!(response.status_code(), 302);
    let location = response.header("location");
    assert_eq!(location, Some("https://sso.example.org/sign-in?a=b"));
}

#[test]
fn redirected_download_drops_token() {
    for status in [302, 307, 308] {
        let there = Server::start([answer("200 OK", &[], "picture")]);
        let here = Server::start([redirect(status, &format!("{}/there", there.url))]);
        let job = get(&here.url)
            .with_response_format(ResponseFormat::Bytes)
            .with_header("x-secret", "mine")
            .with_token("abc".into());
        let response = response(run(&runner(), job));
        assert_eq!(response.body().as_bytes(), b"picture");
        assert_eq!(here.request().header("authorization"), ["Bearer abc"]);
        assert_eq!(here.request().header("x-secret"), ["mine"]);
        let request = there.request();
        assert_eq!(request.line, "GET /there HTTP/1.1");
        assert_eq!(request.header("authorization"), [""; 0]);
        assert_eq!(request.header("x-secret"), [""; 0]);
    }
}

#[test]
fn redirect_location_may_be_relative() {
    let server = Server::start([redirect(302, "/b"), redirect(302, "c"), ok()]);
    response(run(&runner(), get(&server.url)));
    let asked: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.target().to_owned())
        .collect();
    assert_eq!(asked, ["/_matrix/client/versions", "/b", "/c"]);
}

#[test]
fn redirect_never_forwards_token() {
    let alice = CredentialRef::new("alice");
    for auth in [
        Auth::Token("syt_alice".into()),
        Auth::Required(alice.clone()),
        Auth::Optional(alice.clone()),
    ] {
        let there = UnreachedServer::new();
        let here = Server::start([redirect(307, there.url.as_str())]);
        let runner = runner();
        runner
            .credentials()
            .insert(alice.clone(), here.url.clone(), "syt_alice".into());
        let error = error(run(&runner, get(&here.url).with_auth(auth)));
        assert_eq!(
            (error.kind, error.processed),
            (TransportErrorKind::Redirect, Processed::No)
        );
        for part in [
            here.url.as_str(),
            there.url.as_str(),
            "use that address instead",
        ] {
            assert!(error.message.contains(part), "{error}");
        }
        assert!(!error.message.contains("syt_alice"));
        there.assert();
    }
}

#[test]
fn redirect_never_forwards_body_or_headers() {
    let there = UnreachedServer::new();
    let jobs: [fn(&Server) -> Job; 5] = [
        |server| post(&server.url),
        |server| Job::new(&server.url, "/a", Method::Post, "test"),
        |server| Job::new(&server.url, "/a", Method::Put, "test"),
        |server| get(&server.url).with_body(Body::Json("{}".to_owned())),
        |server| get(&server.url).with_header("authorization", "Bearer syt_alice"),
    ];
    for job in jobs {
        for status in [301, 302, 303, 307, 308] {
            let error = refusal(job, redirect(status, there.url.as_str()));
            assert!(error.message.contains(there.url.as_str()), "{error}");
        }
    }
    there.assert();
}

#[test]
fn refused_see_other_leaves_doubt() {
    for (status, processed) in [
        (301, Processed::No),
        (302, Processed::Maybe),
        (303, Processed::Maybe),
        (307, Processed::No),
        (308, Processed::No),
    ] {
        let error = refusal(|server| post(&server.url), redirect(status, "/done"));
        assert_eq!(error.processed, processed, "{status}");
    }
}

#[test]
fn invalid_redirect_target_is_refused() {
    for location in [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http://a@127.0.0.1/",
        "\u{f6}",
    ] {
        let error = refusal(|server| get(&server.url), redirect(302, location));
        let message = "to an address that is not an http or https server";
        assert!(error.message.ends_with(message), "{error}");
    }
}

#[test]
fn redirect_loop_ends() {
    let server = Server::start(std::iter::repeat_with(|| redirect(302, "/again")));
    let error = error(run(&runner(), get(&server.url)));
    assert_eq!(error.kind, TransportErrorKind::Redirect);
    let message = format!("{} is one of more than 3 redirects in a row", server.url);
    assert_eq!(error.message, message);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn redirect_without_location_is_response() {
    let server = Server::start([answer("302 Found", &[], "{}")]);
    assert_eq!(
        response(run(&runner(), get(&server.url))).status_code(),
        302
    );
}
