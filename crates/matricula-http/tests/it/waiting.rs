//! The server sets the pace, and whoever watches is told.

use std::time::{Duration, Instant};

use matricula_http::now;
use matricula_job::scheduler::{Event, Wait};

use crate::{
    post, response, runner, runtime,
    server::{Server, answer, ok},
};

#[test]
fn a_server_that_asks_for_a_pause_gets_it_and_then_the_same_request() {
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":120}"#;
    let server = Server::start([answer("429 Too Many Requests", &[], limited), ok()]);
    let mut waits = Vec::new();
    let start = Instant::now();
    let outcome = runtime().block_on(runner().run(post(&server.url), |event| {
        if let Event::Waiting { until, why, .. } = event {
            waits.push((*why == Wait::RateLimited, until.since(now())));
        }
    }));
    assert_eq!(response(outcome).status_code(), 200);
    assert!(start.elapsed() >= Duration::from_millis(120));
    let [(true, wait)] = waits[..] else {
        panic!("{waits:?}")
    };
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_millis(120),
        "{wait:?}"
    );
    let [first, second] = &server.requests()[..] else {
        panic!("not two requests");
    };
    assert_eq!((&first.line, &first.body), (&second.line, &second.body));
}

#[test]
fn whoever_watches_is_told_of_the_start_and_the_end() {
    let server = Server::start([ok()]);
    let mut told = Vec::new();
    let outcome =
        runtime().block_on(runner().run(post(&server.url), |event| told.push(event.clone())));
    let [
        Event::Started { ticket, attempt: 1 },
        Event::Finished(finished, told),
    ] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((ticket, told), (finished, &outcome));
}

#[test]
fn a_job_that_waits_lets_others_run_and_can_be_given_up() {
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5000}"#;
    let server = Server::start([answer("429 Too Many Requests", &[], limited), ok()]);
    let start = Instant::now();
    let runner = runner();
    let run = runner.run(post(&server.url), |_| {});
    let given_up =
        runtime().block_on(async { tokio::time::timeout(Duration::from_millis(200), run).await });
    assert!(given_up.is_err(), "{given_up:?}");
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(server.requests().len(), 1);
}
