//! Clones of a runner share queues, and are told of them.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use matricula_core::{
    QueuePolicy,
    scheduler::{Event, JobStatus, Outcome, Rejection, SchedulerConfig},
};
use matricula_http::{
    SubmitError,
    blocking::{EventOrLag, Events},
};

use super::shared::{builder, runner};
use crate::{
    PATIENCE, get, post, response, send,
    server::{Server, answer, ok, targets, when_told},
};

fn wait_for(events: &mut Events, is_it: impl Fn(&Event) -> bool) -> Event {
    loop {
        match events.next_within(PATIENCE) {
            Some(EventOrLag::Event(event)) if is_it(&event) => return event,
            Some(_) => {}
            None => panic!("it does not happen"),
        }
    }
}

#[test]
fn queue_keeps_submission_order() {
    let server = Server::start((0..20).map(|_| ok()).collect::<Vec<_>>());
    let runner = runner();
    let handles: Vec<_> = (0..20)
        .map(|txn| {
            let job = send(&server.url, &txn.to_string(), "q");
            runner.clone().submit(job).unwrap()
        })
        .collect();
    for handle in handles {
        assert!(handle.wait().success());
    }
    let expected: Vec<_> = (0..20).map(|txn| txn.to_string()).collect();
    assert_eq!(targets(&server), expected);
    assert!(runner.queues().scheduler().is_empty());
}

#[test]
fn jobs_without_queue_run_concurrently() {
    // Each is answered when both have come.
    let together = Arc::new(std::sync::Barrier::new(2));
    let server = |together: Arc<std::sync::Barrier>| {
        Server::start([Box::new(move |to: &mut dyn std::io::Write| {
            together.wait();
            ok()(to)
        }) as crate::server::Reply])
    };
    let (one, other) = (server(Arc::clone(&together)), server(together));
    let runner = runner();
    let first = runner.submit(get(&one.url)).unwrap();
    let second = runner.submit(get(&other.url)).unwrap();
    assert!(first.wait().success());
    assert!(second.wait().success());
}

