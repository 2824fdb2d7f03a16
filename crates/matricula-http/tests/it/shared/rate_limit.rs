//! Rate limits of the server, and the events of a job.

use std::time::{Duration, Instant};

use matricula_core::scheduler::{Event, WaitReason};
use matricula_http::SystemClock;

use super::{run_watched, runner};
use crate::{
    post, response,
    server::{Server, answer, ok},
};

#[test]
fn rate_limited_request_is_repeated_later() {
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":120}"#;
    let server = Server::start([answer("429 Too Many Requests", &[], limited), ok()]);
    let mut waits = Vec::new();
    let start = Instant::now();
    let outcome = run_watched(&runner(), post(&server.url), |event| {
        if let Event::Waiting {
            until, reason: why, ..
        } = event
        {
            waits.push((
                *why == WaitReason::RateLimited,
                until.since(SystemClock::now()),
            ));
        }
    });
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
fn handle_receives_start_and_end() {
    let server = Server::start([ok()]);
    let mut events = Vec::new();
    let outcome = run_watched(&runner(), post(&server.url), |event| {
        events.push(event.clone())
    });
    let [
        Event::Started { job_id, attempt: 1 },
        Event::Finished(finished, events),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((job_id, events), (finished, &outcome));
}
