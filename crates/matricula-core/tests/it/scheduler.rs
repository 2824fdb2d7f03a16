//! The first scheduler: jobs run at once, are retried only where that is safe, and end once.

use std::sync::Arc;

use matricula_core::{
    Body, Processed, Response, RetrySafety, Step, Timestamp, TransportErrorKind, TransportResult,
    scheduler::{Effect, Event, Input, JobId, Outcome, WaitReason},
};
use proptest::prelude::*;

use crate::{
    job,
    world::{World, failed, outcome, sent, status},
};

#[test]
fn a_job_is_sent_at_once_and_its_answer_ends_it() {
    let mut world = World::new();
    let step = world.step(Input::Submit(Arc::new(
        job().with_data(serde_json::json!({"k": "v"})),
    )));
    let (job_id, attempt) = (JobId(1), 1);
    let expected = [Event::Accepted(job_id), Event::Started { job_id, attempt }];
    assert_eq!(step.events, expected);
    assert_eq!(step.wake_at, None);
    assert_eq!(world.scheduler.pending().count(), 1);
    let step = world.step(Input::Completed(sent(&step), status(400)));
    let Outcome::Responded(response) = outcome(&step) else {
        panic!("{step:?}")
    };
    assert_eq!(
        (response.status_code(), response.operation_id()),
        (400, "register")
    );
    assert_eq!(response.data_str("k"), Some("v"));
    assert_eq!(world.scheduler.pending().count(), 0);
}

#[test]
fn a_429_waits_as_long_as_the_server_says_and_says_so() {
    let mut world = World::new();
    let id = world.submit(job());
    let limited = Response::new(429, vec![("Retry-After".into(), "7".into())], Body::Empty);
    let step = world.step(Input::Completed(id, TransportResult::Response(limited)));
    let until = Timestamp::from_millis(world.now + 7_000);
    assert_eq!(
        step.events,
        [Event::Waiting {
            job_id: JobId(1),
            until,
            reason: WaitReason::RateLimited
        }]
    );
    assert_eq!(step.wake_at, Some(until));
    let id = world.wake(&step);
    let step = world.step(Input::Completed(id, status(200)));
    assert!(matches!(outcome(&step), Outcome::Responded(_)));
}

#[test]
fn a_server_that_is_never_satisfied_is_given_up_with_its_429() {
    let mut world = World::new();
    let mut id = world.submit(job());
    let start = world.now;
    for _ in 0..1_000 {
        let step = world.step(Input::Completed(id, status(429)));
        if let [Event::Finished(_, Outcome::Responded(response))] = &step.events[..] {
            assert_eq!(response.status_code(), 429);
            assert!(world.now - start <= 600_000);
            return;
        }
        id = world.wake(&step);
    }
    panic!("it was never given up");
}

#[test]
fn an_absurd_retry_after_ends_the_job_instead_of_parking_it_for_years() {
    let mut world = World::new();
    let id = world.submit(job());
    let header = vec![("Retry-After".into(), u64::MAX.to_string())];
    let step = world.step(Input::Completed(
        id,
        TransportResult::Response(Response::new(429, header, Body::Empty)),
    ));
    assert!(matches!(outcome(&step), Outcome::Responded(_)));
}

#[test]
fn a_server_that_says_now_each_time_is_asked_less_and_less() {
    let mut world = World::new();
    let now = || Response::new(429, vec![("Retry-After".into(), "0".into())], Body::Empty);
    let mut id = world.submit(job());
    let mut waits = Vec::new();
    for _ in 0..10 {
        let before = world.now;
        let step = world.step(Input::Completed(id, TransportResult::Response(now())));
        id = world.wake(&step);
        waits.push(world.now - before);
    }
    assert_eq!(
        waits,
        [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 12_800]
    );
}

#[test]
fn a_wait_and_then_an_absurd_one_end_the_job() {
    let mut world = World::new();
    let limited = |wait: u64| {
        let header = vec![("Retry-After".into(), wait.to_string())];
        TransportResult::Response(Response::new(429, header, Body::Empty))
    };
    let id = world.submit(job());
    let step = world.step(Input::Completed(id, limited(1)));
    let id = world.wake(&step);
    let step = world.step(Input::Completed(id, limited(u64::MAX)));
    assert!(matches!(outcome(&step), Outcome::Responded(_)));
}

#[test]
fn a_refused_connection_is_retried_with_growing_waits_then_fails() {
    let mut world = World::new();
    let mut id = world.submit(job());
    for bound in [500, 1_000, 2_000] {
        let step = world.step(Input::Completed(
            id,
            failed(TransportErrorKind::Connect, Processed::No),
        ));
        let wait = step.wake_at.unwrap().as_millis() - world.now;
        assert!(wait <= bound, "{wait} > {bound}");
        id = world.wake(&step);
    }
    let step = world.step(Input::Completed(
        id,
        failed(TransportErrorKind::Connect, Processed::No),
    ));
    assert!(
        matches!(outcome(&step), Outcome::Failed(error) if error.kind == TransportErrorKind::Connect)
    );
}

