//! One job: sent, retried only if that is safe, ended once.

use std::sync::Arc;

use matricula_core::{
    Body, Processed, Response, RetrySafety, Step, Timestamp, TransportErrorKind, TransportResult,
    scheduler::{Effect, Event, Input, JobId, Outcome, WaitReason},
};
use proptest::prelude::*;

use crate::{
    harness::{Harness, failed, outcome, sent, status},
    job,
};

#[test]
fn response_ends_the_job() {
    let mut harness = Harness::new();
    let step = harness.step(Input::Submit(Arc::new(
        job().with_data(serde_json::json!({"k": "v"})),
    )));
    let (job_id, attempt) = (JobId(1), 1);
    let expected = [Event::Accepted(job_id), Event::Started { job_id, attempt }];
    assert_eq!(step.events, expected);
    assert_eq!(step.wake_at, None);
    assert_eq!(harness.scheduler.pending().count(), 1);
    let step = harness.step(Input::Completed(sent(&step), status(400)));
    let Outcome::Responded(response) = outcome(&step) else {
        panic!("{step:?}")
    };
    assert_eq!(
        (response.status_code(), response.operation_id()),
        (400, "register")
    );
    assert_eq!(response.data_str("k"), Some("v"));
    assert_eq!(harness.scheduler.pending().count(), 0);
}

#[test]
fn retry_after_is_respected() {
    let mut harness = Harness::new();
    let id = harness.submit(job());
    let limited = Response::new(429, vec![("Retry-After".into(), "7".into())], Body::Empty);
    let step = harness.step(Input::Completed(id, TransportResult::Response(limited)));
    let until = Timestamp::from_millis(harness.now + 7_000);
    assert_eq!(
        step.events,
        [Event::Waiting {
            job_id: JobId(1),
            until,
            reason: WaitReason::RateLimited
        }]
    );
    assert_eq!(step.wake_at, Some(until));
    let id = harness.wake(&step);
    let step = harness.step(Input::Completed(id, status(200)));
    assert!(matches!(outcome(&step), Outcome::Responded(_)));
}

#[test]
fn endless_429s_end_the_job() {
    let mut harness = Harness::new();
    let mut id = harness.submit(job());
    let start = harness.now;
    for _ in 0..1_000 {
        let step = harness.step(Input::Completed(id, status(429)));
        if let [Event::Finished(_, Outcome::Responded(response))] = &step.events[..] {
            assert_eq!(response.status_code(), 429);
            assert!(harness.now - start <= 600_000);
            return;
        }
        id = harness.wake(&step);
    }
    panic!("it never ended");
}

#[test]
fn excessive_retry_after_ends_the_job() {
    let mut harness = Harness::new();
    let id = harness.submit(job());
    let header = vec![("Retry-After".into(), u64::MAX.to_string())];
    let step = harness.step(Input::Completed(
        id,
        TransportResult::Response(Response::new(429, header, Body::Empty)),
    ));
    assert!(matches!(outcome(&step), Outcome::Responded(_)));
}

fn unavailable(retry_after: &str) -> TransportResult {
    let header = vec![("Retry-After".into(), retry_after.to_owned())];
    TransportResult::Response(Response::new(503, header, Body::Empty))
}

#[test]
fn retry_after_of_a_503_is_respected() {
    let mut harness = Harness::new();
    let mut id = harness.submit(job());
    // More often than attempts are made without it.
    for _ in 0..20 {
        let before = harness.now;
        let step = harness.step(Input::Completed(id, unavailable("20")));
        id = harness.wake(&step);
        assert_eq!(harness.now - before, 20_000);
    }
    let step = harness.step(Input::Completed(id, status(200)));
    assert!(matches!(outcome(&step), Outcome::Responded(response) if response.success()));
}

