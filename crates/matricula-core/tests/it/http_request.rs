//! A job as a request of the `http` crate.

use matricula_core::{Body, FileRef, Job, Method, Secret};

fn job(method: Method) -> Job {
    let server = "https://matrix.example.org/base".parse().unwrap();
    Job::new(&server, "/_matrix/x", method, "x")
}

#[test]
fn every_part_is_converted() {
    let job = job(Method::Put)
        .with_query("a b", "c&d")
        .with_query("e", "é")
        .with_header("x-test", "1")
        .with_body(Body::Json("{}".to_owned()));
    let request = job.into_http(Some(&Secret::from("abc"))).unwrap();
    assert_eq!(request.method(), "PUT");
    let uri = "https://matrix.example.org/base/_matrix/x?a+b=c%26d&e=%C3%A9";
    assert_eq!(request.uri(), uri);
    let header = |name| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("x-test"), Some("1"));
    assert_eq!(header("authorization"), Some("Bearer abc"));
    assert!(request.headers()["authorization"].is_sensitive());
    assert_eq!(request.into_body().into_bytes(), b"{}");
}

#[test]
fn job_header_overrides_content_type() {
    let job = job(Method::Post)
        .with_header("Content-Type", "image/png")
        .with_body(Body::Json("{}".to_owned()));
    let request = job.into_http(None).unwrap();
    assert_eq!(request.headers().get_all("content-type").iter().count(), 1);
    assert_eq!(request.headers()["content-type"], "image/png");
}

#[test]
fn empty_post_has_content_length() {
    let length = |method| {
        let request = job(method).into_http(None).unwrap();
        request.headers().get("content-length").cloned()
    };
    assert_eq!(length(Method::Post).unwrap(), "0");
    assert_eq!(length(Method::Get), None);
}

#[test]
fn file_body_stays_a_file() {
    let file = FileRef::new("cat.png").with_content_type("image/png");
    let job = job(Method::Post).with_body(Body::File(file.clone()));
    let request = job.into_http(None).unwrap();
    assert_eq!(request.headers()["content-type"], "image/png");
    assert_eq!(request.body(), &Body::File(file));
}

#[test]
fn invalid_headers_are_refused() {
    assert!(
        job(Method::Get)
            .into_http(Some(&Secret::from("a\nb")))
            .is_err()
    );
    let broken = job(Method::Get).with_header("a b", "c");
    assert!(broken.into_http(None).is_err());
}
