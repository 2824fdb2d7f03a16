//! Jobs of a durable runner are on disk before anybody relies on it, and a restart goes on with them.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};

use matricula_core::{
    Auth, CredentialRef, Secret,
    scheduler::{Event, JobId, JobStatus, Outcome, Rejection, tables},
};
use matricula_http::{
    Credentials, SubmitError,
    blocking::{Handle, Runner},
};
use matricula_store::{IfLocked, SqliteStore};

use super::shared::builder;
use crate::{
    disk::{Disk, full},
    get, make, options, send,
    server::{Server, Untouched, answer, ok, targets, when_told},
};

fn durable(disk: &Disk) -> Runner {
    Runner::builder()
        .options(options())
        .store(disk.clone())
        .build()
        .unwrap()
}

fn wait_until_started(handle: &mut Handle) {
    assert!(handle.any(|event| matches!(event, Event::Started { .. })));
}

fn wait_until_parked(handle: &mut Handle) {
    assert!(handle.any(|event| matches!(event, Event::AwaitingCredential { .. })));
}

#[test]
fn job_is_durable_before_handle_and_request() {
    let server = Untouched::new();
    let disk = Disk::default();
    let runner = durable(&disk);
    disk.set(|gate| gate.is_shut = true);
    let submitting = thread::spawn({
        let (runner, job) = (runner.clone(), send(&server.url, "a", "q"));
        move || runner.submit(job)
    });
    disk.wait_for_a_commit();
    assert!(!submitting.is_finished());
    server.assert();
    disk.set(|gate| gate.is_shut = false);
    let handle = submitting.join().unwrap().unwrap();
    assert_eq!((disk.commits(), disk.keys(tables::JOBS)), (1, 1));
    handle.cancel();
}

#[test]
fn outcome_is_durable_before_event() {
    let (tell, told) = mpsc::channel();
    let server = Server::start([when_told(told)]);
    let disk = Disk::default();
    let runner = durable(&disk);
    let mut events = runner.events();
    let mut handle = runner.submit(send(&server.url, "a", "q")).unwrap();
    wait_until_started(&mut handle);
    let job_id = handle.job_id();
    disk.set(|gate| gate.is_shut = true);
    tell.send(()).unwrap();
    disk.wait_for_a_commit();
    assert!(
        runner.queues().scheduler().is_empty(),
        "the answer has come"
    );
    while let Some(heard) = events.try_next() {
        assert!(!format!("{heard:?}").contains("Finished"), "{heard:?}");
    }
    disk.set(|gate| gate.is_shut = false);
    assert!(handle.wait().success());
    assert_eq!(disk.keys(tables::OUTCOMES), 1);

    // It is there for who asks, until it is forgotten.
    let kept: Vec<_> = runner.queues().scheduler().ended().collect();
    assert_eq!(kept, [job_id]);
    assert!(runner.outcome(job_id).unwrap().unwrap().success());
    runner.queues().drop_outcome(job_id);
    assert_eq!(runner.outcome(job_id).unwrap(), None);
    assert_eq!(runner.outcome(JobId(7)).unwrap(), None);
}

#[test]
fn concurrent_submissions_share_writes() {
    // No answer is kept before it is told to come.
    let (tell, told) = mpsc::channel();
    let replies = [when_told(told)].into_iter();
    let server = Server::start(replies.chain((1..50).map(|_| ok())).collect::<Vec<_>>());
    let disk = Disk::default();
    let runner = durable(&disk);
    disk.set(|gate| gate.is_shut = true);
    let submit = |txn: u32| {
        let (runner, job) = (runner.clone(), send(&server.url, &txn.to_string(), "q"));
        thread::spawn(move || runner.submit(job).unwrap())
    };
    let mut submitting = vec![submit(0)];
    disk.wait_for_a_commit();
    submitting.extend((1..50).map(submit));
    while runner.queues().scheduler().len() < 50 {
        thread::yield_now();
    }
    disk.set(|gate| gate.is_shut = false);
    let handles: Vec<_> = submitting
        .into_iter()
        .map(|it| it.join().unwrap())
        .collect();
    // The first was being written when the others came.
    assert!(disk.commits() <= 3, "{}", disk.commits());
    tell.send(()).unwrap();
    for handle in handles {
        assert!(handle.wait().success());
    }
    assert_eq!(targets(&server).len(), 50);
}

#[test]
fn submitter_writes_only_its_own_batch() {
    let server = Untouched::new();
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
    disk.let_one_through();
    // It has its handle while the second job is still being written.
    first.join().unwrap();
    assert!(!second.is_finished());
    disk.set(|gate| gate.is_shut = false);
    second.join().unwrap();
}

