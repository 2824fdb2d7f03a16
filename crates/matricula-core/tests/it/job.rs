//! Each row of the table in `docs/libkazv.md` that maps `BaseJob` to `Job`.

use std::time::Duration;

use matricula_core::{
    Auth, Body, CredentialRef, FileRef, Job, Method, QueuePolicy, Response, ResponseFormat,
    RetrySafety, Secret,
};
use serde_json::json;

use crate::{job, server};

#[test]
fn url_joins_server_and_path() {
    assert_eq!(
        job().url(),
        "https://matrix.example.org/_matrix/client/v3/register"
    );
    let below = "https://example.org/matrix/".parse().unwrap();
    let job = Job::new(
        &below,
        "/_matrix/client/versions",
        Method::Get,
        "getVersions",
    );
    assert_eq!(
        job.url(),
        "https://example.org/matrix/_matrix/client/versions"
    );
}

#[test]
fn getters_return_what_was_set() {
    let job = job()
        .with_query("kind", "user & guest")
        .with_query("kind", "again")
        .with_header("X-Test", "yes")
        .with_body(Body::Json("{}".into()));
    assert_eq!(job.request_method(), Method::Post);
    assert_eq!(
        job.request_query(),
        [
            ("kind".into(), "user & guest".to_owned()),
            ("kind".into(), "again".to_owned())
        ]
    );
    assert_eq!(job.request_headers(), [("X-Test".into(), "yes".to_owned())]);
    assert_eq!(job.request_body(), &Body::Json("{}".into()));
    assert_eq!(job.request_body().as_bytes(), b"{}");
}

#[test]
fn method_names() {
    let spelt = [Method::Get, Method::Post, Method::Put, Method::Delete].map(Method::as_str);
    assert_eq!(spelt, ["GET", "POST", "PUT", "DELETE"]);
}

#[test]
fn bodies_as_bytes() {
    assert_eq!(Body::Empty.as_bytes(), b"");
    assert_eq!(
        Body::json(&json!({"a": 1})).unwrap().as_bytes(),
        br#"{"a":1}"#
    );
    assert_eq!(Body::Bytes(vec![0, 255]).as_bytes(), [0, 255]);
    let file = FileRef::new("/tmp/cat.png").with_content_type("image/png");
    assert_eq!(file.content_type.as_deref(), Some("image/png"));
    assert_eq!(Body::File(file).as_bytes(), b"");
}

#[test]
fn response_format_defaults_to_json() {
    assert_eq!(job().response_format(), &ResponseFormat::Json);
    assert!(job().should_return_json());
    assert_eq!(job().response_file(), None);

    let file = FileRef::new("/tmp/out");
    let to_file = job().with_response_format(ResponseFormat::File(file.clone()));
    assert!(!to_file.should_return_json());
    assert_eq!(to_file.response_file(), Some(&file));
    assert!(
        !job()
            .with_response_format(ResponseFormat::Bytes)
            .should_return_json()
    );
}

#[test]
fn with_data_replaces_data() {
    let job = job()
        .with_data(json!({"old": 1}))
        .with_data(json!({"room": "!a:b", "n": 2}));
    assert_eq!(job.data_json("old"), None);
    assert_eq!(job.data_json("n"), Some(&json!(2)));
    assert_eq!(job.data_str("room"), Some("!a:b"));
    assert_eq!(job.data_str("n"), None, "a number is not a string");
    assert_eq!(job.data_str("missing"), None);
    assert_eq!(crate::job().data_str("anything"), None);
}

#[test]
fn job_has_no_queue_by_default() {
    assert_eq!(job().queue_id(), None);
    assert_eq!(job().queue_policy(), QueuePolicy::AlwaysContinue);
    let queued = job().with_queue("!room:b", QueuePolicy::CancelFutureIfFailed);
    assert_eq!(queued.queue_id(), Some("!room:b"));
    assert_eq!(queued.queue_policy(), QueuePolicy::CancelFutureIfFailed);
}

#[test]
fn operation_id_is_not_unique() {
    assert_eq!(job().operation_id(), "register");
    assert_eq!(job(), job(), "two jobs of one operation are equal");
}