#[test]
fn held_queue_continues_after_retry() {
    let refusal = answer("403 Forbidden", &[], r#"{"errcode":"M_FORBIDDEN"}"#);
    let server = Server::start([refusal, ok(), ok()]);
    let runner = runner();
    let mut events = runner.events();
    let held = |txn| send(&server.url, txn, "q").with_queue("q", QueuePolicy::Hold);
    let first = runner.submit(held("a")).unwrap();
    let second = runner.submit(held("b")).unwrap();
    let event = wait_for(&mut events, |event| matches!(event, Event::Held { .. }));
    assert_eq!(event.job_id(), Some(first.job_id()));
    assert_eq!(first.status(), Some(JobStatus::Held));
    assert_eq!(second.status(), Some(JobStatus::Queued { ahead: 1 }));
    runner.queues().retry("q");
    assert!(first.wait().success());
    assert!(second.wait().success());
    assert_eq!(targets(&server), ["a", "a", "b"]);
}

#[test]
fn skipped_job_keeps_its_outcome() {
    let refusal = answer("403 Forbidden", &[], r#"{"errcode":"M_FORBIDDEN"}"#);
    let server = Server::start([refusal, ok()]);
    let runner = runner();
    let mut events = runner.events();
    let first = runner
        .submit(send(&server.url, "a", "q").with_queue("q", QueuePolicy::Hold))
        .unwrap();
    wait_for(&mut events, |event| matches!(event, Event::Held { .. }));
    let second = runner.submit(send(&server.url, "b", "q")).unwrap();
    runner.queues().skip("q");
    assert_eq!(response(first.wait()).error_code(), "M_FORBIDDEN");
    assert!(second.wait().success());
}

#[test]
fn paused_queue_sends_nothing() {
    let server = Server::start([ok()]);
    let runner = runner();
    runner.queues().pause("q");
    let job = runner.submit(send(&server.url, "a", "q")).unwrap();
    assert_eq!(job.status(), Some(JobStatus::Paused));
    assert!(server.requests().is_empty());
    runner.queues().resume("q");
    assert!(job.wait().success());
}

#[test]
fn cancelled_request_ends_before_its_response() {
    let (tell, told) = mpsc::channel();
    let server = Server::start([when_told(told), ok()]);
    let runner = runner();
    let mut job = runner.submit(post(&server.url)).unwrap();
    assert!(job.any(|event| matches!(event, Event::Started { .. })));
    while server.requests().is_empty() {
        thread::yield_now();
    }
    job.cancel();
    let outcome = job.wait();
    assert!(matches!(outcome, Outcome::InDoubt(_)), "{outcome:?}");
    // Its answer comes after all, and nobody hears it; others go on.
    let mut events = runner.events();
    tell.send(()).unwrap();
    assert!(runner.run(get(&server.url)).success());
    while let Some(heard) = events.try_next() {
        let EventOrLag::Event(event) = heard else {
            panic!("{heard:?}")
        };
        assert!(
            !matches!(event, Event::Finished(job_id, _) if job_id.0 == 1),
            "{event:?}"
        );
    }
    runner.stop();
}

#[test]
fn waiting_job_can_be_cancelled() {
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":60000}"#;
    let server = Server::start([answer("429 Too Many Requests", &[], limited), ok()]);
    let runner = runner();
    let mut job = runner.submit(post(&server.url)).unwrap();
    assert!(job.any(|event| matches!(event, Event::Waiting { .. })));
    job.cancel();
    assert_eq!(job.wait(), Outcome::Cancelled);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn full_scheduler_rejects_jobs() {
    let mut limits = SchedulerConfig::default();
    limits.max_jobs = 1;
    let (tell, told) = mpsc::channel();
    let server = Server::start([when_told(told)]);
    let runner = builder().scheduler(limits).build().unwrap();
    let first = runner.submit(send(&server.url, "a", "q")).unwrap();
    let refusal = runner.submit(get(&server.url)).unwrap_err();
    assert_eq!(refusal, SubmitError::Refused(Rejection::Full { most: 1 }));
    let outcome = runner.run(get(&server.url));
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    tell.send(()).unwrap();
    assert!(first.wait().success());
}

#[test]
fn offline_runner_sends_nothing() {
    let server = Server::start([ok()]);
    let runner = runner();
    runner.queues().set_online(false);
    let job = runner.submit(get(&server.url)).unwrap();
    assert_eq!(job.status(), Some(JobStatus::Offline));
    runner.queues().set_online(true);
    assert!(job.wait().success());
}

#[test]
fn stop_waits_for_requests_in_flight() {
    let (tell, told) = mpsc::channel();
    let server = Server::start([when_told(told)]);
    let runner = runner();
    let first = runner.submit(send(&server.url, "a", "q")).unwrap();
    let second = runner.submit(send(&server.url, "b", "q")).unwrap();
    while server.requests().is_empty() {
        thread::yield_now();
    }
    // Said before, lest the answer be faster than the thread that stops.
    runner.queues().set_online(false);
    let (stopped, is_stopped) = mpsc::channel();
    let stopping = thread::spawn({
        let runner = runner.clone();
        move || {
            runner.stop();
            let _ = stopped.send(());
        }
    });
    // Time alone can show that it waits.
    let early = is_stopped.recv_timeout(Duration::from_millis(50));
    assert!(early.is_err(), "the answer has not come");
    tell.send(()).unwrap();
    stopping.join().unwrap();
    assert!(first.wait().success());
    assert_eq!(second.status(), Some(JobStatus::Offline));
    assert_eq!(targets(&server), ["a"]);
}

#[test]
fn slow_listener_learns_its_lag() {
    let server = Server::start((0..100).map(|_| ok()).collect::<Vec<_>>());
    let runner = runner();
    let mut events = runner.events();
    for _ in 0..100 {
        assert!(runner.run(get(&server.url)).success());
    }
    runner.stop();
    drop(runner);
    // Accepted, started and finished, of each the newest.
    let heard: Vec<_> = (&mut events).collect();
    assert_eq!(heard.len(), 257);
    assert_eq!(heard[0], EventOrLag::Lagged(300 - 256));
    assert!(matches!(heard[256], EventOrLag::Event(Event::Finished(..))));
    assert_eq!(events.next(), None, "it ends with the runner");
}

#[test]
fn rate_limited_job_is_retried_on_time() {
    let limited = answer("429 Too Many Requests", &[], r#"{"retry_after_ms":150}"#);
    let server = Server::start([limited, ok(), ok()]);
    let runner = runner();
    let start = Instant::now();
    let mut first = runner.submit(send(&server.url, "a", "q")).unwrap();
    assert!(first.any(|event| matches!(event, Event::Waiting { .. })));
    let second = runner.submit(send(&server.url, "b", "r")).unwrap();
    assert!(matches!(
        second.status(),
        Some(JobStatus::RateLimited { .. })
    ));
    assert!(second.wait().success());
    assert!(first.wait().success());
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert_eq!(targets(&server), ["a", "a", "b"]);
}
