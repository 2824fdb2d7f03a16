//! Servers that ask to wait: the command waits where that is short, else says until when.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use crate::{
    command::Home,
    server::{REGISTER, Server, VERSIONS, answer, matrix},
};

const DATE: &str = "date: Wed, 21 Oct 2026 07:28:00 GMT";

#[test]
fn a_long_wait_ends_with_its_length() {
    for (status, headers, body, seconds) in [
        (503, vec!["retry-after: 3600"], "", 3_600.0),
        (503, vec!["retry-after: 3599.2"], "", 3_600.0),
        (
            503,
            vec![DATE, "retry-after: Wed, 21 Oct 2026 08:28:00 GMT"],
            "<h1>Maintenance</h1>",
            3_600.0,
        ),
        (
            503,
            vec![],
            r#"{"errcode":"M_UNKNOWN","retry_after_ms":"1800000"}"#,
            1_800.0,
        ),
        (
            429,
            vec![DATE, "retry-after: Wed Oct 21 07:58:00 2026"],
            r#"{"errcode":"M_LIMIT_EXCEEDED"}"#,
            1_800.0,
        ),
        (
            429,
            vec![],
            r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":700000.5}"#,
            700.001,
        ),
    ] {
        for path in [VERSIONS, REGISTER] {
            let lines = headers.clone();
            let server = Server::start(move |request| match request.path == path {
                true => answer(status, &lines, body),
                false => matrix(request),
            });
            let ended = Home::new()
                .run(&format!("register {} --json --no-input", server.url))
                .exit(5);
            let error = &ended.json()["error"];
            assert_eq!(error["kind"], "rate_limited", "{ended}");
            assert_eq!(
                error["retry_after_seconds"], seconds,
                "{status} {headers:?}: {ended}"
            );
            let message = error["message"].as_str().unwrap();
            assert!(
                message.contains(&format!("try again in {} s", f64::ceil(seconds))),
                "{message}"
            );
            assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
        }
    }
}

#[test]
fn a_short_wait_is_waited_for() {
    // Longer and more often than attempts without a `Retry-After` last.
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let is_closed = request.path == VERSIONS && asked.fetch_add(1, Ordering::Relaxed) < 6;
        match is_closed {
            true => answer(503, &["retry-after: 0.1"], ""),
            false => matrix(request),
        }
    });
    let ended = Home::new()
        .run(&format!("register {} --no-input", server.url))
        .exit(0);
    assert!(ended.took > Duration::from_secs(6), "{:?}", ended.took);
    assert!(
        ended
            .stderr
            .contains("accepts no more requests for now: waiting 1.0 s"),
        "{ended}"
    );
}