#[test]
fn response_carries_operation_and_data() {
    let raw = Response::new(200, vec![], Body::Json(r#"{"user_id":"@a:b"}"#.into()));
    let response = job().with_data(json!({"for": "alice"})).respond(raw);
    assert_eq!(response.operation_id(), "register");
    assert_eq!(response.data_str("for"), Some("alice"));
    assert_eq!(response.data_json("for"), Some(&json!("alice")));
    assert_eq!(response.data_str("missing"), None);
    assert_eq!(response.json_body(), Some(json!({"user_id": "@a:b"})));
    assert_eq!(response.status_code(), 200);
}

#[test]
fn cancelled_response_matches_libkazv() {
    let response = job().with_data(json!({"for": "alice"})).respond_cancelled();
    assert!(!response.success());
    assert_eq!(response.status_code(), 490);
    assert_eq!(response.error_code(), "MOE_KAZV_MXC_HEAD_FAILURE_CANCELLED");
    assert!(!response.error_message().is_empty());
    assert_eq!(response.operation_id(), "register");
    assert_eq!(response.data_str("for"), Some("alice"));
}

#[test]
fn response_success_and_error() {
    let response = |status, body: &str| Response::new(status, vec![], Body::Json(body.into()));
    let error = response(400, r#"{"errcode":"M_USER_IN_USE","error":"taken"}"#);
    assert!(!error.success());
    assert_eq!(error.error_code(), "M_USER_IN_USE");
    assert_eq!(error.error_message(), "taken");
    assert!(response(399, "{}").success());
    assert!(!response(400, "{}").success());
    assert_eq!(
        response(200, r#"{"errcode":"X","error":"y"}"#).error_code(),
        ""
    );
    assert_eq!(response(500, "<html>").error_code(), "");
    assert_eq!(response(500, r#"{"error": 5}"#).error_message(), "");
}

#[test]
fn header_names_are_case_insensitive() {
    let response = Response::new(
        200,
        vec![("Content-Type".into(), "a/b".into())],
        Body::Empty,
    );
    assert_eq!(response.header("content-type"), Some("a/b"));
    assert_eq!(response.header("content-length"), None);
    assert_eq!(response.headers().len(), 1);
}

#[test]
fn retry_after_prefers_the_header() {
    let body = || Body::Json(r#"{"retry_after_ms": 1500}"#.into());
    let response = |header| {
        Response::new(429, header, body())
            .retry_after()
            .unwrap()
            .as_millis()
    };
    assert_eq!(response(vec![("Retry-After".into(), "3".into())]), 3000);
    assert_eq!(response(vec![]), 1500);
    assert_eq!(Response::new(429, vec![], Body::Empty).retry_after(), None);
}

#[test]
fn retry_after_is_read_in_every_form() {
    let date = "Wed, 21 Oct 2026 07:27:00 GMT";
    for (given, seconds) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        // Fractions are not in RFC 9110, but sent.
        ("1.5", Some(2)),
        ("0.001", Some(1)),
        ("2.0", Some(2)),
        (".5", Some(1)),
        ("5.", Some(5)),
        // The three forms of an HTTP date.
        ("Wed, 21 Oct 2026 07:28:00 GMT", Some(60)),
        ("Wednesday, 21-Oct-26 07:28:00 GMT", Some(60)),
        ("Wed Oct 21 07:28:00 2026", Some(60)),
        // The same zone, as emails name it.
        ("Wed, 21 Oct 2026 07:28:00 +0000", Some(60)),
        ("Wed, 21 Oct 2026 07:28:00 -0000", Some(60)),
        ("Wed, 21 Oct 2026 07:28:00 UTC", Some(60)),
        // A date in the past.
        ("Wed, 21 Oct 2026 07:26:59 GMT", Some(0)),
        ("-1", None),
        ("-0.5", None),
        ("", None),
        (".", None),
        ("1.-5", None),
        ("Wed, 21 Oct 2026 09:28:00 +0200", None),
        ("1e3", None),
        ("5 s", None),
        ("99999999999999999999", None),
        ("18446744073709551615.5", None),
        ("Wed, 32 Oct 2026 07:28:00 GMT", None),
        ("tomorrow", None),
    ] {
        let headers = vec![
            ("Retry-After".into(), given.to_owned()),
            ("Date".into(), date.to_owned()),
        ];
        let wait = Response::new(503, headers, Body::Empty).retry_after();
        assert_eq!(wait.map(|wait| wait.as_secs()), seconds, "{given}");
    }
}

#[test]
fn date_to_retry_after_needs_date_of_response() {
    let until = "Wed, 21 Oct 2026 07:28:00 GMT";
    for date in [None, Some(""), Some("yesterday")] {
        let mut headers = vec![("Retry-After".into(), until.to_owned())];
        headers.extend(date.map(|date| ("Date".into(), date.to_owned())));
        let body = Body::Json(r#"{"retry_after_ms": 1500}"#.into());
        let wait = Response::new(429, headers, body).retry_after();
        assert_eq!(wait, Some(Duration::from_millis(1500)), "{date:?}");
    }
}

#[test]
fn retry_after_ms_is_read_in_every_form() {
    for (given, millis) in [
        ("1500", Some(1500)),
        ("1500.0", Some(1500)),
        ("1500.25", Some(1501)),
        (r#""1500""#, Some(1500)),
        (r#"" 20 ""#, Some(20)),
        ("0", Some(0)),
        ("-1", None),
        ("-1.5", None),
        (r#""-5""#, None),
        ("1e300", None),
        ("99999999999999999999", None),
        (r#""soon""#, None),
        ("null", None),
        ("true", None),
        ("[5]", None),
        ("{}", None),
    ] {
        let body = Body::Json(format!(r#"{{"retry_after_ms": {given}}}"#));
        let wait = Response::new(429, vec![], body).retry_after();
        assert_eq!(wait, millis.map(Duration::from_millis), "{given}");
    }
}

#[test]
fn server_asks_to_wait() {
    for (status, retry_after, asks) in [
        (429, None, true),
        (429, Some("0"), true),
        (503, Some("5"), true),
        (503, Some("0"), false),
        (503, Some("soon"), false),
        (503, None, false),
        (502, Some("5"), false),
        (200, Some("5"), false),
        (301, Some("5"), false),
    ] {
        let headers = retry_after.map(|wait| ("Retry-After".into(), wait.to_owned()));
        let response = Response::new(status, headers.into_iter().collect(), Body::Empty);
        assert_eq!(response.asks_to_wait(), asks, "{status} {retry_after:?}");
    }
}

#[test]
fn job_serialises_and_deserialises() {
    let job = job()
        .with_auth(Auth::Required(CredentialRef::new("@a:b/DEVICE")))
        .with_query("kind", "user")
        .with_body(Body::Json("{}".into()))
        .with_data(json!({"k": [1, null]}))
        .with_queue("q", QueuePolicy::Hold)
        .with_response_format(ResponseFormat::File(FileRef::new("out")));
    let stored = serde_json::to_string(&job).unwrap();
    assert_eq!(serde_json::from_str::<Job>(&stored).unwrap(), job);
}

#[test]
fn job_with_secret_does_not_serialise() {
    let with_token = job().with_token(Secret::from("syt_token"));
    assert!(with_token.holds_secret());
    let error = serde_json::to_string(&with_token).unwrap_err().to_string();
    assert!(error.contains("register holds a secret"), "{error}");

    let password = r#"{ "password" : "wordpass", "username": "a" }"#;
    let with_password = job()
        .with_request_secrets(vec!["/password".into()])
        .with_body(Body::Json(password.into()));
    assert!(with_password.holds_secret());
    assert!(serde_json::to_string(&with_password).is_err());
    assert_eq!(
        with_password.masked_body(),
        r#"{"password":"***","username":"a"}"#
    );

    let without = with_password.with_body(Body::Json(r#"{ "username" : "a" }"#.into()));
    assert!(!without.holds_secret());
    assert!(serde_json::to_string(&without).is_ok());
}

#[test]
fn query_secret_is_masked() {
    let open = job()
        .with_query("via", "a.example")
        .with_query_secrets(vec!["token".into()]);
    assert!(!open.holds_secret());
    let stored = serde_json::to_string(&open).unwrap();
    assert_eq!(serde_json::from_str::<Job>(&stored).unwrap(), open);

    let secret = open.with_query("token", "fBVFdqVE");
    assert!(secret.holds_secret());
    assert!(serde_json::to_string(&secret).is_err());
    assert_eq!(
        secret.masked_query(),
        [("via", "a.example"), ("token", "***")]
    );
}

#[test]
fn credential_name_is_no_secret() {
    let credential = CredentialRef::new("@a:b");
    let named =
        Job::new(&server(), "/x", Method::Get, "x").with_auth(Auth::Optional(credential.clone()));
    assert!(!named.holds_secret());
    assert_eq!(named.auth(), &Auth::Optional(credential));
}

#[test]
fn only_post_is_not_idempotent() {
    let retry = |method| Job::new(&server(), "/x", method, "x").retry_safety();
    assert_eq!(retry(Method::Post), RetrySafety::OnlyIfNotProcessed);
    for method in [Method::Get, Method::Put, Method::Delete] {
        assert_eq!(retry(method), RetrySafety::Idempotent);
    }
}