/// A server without a clock sends no `Date`: the time of arrival takes its place.
#[test]
fn date_to_retry_after_is_compared_with_the_arrival() {
    for status in [429, 503] {
        let mut harness = Harness::new();
        harness.now = 1_792_567_620_000;
        let id = harness.submit(job());
        let headers = vec![("Retry-After".into(), "Wed, 21 Oct 2026 07:28:00 GMT".into())];
        let response = Response::new(status, headers, Body::Empty);
        let step = harness.step(Input::Completed(id, TransportResult::Response(response)));
        let before = harness.now;
        harness.wake(&step);
        assert_eq!(harness.now - before, 60_000, "{status}");
    }
}

#[test]
fn a_503_that_asks_for_too_long_a_wait_ends_the_job() {
    for (waits, last) in [(0, "601"), (29, "21"), (0, "18446744073709551615")] {
        let mut harness = Harness::new();
        let mut id = harness.submit(job());
        for _ in 0..waits {
            let step = harness.step(Input::Completed(id, unavailable("20")));
            id = harness.wake(&step);
        }
        let step = harness.step(Input::Completed(id, unavailable(last)));
        assert!(
            matches!(outcome(&step), Outcome::Responded(response) if response.status_code() == 503)
        );
    }
}

#[test]
fn zero_retry_after_backs_off() {
    let mut harness = Harness::new();
    let now = || Response::new(429, vec![("Retry-After".into(), "0".into())], Body::Empty);
    let mut id = harness.submit(job());
    let mut waits = Vec::new();
    for _ in 0..10 {
        let before = harness.now;
        let step = harness.step(Input::Completed(id, TransportResult::Response(now())));
        id = harness.wake(&step);
        waits.push(harness.now - before);
    }
    assert_eq!(
        waits,
        [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 12_800]
    );
}

#[test]
fn excessive_total_wait_ends_the_job() {
    let mut harness = Harness::new();
    let limited = |wait: u64| {
        let header = vec![("Retry-After".into(), wait.to_string())];
        TransportResult::Response(Response::new(429, header, Body::Empty))
    };
    let id = harness.submit(job());
    let step = harness.step(Input::Completed(id, limited(1)));
    let id = harness.wake(&step);
    let step = harness.step(Input::Completed(id, limited(u64::MAX)));
    assert!(matches!(outcome(&step), Outcome::Responded(_)));
}

#[test]
fn refused_connections_back_off_then_fail() {
    let mut harness = Harness::new();
    let mut id = harness.submit(job());
    for bound in [500, 1_000, 2_000] {
        let step = harness.step(Input::Completed(
            id,
            failed(TransportErrorKind::Connect, Processed::No),
        ));
        let wait = step.wake_at.unwrap().as_millis() - harness.now;
        assert!(wait <= bound, "{wait} > {bound}");
        id = harness.wake(&step);
    }
    let step = harness.step(Input::Completed(
        id,
        failed(TransportErrorKind::Connect, Processed::No),
    ));
    assert!(
        matches!(outcome(&step), Outcome::Failed(error) if error.kind == TransportErrorKind::Connect)
    );
}

#[test]
fn only_idempotent_requests_are_resent() {
    for (retry, result, resent) in [
        (
            RetrySafety::OnlyIfNotProcessed,
            failed(TransportErrorKind::ConnectionLost, Processed::Maybe),
            false,
        ),
        (
            RetrySafety::OnlyIfNotProcessed,
            failed(TransportErrorKind::Timeout, Processed::Maybe),
            false,
        ),
        (RetrySafety::OnlyIfNotProcessed, status(502), false),
        (RetrySafety::OnlyIfNotProcessed, status(504), false),
        (RetrySafety::OnlyIfNotProcessed, status(520), false),
        (RetrySafety::OnlyIfNotProcessed, status(503), true),
        (RetrySafety::OnlyIfNotProcessed, status(408), true),
        (
            RetrySafety::Idempotent,
            failed(TransportErrorKind::ConnectionLost, Processed::Maybe),
            true,
        ),
        (RetrySafety::Idempotent, status(502), true),
        (RetrySafety::TxnId, status(527), true),
    ] {
        let mut harness = Harness::new();
        let id = harness.submit(job().with_retry_safety(retry));
        let step = harness.step(Input::Completed(id, result.clone()));
        if resent {
            harness.wake(&step);
        } else {
            assert!(
                matches!(outcome(&step), Outcome::InDoubt(_)),
                "{retry:?} {result:?}: {step:?}"
            );
        }
    }
}