#[test]
fn what_may_have_been_processed_is_resent_only_if_doing_it_twice_is_doing_it_once() {
    for (retry, answer, resent) in [
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
        let mut world = World::new();
        let id = world.submit(job().with_retry_safety(retry));
        let step = world.step(Input::Completed(id, answer.clone()));
        if resent {
            world.wake(&step);
        } else {
            assert!(
                matches!(outcome(&step), Outcome::InDoubt(_)),
                "{retry:?} {answer:?}: {step:?}"
            );
        }
    }
}

#[test]
fn failures_that_time_does_not_mend_end_the_job_at_once() {
    for kind in [
        TransportErrorKind::Tls,
        TransportErrorKind::TooLarge,
        TransportErrorKind::Redirect,
        TransportErrorKind::InvalidRequest,
    ] {
        let mut world = World::new();
        let id = world.submit(job());
        let step = world.step(Input::Completed(id, failed(kind, Processed::No)));
        assert!(
            matches!(outcome(&step), Outcome::Failed(error) if error.kind == kind),
            "{kind:?}"
        );
    }
}

#[test]
fn a_server_that_stays_unavailable_ends_the_job_with_its_own_answer() {
    let mut world = World::new();
    let mut id = world.submit(job());
    for _ in 0..3 {
        let step = world.step(Input::Completed(id, status(503)));
        id = world.wake(&step);
    }
    let step = world.step(Input::Completed(id, status(503)));
    assert!(
        matches!(outcome(&step), Outcome::Responded(response) if response.status_code() == 503)
    );
}

#[test]
fn a_500_in_the_servers_own_words_is_final() {
    let mut world = World::new();
    let id = world.submit(job());
    let body = Body::Json(r#"{"errcode":"M_UNKNOWN","error":"oops"}"#.into());
    let step = world.step(Input::Completed(
        id,
        TransportResult::Response(Response::new(500, vec![], body)),
    ));
    assert!(
        matches!(outcome(&step), Outcome::Responded(response) if response.error_message() == "oops")
    );
}

#[test]
fn cancelling_what_waits_cancels_it_and_what_is_on_the_wire_is_in_doubt() {
    let mut world = World::new();
    let id = world.submit(job());
    let _ = world.step(Input::Completed(id, status(429)));
    let step = world.step(Input::Cancel(JobId(1)));
    assert_eq!(outcome(&step), &Outcome::Cancelled);
    assert_eq!(step.wake_at, None);

    world.now += 1_000;
    let id = world.submit(job());
    let step = world.step(Input::Cancel(JobId(2)));
    assert_eq!(step.effects, [Effect::Abort(id)]);
    assert!(matches!(outcome(&step), Outcome::InDoubt(_)));
    let late = world.step(Input::Completed(id, status(200)));
    assert_eq!(late, Step::default(), "a late answer ends nothing twice");
}

#[test]
fn a_clock_that_was_set_back_does_not_make_a_job_wait_for_ever() {
    let mut world = World::new();
    world.now = 10_000_000_000;
    let id = world.submit(job());
    let _ = world.step(Input::Completed(id, status(429)));
    world.now = 5_000;
    let step = world.step(Input::Wake);
    assert_eq!(step.wake_at, Some(Timestamp::from_millis(6_000)));
    world.wake(&step);
}

#[test]
fn a_clone_is_a_snapshot_that_goes_its_own_way() {
    let mut world = World::new();
    let id = world.submit(job());
    let snapshot = world.scheduler.clone();
    let _ = world.step(Input::Completed(id, status(200)));
    assert_eq!(world.scheduler.pending().count(), 0);
    assert_eq!(snapshot.pending().count(), 1);
}

proptest! {
    #[test]
    fn whatever_comes_back_every_job_ends_exactly_once(
        answers in prop::collection::vec((0u16..700, any::<bool>(), any::<bool>()), 1..40),
        cancel_at in 0usize..60,
    ) {
        let mut world = World::new();
        let mut step = world.step(Input::Submit(Arc::new(job())));
        let mut finished = 0;
        for (turn, (code, fails, maybe)) in answers.into_iter().cycle().take(2_000).enumerate() {
            finished += step.events.iter().filter(|e| matches!(e, Event::Finished(..))).count();
            if turn == cancel_at {
                step = world.step(Input::Cancel(JobId(1)));
            } else if let [Effect::Send(id, _), ..] = &step.effects[..] {
                let processed = if maybe { Processed::Maybe } else { Processed::No };
                let answer = if fails { failed(TransportErrorKind::Timeout, processed) } else { status(code) };
                step = world.step(Input::Completed(*id, answer));
            } else if let Some(wake) = step.wake_at {
                world.now = wake.as_millis();
                step = world.step(Input::Wake);
            } else {
                break;
            }
        }
        prop_assert_eq!(finished, 1);
    }
}
