//! What the runner for tokio does with futures and runtimes besides the shared tests.

use std::time::{Duration, Instant};

use matricula_core::{
    Job, Method, QueuePolicy, ServerUrl,
    scheduler::{JobStatus, Outcome},
};
use matricula_http::Runner;

use super::{runtime, shared::runner};
use crate::{
    PATIENCE, options, post,
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
fn next_runtime_retries_interrupted_jobs() {
    let server = Server::start([ok(), ok()]);
    let runner = Runner::new(options());
    let first = runtime();
    first.block_on(async {
        // Submitted, and not sent before the runtime ends.
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