#[test]
fn permanent_failures_are_not_retried() {
    for kind in [
        TransportErrorKind::Tls,
        TransportErrorKind::TooLarge,
        TransportErrorKind::Redirect,
        TransportErrorKind::InvalidRequest,
    ] {
        let mut harness = Harness::new();
        let id = harness.submit(job());
        let step = harness.step(Input::Completed(id, failed(kind, Processed::No)));
        assert!(
            matches!(outcome(&step), Outcome::Failed(error) if error.kind == kind),
            "{kind:?}"
        );
    }
}

#[test]
fn last_503_is_the_outcome() {
    let mut harness = Harness::new();
    let mut id = harness.submit(job());
    for _ in 0..3 {
        let step = harness.step(Input::Completed(id, status(503)));
        id = harness.wake(&step);
    }
    let step = harness.step(Input::Completed(id, status(503)));
    assert!(
        matches!(outcome(&step), Outcome::Responded(response) if response.status_code() == 503)
    );
}

fn answer(status: u16, body: &str) -> TransportResult {
    let body = Body::Json(body.to_owned());
    TransportResult::Response(Response::new(status, vec![], body))
}

/// A server that fails may have acted before. Only what is safe to repeat is sent again.
#[test]
fn failure_of_the_server_is_in_doubt() {
    let unknown = r#"{"errcode":"M_UNKNOWN","error":"oops"}"#;
    for (status, body) in [
        (500, unknown),
        (500, r#"{"errcode":"M_FORBIDDEN"}"#),
        (500, r#"{"errcode":"ORG.EXAMPLE.BROKEN","error":5}"#),
        (500, "<html>"),
        (500, ""),
        (502, unknown),
        (503, unknown),
        (504, r#"{"errcode":"M_NOT_YET_UPLOADED"}"#),
        (507, unknown),
        (507, "<html>"),
        (508, ""),
        (509, "<html>"),
        (520, unknown),
        (529, "Site is overloaded"),
        (530, "error code: 1016"),
        (598, ""),
        (599, unknown),
    ] {
        let mut harness = Harness::new();
        let id = harness.submit(job().with_retry_safety(RetrySafety::OnlyIfNotProcessed));
        let step = harness.step(Input::Completed(id, answer(status, body)));
        let Outcome::InDoubt(error) = outcome(&step) else {
            panic!("{status} {body}: {:?}", outcome(&step));
        };
        assert_eq!(error.processed, Processed::Maybe);
        assert_eq!(
            error.message.contains("M_UNKNOWN: oops"),
            body == unknown,
            "{error}"
        );

        for safety in [RetrySafety::TxnId, RetrySafety::Idempotent] {
            let mut harness = Harness::new();
            let id = harness.submit(job().with_retry_safety(safety));
            let step = harness.step(Input::Completed(id, answer(status, body)));
            let id = harness.wake(&step);
            let step = harness.step(Input::Completed(id, answer(200, "{}")));
            assert!(outcome(&step).success(), "{status} {body} {safety:?}");
        }
    }
}

#[test]
fn refusal_is_final() {
    for (status, body) in [
        (400, r#"{"errcode":"M_UNKNOWN"}"#),
        (403, r#"{"errcode":"M_FORBIDDEN"}"#),
        (404, "<html>"),
        (499, r#"{"errcode":"M_UNKNOWN"}"#),
        (500, r#"{"errcode":"M_UNRECOGNIZED"}"#),
        (501, r#"{"errcode":"M_UNKNOWN"}"#),
        (505, ""),
        (511, "<html>"),
    ] {
        let mut harness = Harness::new();
        let id = harness.submit(job());
        let step = harness.step(Input::Completed(id, answer(status, body)));
        assert!(
            matches!(outcome(&step), Outcome::Responded(response) if response.status_code() == status),
            "{status} {body}"
        );
    }
}

/// The server did not process it, and says so.
#[test]
fn unavailable_server_is_asked_again() {
    for (status, body) in [
        (408, r#"{"errcode":"M_UNKNOWN"}"#),
        (503, ""),
        (503, "<html>"),
        (503, r#"{"error":"maintenance"}"#),
        (503, r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
        (503, r#"{"errcode":"M_UNKNOWN","retry_after_ms":10}"#),
    ] {
        let mut harness = Harness::new();
        let id = harness.submit(job().with_retry_safety(RetrySafety::OnlyIfNotProcessed));
        let step = harness.step(Input::Completed(id, answer(status, body)));
        let id = harness.wake(&step);
        let step = harness.step(Input::Completed(id, answer(200, "{}")));
        assert!(outcome(&step).success(), "{status} {body}");
    }
}

#[test]
fn cancel_in_flight_is_in_doubt() {
    let mut harness = Harness::new();
    let id = harness.submit(job());
    let _ = harness.step(Input::Completed(id, status(429)));
    let step = harness.step(Input::Cancel(JobId(1)));
    assert_eq!(outcome(&step), &Outcome::Cancelled);
    assert_eq!(step.wake_at, None);

    harness.now += 1_000;
    let id = harness.submit(job());
    let step = harness.step(Input::Cancel(JobId(2)));
    assert_eq!(step.effects, [Effect::Abort(id)]);
    assert!(matches!(outcome(&step), Outcome::InDoubt(_)));
    let late = harness.step(Input::Completed(id, status(200)));
    assert_eq!(late, Step::default(), "a late result is ignored");
}

#[test]
fn clock_set_back_keeps_waits_short() {
    let mut harness = Harness::new();
    harness.now = 10_000_000_000;
    let id = harness.submit(job());
    let _ = harness.step(Input::Completed(id, status(429)));
    harness.now = 5_000;
    let step = harness.step(Input::Wake);
    assert_eq!(step.wake_at, Some(Timestamp::from_millis(6_000)));
    harness.wake(&step);
}

#[test]
fn clone_is_an_independent_snapshot() {
    let mut harness = Harness::new();
    let id = harness.submit(job());
    let snapshot = harness.scheduler.clone();
    let _ = harness.step(Input::Completed(id, status(200)));
    assert_eq!(harness.scheduler.pending().count(), 0);
    assert_eq!(snapshot.pending().count(), 1);
}

proptest! {
    #[test]
    fn every_job_ends_exactly_once(
        results in prop::collection::vec((0u16..700, any::<bool>(), any::<bool>()), 1..40),
        cancel_at in 0usize..60,
    ) {
        let mut harness = Harness::new();
        let mut step = harness.step(Input::Submit(Arc::new(job())));
        let mut finished = 0;
        for (round, (code, fails, maybe)) in results.into_iter().cycle().take(2_000).enumerate() {
            finished += step.events.iter().filter(|e| matches!(e, Event::Finished(..))).count();
            if round == cancel_at {
                step = harness.step(Input::Cancel(JobId(1)));
            } else if let [Effect::Send(id, _), ..] = &step.effects[..] {
                let processed = if maybe { Processed::Maybe } else { Processed::No };
                let result = if fails { failed(TransportErrorKind::Timeout, processed) } else { status(code) };
                step = harness.step(Input::Completed(*id, result));
            } else if let Some(wake) = step.wake_at {
                harness.now = wake.as_millis();
                step = harness.step(Input::Wake);
            } else {
                break;
            }
        }
        prop_assert_eq!(finished, 1);
    }
}
