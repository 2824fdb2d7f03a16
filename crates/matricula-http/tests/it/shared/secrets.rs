//! Secrets do not appear in logs, errors or the output of `Debug`.

use std::time::Duration;

use matricula_core::{Auth, Body, CredentialRef, Job, Method, ServerUrl, scheduler::Outcome};

use super::{run_watched, runner_with};
use crate::{
    log::log,
    options,
    server::{Reply, Server, answer, bytes, unused_address},
};

// Letters and digits only, so that they look the same in a URL and in JSON.
const TOKEN: &str = "canaryaccesstoken7x";
const PASSWORD: &str = "canarypassword7x";
const REGISTRATION_TOKEN: &str = "canaryregistrationtoken7x";
const COOKIE: &str = "canarycookie7x";
const NEW_TOKEN: &str = "canarynewtoken7x";

fn alice() -> CredentialRef {
    CredentialRef::new("alice")
}

fn job(server: &ServerUrl) -> Job {
    Job::new(
        server,
        "/_matrix/client/v3/register",
        Method::Post,
        "registerAlice",
    )
    .with_auth(Auth::Required(alice()))
    .with_query("token", REGISTRATION_TOKEN)
    .with_body(Body::Json(format!(r#"{{"password":"{PASSWORD}"}}"#)))
    .with_header("x-test", "a")
}

/// All visible output of a job: logs, events, the outcome, the values.
fn seen(server: &ServerUrl, job: Job) -> String {
    let log = log();
    let mut options = options();
    options.timeout = Duration::from_millis(500);
    let runner = runner_with(options, 2);
    runner
        .credentials()
        .insert(alice(), server.clone(), TOKEN.into());
    let mut seen = format!("{runner:?}\n");
    let outcome = run_watched(&runner, job, |event| seen += &format!("{event:?}\n"));
    if let Outcome::Failed(error) | Outcome::InDoubt(error) = &outcome {
        seen += &format!("{error} {error:?}\n");
    }
    let log = log.text();
    assert!(
        log.contains("registerAlice"),
        "nothing was logged, so the test shows nothing"
    );
    format!("{seen}{outcome:?}\n{log}")
}

fn assert_no_secret(text: &str) {
    for secret in [TOKEN, PASSWORD, REGISTRATION_TOKEN, COOKIE, NEW_TOKEN] {
        // The text is not shown as a whole: it may end up in the log of a test run.
        let at = text.find(secret);
        assert!(
            at.is_none(),
            "{secret} in …{}…",
            &text[at.unwrap_or(0).saturating_sub(200)..at.unwrap_or(0)]
        );
    }
}

#[test]
fn responses_never_expose_secrets() {
    let replies: Vec<Reply> = vec![
        answer(
            "200 OK",
            &[&format!("set-cookie: session={COOKIE}")],
            format!(r#"{{"access_token":"{NEW_TOKEN}"}}"#),
        ),
        answer(
            "401 Unauthorized",
            &[],
            format!(r#"{{"error":"{NEW_TOKEN}"}}"#),
        ),
        answer(
            "307 Redirect",
            &[&format!("location: /a?token={REGISTRATION_TOKEN}")],
            "",
        ),
        answer("200 OK", &["content-encoding: gzip"], NEW_TOKEN),
        bytes(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{NEW_TOKEN}"
        )),
        bytes(format!("HTTP/1.1 200 OK\r\nset-cookie {COOKIE}\r\n\r\n")),
        bytes(format!("{NEW_TOKEN}\r\n\r\n")),
        bytes(""),
    ];
    for reply in replies {
        let server = Server::start([reply]);
        let seen = seen(&server.url, job(&server.url));
        assert_eq!(
            server.request().header("authorization"),
            [format!("Bearer {TOKEN}")]
        );
        assert_no_secret(&seen);
    }
}

#[test]
fn unsent_requests_never_expose_secrets() {
    let server = unused_address();
    for job in [
        job(&server),
        job(&server).with_header("x-test", format!("{PASSWORD}\n")),
        job(&server).with_token(format!("{TOKEN}\n").into()),
        Job::new(
            &server,
            &format!("/a?token={REGISTRATION_TOKEN}"),
            Method::Post,
            "registerAlice",
        ),
    ] {
        assert_no_secret(&seen(&server, job));
    }
}
