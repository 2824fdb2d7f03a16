//! What the runner for tokio does with its store besides the shared tests.

use matricula_core::scheduler::{JobStatus, tables};
use matricula_http::Runner;
use matricula_store::{IfLocked, SqliteStore};

use super::{runtime, shared::builder};
use crate::{
    disk::Disk,
    options, send,
    server::{Server, UnreachedServer, ok, targets},
};

fn durable(disk: &Disk) -> Runner {
    Runner::builder()
        .options(options())
        .store(disk.clone())
        .build()
        .unwrap()
}

#[test]
fn unawaited_submissions_share_one_write() {
    let server = Server::start((0..100).map(|_| ok()).collect::<Vec<_>>());
    let disk = Disk::default();
    runtime().block_on(async {
        let runner = durable(&disk);
        disk.set(|gate| gate.is_shut = true);
        let submitted: Vec<_> = (0..100)
            .map(|txn| runner.submit(send(&server.url, &txn.to_string(), "q")))
            .collect();
        disk.set(|gate| gate.is_shut = false);
        let mut handles = Vec::new();
        for handle in submitted {
            handles.push(handle.await.unwrap());
        }
        // The first was being written when the others were submitted.
        assert!(disk.commits() <= 3, "{}", disk.commits());
        for handle in handles {
            assert!(handle.await.success());
        }
    });
    let expected: Vec<_> = (0..100).map(|txn| txn.to_string()).collect();
    assert_eq!(targets(&server), expected);
}

#[test]
fn second_runner_continues_stored_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let open = || SqliteStore::open(&path, IfLocked::Refuse).unwrap();
    let server = Server::start([ok(), ok()]);
    let second = runtime().block_on(async {
        let runner = builder().store(open()).build().unwrap();
        let first = runner.submit(send(&server.url, "a", "q")).await.unwrap();
        assert!(first.await.success());
        runner.stop().await;
        let second = runner.submit(send(&server.url, "b", "q")).await.unwrap();
        assert_eq!(second.status(), Some(JobStatus::Offline));
        second.job_id()
    });
    runtime().block_on(async {
        let runner = builder().store(open()).build().unwrap();
        let outcome = match runner.handle(second) {
            Some(handle) => handle.await,
            None => runner.outcome(second).await.unwrap().unwrap(),
        };
        assert!(outcome.success(), "{outcome:?}");
        assert_eq!(runner.queues().scheduler().ended().count(), 2);
    });
    assert_eq!(targets(&server), ["a", "b"]);
}

#[test]
fn pending_write_survives_runtime_end() {
    let server = UnreachedServer::new();
    let disk = Disk::default();
    runtime().block_on(async {
        // The runtime ends before the write starts.
        drop(durable(&disk).submit(send(&server.url, "a", "q")));
    });
    assert_eq!(disk.keys(tables::JOBS), 1);
}