#[test]
fn restart_resends_only_safe_jobs() {
    // It takes connections, and never answers.
    let server = Untouched::new();
    let disk = Disk::default();
    let runner = durable(&disk);
    let mut sent = runner.submit(send(&server.url, "a", "q")).unwrap();
    let behind = runner.submit(send(&server.url, "b", "q")).unwrap();
    let mut made = runner.submit(make(&server.url, "r")).unwrap();
    wait_until_started(&mut sent);
    wait_until_started(&mut made);
    // The disk at the moment of a crash.
    let crashed = disk.copy();
    let runner = durable(&crashed);
    let outcome = runner.outcome(made.job_id()).unwrap().unwrap();
    assert!(matches!(outcome, Outcome::InDoubt(_)), "{outcome:?}");
    assert!(runner.handle(made.job_id()).is_none(), "it has ended");
    let again = runner.handle(sent.job_id()).unwrap();
    assert_eq!(again.status(), Some(JobStatus::InFlight));
    let behind = runner.handle(behind.job_id()).unwrap();
    assert_eq!(behind.status(), Some(JobStatus::Queued { ahead: 1 }));
    let next = runner.submit(send(&server.url, "c", "z")).unwrap();
    assert!(next.job_id() > behind.job_id(), "no job_id is given twice");
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

#[test]
fn secrets_are_never_stored() {
    let server = Server::start([ok()]);
    let disk = Disk::default();
    let runner = durable(&disk);
    let job = send(&server.url, "a", "q").with_token(Secret::from("syt_secret"));
    let refused = runner.submit(job).unwrap_err();
    assert_eq!(refused, SubmitError::Refused(Rejection::Secret));
    assert!(runner.run(get(&server.url)).success());
    // That job ids are given is all that was written.
    assert_eq!((disk.commits(), targets(&server).len()), (1, 1));
    assert_eq!(disk.keys(tables::JOBS) + disk.keys(tables::OUTCOMES), 0);
}

#[test]
fn full_store_stops_the_runner() {
    let (tell, told) = mpsc::channel();
    let server = Server::start([when_told(told)]);
    let disk = Disk::default();
    let runner = durable(&disk);
    let first = runner.submit(send(&server.url, "a", "q")).unwrap();
    while server.requests().is_empty() {
        thread::yield_now();
    }
    disk.set(|gate| gate.is_full = true);
    let second = runner.submit(send(&server.url, "b", "r"));
    assert_eq!(second.unwrap_err(), SubmitError::Store(full()));
    // Its answer comes, and cannot be kept.
    tell.send(()).unwrap();
    let Outcome::InDoubt(error) = first.wait() else {
        panic!("not in doubt")
    };
    assert!(error.message.contains("the disk is full"));
    let third = runner.submit(send(&server.url, "c", "s"));
    assert_eq!(third.unwrap_err(), SubmitError::Store(full()));
    assert_eq!(runner.outcome(JobId(1)).unwrap_err(), full());
    runner.stop();
    assert_eq!(targets(&server), ["a"]);
    // When there is room again, it goes on with what was kept.
    disk.set(|gate| gate.is_full = false);
    assert_eq!(disk.keys(tables::JOBS), 1);
}

#[test]
fn jobs_wait_for_missing_token() {
    let server = Server::start([ok(), ok()]);
    let alice = CredentialRef::new("alice");
    let runner = durable(&Disk::default());
    let job = |txn| send(&server.url, txn, "q").with_auth(Auth::Required(alice.clone()));
    let mut first = runner.submit(job("a")).unwrap();
    let second = runner.submit(job("b")).unwrap();
    wait_until_parked(&mut first);
    let token = Secret::from("syt_token");
    let credentials = runner.credentials();
    credentials.insert(alice.clone(), server.url.clone(), token);
    runner.queues().credential_ready(alice.clone());
    assert!(first.wait().success());
    assert!(second.wait().success());

    credentials.remove(&alice);
    let mut third = runner.submit(job("c")).unwrap();
    wait_until_parked(&mut third);
    runner.queues().credential_refused(alice.clone());
    let Outcome::Failed(error) = third.wait() else {
        panic!("not failed")
    };
    assert!(error.message.contains("sign in again"), "{error}");
}

#[test]
fn one_renewal_serves_all_waiting_jobs() {
    let refused = || {
        let body = r#"{"errcode":"M_UNKNOWN_TOKEN"}"#;
        answer("401 Unauthorized", &[], body)
    };
    let server = Server::start([refused(), ok(), ok(), refused()]);
    let alice = CredentialRef::new("alice");
    let renewals = Arc::new(Mutex::new(0));
    let credentials = Credentials::default();
    let runner = Runner::builder()
        .options(options())
        .credentials(credentials.clone());
    let (url, count) = (server.url.clone(), Arc::clone(&renewals));
    credentials.insert(alice.clone(), url.clone(), Secret::from("old"));
    let runner = runner.renewal(move |credential| {
        *count.lock().unwrap() += 1;
        credentials.insert(credential, url.clone(), Secret::from("new"));
        *count.lock().unwrap() < 2
    });
    let runner = runner.store(Disk::default()).build().unwrap();
    let job = |txn| send(&server.url, txn, "q").with_auth(Auth::Required(alice.clone()));
    let first = runner.submit(job("a")).unwrap();
    let second = runner.submit(job("b")).unwrap();
    assert!(first.wait().success());
    assert!(second.wait().success());
    assert_eq!(*renewals.lock().unwrap(), 1);
    // The next time there is none to be had.
    let Outcome::Responded(third) = runner.submit(job("c")).unwrap().wait() else {
        panic!("no answer")
    };
    assert_eq!(third.error_code(), "M_UNKNOWN_TOKEN");
    let requests = server.requests();
    let tokens: Vec<_> = requests
        .iter()
        .map(|request| request.header("authorization")[0])
        .collect();
    assert_eq!(
        tokens,
        ["Bearer old", "Bearer new", "Bearer new", "Bearer new"]
    );
}
