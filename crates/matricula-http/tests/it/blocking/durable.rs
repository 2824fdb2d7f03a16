//! What the blocking runner does with its store besides the shared tests.

use std::thread;

use matricula_core::scheduler::JobStatus;
use matricula_http::blocking::Runner;
use matricula_store::{IfLocked, SqliteStore};

use super::shared::builder;
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
fn submitter_writes_only_its_own_batch() {
    let server = UnreachedServer::new();
    let disk = Disk::default();
    let runner = durable(&disk);
    disk.set(|gate| gate.is_shut = true);
    let submit = |txn: &str| {
        let (runner, job) = (runner.clone(), send(&server.url, txn, "q"));
        thread::spawn(move || runner.submit(job).unwrap())
    };
    let first = submit("a");
    disk.wait_for_a_commit();
    let second = submit("b");
    while runner.queues().scheduler().len() < 2 {
        thread::yield_now();
    }
    disk.let_one_pass();
    // It has its handle while the second job is still being written.
    first.join().unwrap();
    assert!(!second.is_finished());
    disk.set(|gate| gate.is_shut = false);
    second.join().unwrap();
}

#[test]
fn second_runner_continues_stored_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let open = || SqliteStore::open(&path, IfLocked::Refuse).unwrap();
    let server = Server::start([ok(), ok()]);
    let before = builder().store(open()).build().unwrap();
    let first = before.submit(send(&server.url, "a", "q")).unwrap();
    assert!(first.wait().success());
    before.stop();
    let second = before.submit(send(&server.url, "b", "q")).unwrap();
    assert_eq!(second.status(), Some(JobStatus::Offline));
    let job_id = second.job_id();
    drop((before, second));

    let runner = builder().store(open()).build().unwrap();
    let outcome = match runner.handle(job_id) {
        Some(handle) => handle.wait(),
        None => runner.outcome(job_id).unwrap().unwrap(),
    };
    assert!(outcome.success(), "{outcome:?}");
    assert_eq!(runner.queues().scheduler().ended().count(), 2);
    assert_eq!(targets(&server), ["a", "b"]);
}

#[test]
fn stopped_runner_releases_its_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let server = Server::start((0..20).map(|_| ok()).collect::<Vec<_>>());
    for txn in 0..20 {
        let store = SqliteStore::open(&path, IfLocked::Refuse).unwrap();
        let runner = builder().store(store).build().unwrap();
        let job = runner.submit(send(&server.url, &txn.to_string(), "q"));
        assert!(job.unwrap().wait().success());
        runner.stop();
    }
}
