//! Queues keep their order and can be controlled. Clones of a runner share them.

use std::{
    sync::{Arc, Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use matricula_core::{
    QueuePolicy,
    scheduler::{Event, JobStatus, Outcome, Rejection, SchedulerConfig},
};
use matricula_http::SubmitError;

use super::{
    Handle, builder, enter, next, next_event, run, runner, stop, submit, try_next_event, wait,
};
use crate::{
    get, post, response, send,
    server::{Reply, Server, answer, ok, targets, when_released},
};

fn wait_until_waiting(handle: &mut Handle) {
    while !matches!(next(handle).unwrap(), Event::Waiting { .. }) {}
}

#[test]
fn queue_keeps_submission_order() {
    let _context = enter();
    let server = Server::start((0..20).map(|_| ok()).collect::<Vec<_>>());
    let runner = runner();
    let handles: Vec<_> = (0..20)
        .map(|txn| submit(&runner.clone(), send(&server.url, &txn.to_string(), "q")).unwrap())
        .collect();
    for handle in handles {
        assert!(wait(handle).success());
    }
    let expected: Vec<_> = (0..20).map(|txn| txn.to_string()).collect();
    assert_eq!(targets(&server), expected);
    assert!(runner.queues().scheduler().is_empty());
}

#[test]
fn jobs_without_queue_run_concurrently() {
    let _context = enter();
    // Each is answered when both have come.
    let barrier = Arc::new(Barrier::new(2));
    let server = |barrier: Arc<Barrier>| {
        let reply: Reply = Box::new(move |to| {
            barrier.wait();
            ok()(to)
        });
        Server::start([reply])
    };
    let (one, other) = (server(Arc::clone(&barrier)), server(barrier));
    let runner = runner();
    let first = submit(&runner, get(&one.url)).unwrap();
    let second = submit(&runner, get(&other.url)).unwrap();
    assert!(wait(first).success());
    assert!(wait(second).success());
}

#[test]
fn held_queue_continues_after_retry() {
    let _context = enter();
    let refusal = answer("403 Forbidden", &[], r#"{"errcode":"M_FORBIDDEN"}"#);
    let server = Server::start([refusal, ok(), ok()]);
    let runner = runner();
    let mut events = runner.events();
    let job = |txn| send(&server.url, txn, "q").with_queue("q", QueuePolicy::Hold);
    let first = submit(&runner, job("a")).unwrap();
    let second = submit(&runner, job("b")).unwrap();
    let held = loop {
        if let Event::Held { queue, job_id, .. } = next_event(&mut events).unwrap() {
            break (queue, job_id);
        }
    };
    assert_eq!(held, ("q".to_owned(), first.job_id()));
    assert_eq!(first.status(), Some(JobStatus::Held));
    assert_eq!(second.status(), Some(JobStatus::Queued { ahead: 1 }));
    runner.queues().retry("q");
    assert!(wait(first).success());
    assert!(wait(second).success());
    assert_eq!(targets(&server), ["a", "a", "b"]);
}

#[test]
fn skipped_job_keeps_its_outcome() {
    let _context = enter();
    let refusal = answer("403 Forbidden", &[], r#"{"errcode":"M_FORBIDDEN"}"#);
    let server = Server::start([refusal, ok()]);
    let runner = runner();
    let job = send(&server.url, "a", "q").with_queue("q", QueuePolicy::Hold);
    let mut first = submit(&runner, job).unwrap();
    while !matches!(next(&mut first).unwrap(), Event::Held { .. }) {}
    let second = submit(&runner, send(&server.url, "b", "q")).unwrap();
    runner.queues().skip("q");
    assert_eq!(response(wait(first)).error_code(), "M_FORBIDDEN");
    assert!(wait(second).success());
}

#[test]
fn paused_queue_sends_nothing() {
    let _context = enter();
    let server = Server::start([ok()]);
    let runner = runner();
    runner.queues().pause("q");
    let job = submit(&runner, send(&server.url, "a", "q")).unwrap();
    assert_eq!(job.status(), Some(JobStatus::Paused));
    assert!(server.requests().is_empty());
    runner.queues().resume("q");
    assert!(wait(job).success());
}

#[test]
fn cancelled_request_ends_before_its_response() {
    let _context = enter();
    let (release, released) = mpsc::channel();
    let server = Server::start([when_released(released), ok()]);
    let runner = runner();
    let job = submit(&runner, post(&server.url)).unwrap();
    let job_id = job.job_id();
    while server.requests().is_empty() {
        thread::yield_now();
    }
    job.cancel();
    let outcome = wait(job);
    assert!(matches!(outcome, Outcome::InDoubt(_)), "{outcome:?}");
    // The response comes after all, and is ignored; other jobs continue.
    let mut events = runner.events();
    release.send(()).unwrap();
    let other = submit(&runner, get(&server.url)).unwrap();
    assert!(wait(other).success());
    while let Some(event) = try_next_event(&mut events) {
        assert_ne!(event.job_id(), Some(job_id), "{event:?}");
    }
    stop(&runner);
}

#[test]
fn waiting_job_can_be_cancelled() {
    let _context = enter();
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":60000}"#;
    let server = Server::start([answer("429 Too Many Requests", &[], limited), ok()]);
    let runner = runner();
    let mut job = submit(&runner, post(&server.url)).unwrap();
    wait_until_waiting(&mut job);
    job.cancel();
    assert_eq!(wait(job), Outcome::Cancelled);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn heard_outcome_can_be_awaited() {
    let _context = enter();
    let server = Server::start([ok()]);
    let runner = runner();
    let mut job = submit(&runner, get(&server.url)).unwrap();
    while next(&mut job).is_some() {}
    assert!(wait(job).success());
}

#[test]
fn job_runs_without_its_handle() {
    let _context = enter();
    let server = Server::start([ok(), ok()]);
    let runner = runner();
    drop(submit(&runner, send(&server.url, "a", "q")).unwrap());
    let second = submit(&runner, send(&server.url, "b", "q")).unwrap();
    assert!(wait(second).success());
    assert_eq!(targets(&server), ["a", "b"]);
}

#[test]
fn full_scheduler_rejects_jobs() {
    let _context = enter();
    let mut config = SchedulerConfig::default();
    config.max_jobs = 1;
    let (release, released) = mpsc::channel();
    let server = Server::start([when_released(released)]);
    let runner = builder().scheduler(config).build().unwrap();
    let first = submit(&runner, send(&server.url, "a", "q")).unwrap();
    let refusal = submit(&runner, get(&server.url)).unwrap_err();
    assert_eq!(
        refusal,
        SubmitError::Refused(Rejection::Full { max_jobs: 1 })
    );
    let outcome = run(&runner, get(&server.url));
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    release.send(()).unwrap();
    assert!(wait(first).success());
}

#[test]
fn offline_runner_sends_nothing() {
    let _context = enter();
    let server = Server::start([ok()]);
    let runner = runner();
    runner.queues().set_online(false);
    let job = submit(&runner, get(&server.url)).unwrap();
    assert_eq!(job.status(), Some(JobStatus::Offline));
    runner.queues().set_online(true);
    assert!(wait(job).success());
}

#[test]
fn stop_waits_for_requests_in_flight() {
    let _context = enter();
    let (release, released) = mpsc::channel();
    let server = Server::start([when_released(released)]);
    let runner = runner();
    let first = submit(&runner, send(&server.url, "a", "q")).unwrap();
    let second = submit(&runner, send(&server.url, "b", "q")).unwrap();
    while server.requests().is_empty() {
        thread::yield_now();
    }
    // Before the response can come, which could be faster than the thread that stops.
    runner.queues().set_online(false);
    let (stopped, is_stopped) = mpsc::channel();
    let stopping = thread::spawn({
        let runner = runner.clone();
        move || {
            stop(&runner);
            let _ = stopped.send(());
        }
    });
    // Only time can show that it waits.
    let early = is_stopped.recv_timeout(Duration::from_millis(50));
    assert!(early.is_err(), "the response has not come");
    release.send(()).unwrap();
    stopping.join().unwrap();
    assert!(wait(first).success());
    assert_eq!(second.status(), Some(JobStatus::Offline));
    assert_eq!(targets(&server), ["a"]);
}

#[test]
fn rate_limited_job_is_retried_on_time() {
    let _context = enter();
    let limited = answer("429 Too Many Requests", &[], r#"{"retry_after_ms":150}"#);
    let server = Server::start([limited, ok(), ok()]);
    let runner = runner();
    let start = Instant::now();
    let mut first = submit(&runner, send(&server.url, "a", "q")).unwrap();
    wait_until_waiting(&mut first);
    let second = submit(&runner, send(&server.url, "b", "r")).unwrap();
    let status = second.status();
    assert!(
        matches!(status, Some(JobStatus::RateLimited { .. })),
        "{status:?}"
    );
    assert!(wait(second).success());
    assert!(wait(first).success());
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert_eq!(targets(&server), ["a", "a", "b"]);
}
