//! Clones of a runner share queues, pace and what is known of them; nothing runs while nothing is to do.

use std::time::{Duration, Instant};

use matricula_core::{
    Job, Method, QueuePolicy, ServerUrl,
    scheduler::{Event, JobStatus, Outcome, Rejection, SchedulerConfig},
};
use matricula_http::{Runner, SubmitError};

use super::{
    runtime,
    shared::{builder, runner},
};
use crate::{
    PATIENCE, get, options, post,
    server::{Server, answer, ok, targets},
};

fn send(server: &ServerUrl, txn: &str, queue: &str, policy: QueuePolicy) -> Job {
    let path = format!("/_matrix/client/v3/rooms/r/send/m.room.message/{txn}");
    Job::new(server, &path, Method::Put, "sendMessage").with_queue(queue, policy)
}

const CONTINUE: QueuePolicy = QueuePolicy::AlwaysContinue;

#[test]
fn queue_keeps_submission_order() {
    let replies: Vec<_> = (0..20).map(|_| ok()).collect();
    let server = Server::start(replies);
    let runner = runner();
    runtime().block_on(async {
        let handles: Vec<_> = (0..20)
            .map(|txn| {
                let job = send(&server.url, &txn.to_string(), "q", CONTINUE);
                runner.clone().submit(job)
            })
            .collect();
        for handle in handles {
            assert!(handle.await.unwrap().await.success());
        }
    });
    let expected: Vec<_> = (0..20).map(|txn| txn.to_string()).collect();
    assert_eq!(targets(&server), expected);
    assert!(runner.queues().scheduler().is_empty());
}

#[test]
fn held_queue_continues_after_retry() {
    let refusal = answer("403 Forbidden", &[], r#"{"errcode":"M_FORBIDDEN"}"#);
    let server = Server::start([refusal, ok(), ok()]);
    let runner = runner();
    runtime().block_on(async {
        let mut events = runner.events();
        let first = runner.submit(send(&server.url, "a", "q", QueuePolicy::Hold));
        let second = runner.submit(send(&server.url, "b", "q", QueuePolicy::Hold));
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        let held = async {
            loop {
                if let Event::Held { queue, job_id, .. } = events.recv().await.unwrap() {
                    return (queue, job_id);
                }
            }
        };
        let held = tokio::time::timeout(PATIENCE, held).await.unwrap();
        assert_eq!(held, ("q".to_owned(), first.job_id()));
        let standing = |job_id| runner.queues().scheduler().status(job_id).unwrap();
        assert_eq!(standing(first.job_id()), JobStatus::Held);
        assert_eq!(standing(second.job_id()), JobStatus::Queued { ahead: 1 });
        runner.queues().retry("q");
        assert!(first.await.success());
        assert!(second.await.success());
    });
    assert_eq!(targets(&server), ["a", "a", "b"]);
}

#[test]
fn job_runs_without_its_handle() {
    let server = Server::start([ok(), ok()]);
    let runner = runner();
    runtime().block_on(async {
        drop(
            runner
                .submit(send(&server.url, "a", "q", CONTINUE))
                .await
                .unwrap(),
        );
        let second = runner.submit(send(&server.url, "b", "q", CONTINUE));
        let third = runner.submit(send(&server.url, "c", "q", CONTINUE));
        let (second, third) = (second.await.unwrap(), third.await.unwrap());
        second.cancel();
        assert_eq!(second.await, Outcome::Cancelled);
        assert!(third.await.success());
    });
    assert_eq!(targets(&server), ["a", "c"]);
}

#[test]
fn rate_limit_delays_later_jobs() {
    let limited = answer("429 Too Many Requests", &[], r#"{"retry_after_ms":300}"#);
    let server = Server::start([limited, ok(), ok()]);
    let runner = runner();
    runtime().block_on(async {
        let mut first = runner
            .submit(send(&server.url, "a", "q", CONTINUE))
            .await
            .unwrap();
        while !matches!(first.next().await, Some(Event::Waiting { .. })) {}
        let second = runner
            .submit(send(&server.url, "b", "r", CONTINUE))
            .await
            .unwrap();
        let standing = runner.queues().scheduler().status(second.job_id());
        assert!(
            matches!(standing, Some(JobStatus::RateLimited { .. })),
            "{standing:?}"
        );
        assert!(second.await.success());
        assert!(first.await.success());
    });
    assert_eq!(targets(&server), ["a", "a", "b"]);
}

#[test]
fn next_runtime_retries_interrupted_jobs() {
    let server = Server::start([ok(), ok()]);
    let runner = Runner::new(options());
    let first = runtime();
    first.block_on(async {
        // Handed in, and never given the time to be sent.
        drop(
            runner
                .submit(send(&server.url, "a", "q", CONTINUE))
                .await
                .unwrap(),
        );
        drop(
            runner
                .submit(send(&server.url, "b", "q", CONTINUE))
                .await
                .unwrap(),
        );
    });
    drop(first);
    assert_eq!(runner.queues().scheduler().len(), 2);
    runtime().block_on(async {
        let last = runner.submit(send(&server.url, "c", "r", CONTINUE));
        let _ = tokio::time::timeout(PATIENCE, async {
            while !runner.queues().scheduler().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        drop(last);
    });
    assert_eq!(runner.queues().scheduler().queue("q").count(), 0);
}

#[test]
fn full_scheduler_rejects_jobs() {
    let mut limits = SchedulerConfig::default();
    limits.max_jobs = 1;
    let server = Server::start([ok()]);
    let runner = builder().scheduler(limits).build().unwrap();
    runtime().block_on(async {
        let first = runner
            .submit(send(&server.url, "a", "q", CONTINUE))
            .await
            .unwrap();
        let refusal = runner.submit(get(&server.url)).await.unwrap_err();
        assert_eq!(refusal, SubmitError::Refused(Rejection::Full { most: 1 }));
        let outcome = runner.run(get(&server.url)).await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        assert!(first.await.success());
    });
}

#[test]
fn stop_waits_for_requests_in_flight() {
    let server = Server::start([ok()]);
    let runner = runner();
    runtime().block_on(async {
        let first = runner
            .submit(send(&server.url, "a", "q", CONTINUE))
            .await
            .unwrap();
        let second = runner
            .submit(send(&server.url, "b", "q", CONTINUE))
            .await
            .unwrap();
        runner.stop().await;
        assert!(first.await.success());
        assert_eq!(
            runner.queues().scheduler().status(second.job_id()),
            Some(JobStatus::Offline)
        );
    });
    assert_eq!(targets(&server), ["a"]);
}

#[test]
fn dropped_run_cancels_waiting_job() {
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5000}"#;
    let server = Server::start([answer("429 Too Many Requests", &[], limited), ok()]);
    let start = Instant::now();
    let runner = runner();
    let run = runner.run(post(&server.url));
    let given_up =
        runtime().block_on(async { tokio::time::timeout(Duration::from_millis(200), run).await });
    assert!(given_up.is_err(), "{given_up:?}");
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(server.requests().len(), 1);
}
