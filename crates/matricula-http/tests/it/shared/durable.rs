//! A runner with a store: jobs and outcomes are durable before they are reported, and a restart
//! continues with them.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};

use matricula_core::{
    Auth, CredentialRef, Secret, Store, WriteBatch,
    scheduler::{Event, JobId, JobStatus, Outcome, Rejection, tables},
};
use matricula_http::{BuildError, Credentials, SubmitError};

use super::{
    Handle, Runner, enter, next, outcome, run, stop, submit, try_next_event, wait, with_renewal,
};
use crate::{
    disk::{Disk, full},
    get, make, options, send,
    server::{Server, UnreachedServer, answer, ok, targets, when_released},
};

fn durable(disk: &Disk) -> Runner {
    let builder = Runner::builder().options(options());
    builder.store(disk.clone()).build().unwrap()
}

fn wait_until_started(handle: &mut Handle) {
    while !matches!(next(handle).unwrap(), Event::Started { .. }) {}
}

fn wait_until_awaiting_credential(handle: &mut Handle) {
    while !matches!(next(handle).unwrap(), Event::AwaitingCredential { .. }) {}
}

#[test]
fn job_is_durable_before_handle_and_request() {
    let _context = enter();
    let server = UnreachedServer::new();
    let disk = Disk::default();
    let runner = durable(&disk);
    disk.set(|gate| gate.is_shut = true);
    let submitting = thread::spawn({
        let (runner, job) = (runner.clone(), send(&server.url, "a", "q"));
        move || submit(&runner, job)
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
    let _context = enter();
    let (release, released) = mpsc::channel();
    let server = Server::start([when_released(released)]);
    let disk = Disk::default();
    let runner = durable(&disk);
    let mut events = runner.events();
    let mut handle = submit(&runner, send(&server.url, "a", "q")).unwrap();
    wait_until_started(&mut handle);
    let job_id = handle.job_id();
    disk.set(|gate| gate.is_shut = true);
    release.send(()).unwrap();
    disk.wait_for_a_commit();
    assert!(
        runner.queues().scheduler().is_empty(),
        "the response has come"
    );
    while let Some(event) = try_next_event(&mut events) {
        assert!(!matches!(event, Event::Finished(..)), "{event:?}");
    }
    disk.set(|gate| gate.is_shut = false);
    assert!(wait(handle).success());
    assert_eq!(disk.keys(tables::OUTCOMES), 1);

    // It stays until it is dropped.
    let ended: Vec<_> = runner.queues().scheduler().ended().collect();
    assert_eq!(ended, [job_id]);
    assert!(outcome(&runner, job_id).unwrap().unwrap().success());
    runner.queues().drop_outcome(job_id);
    assert_eq!(outcome(&runner, job_id).unwrap(), None);
    assert_eq!(outcome(&runner, JobId(7)).unwrap(), None);
}

#[test]
fn concurrent_submissions_share_writes() {
    let _context = enter();
    // No response comes before it may.
    let (release, released) = mpsc::channel();
    let replies = [when_released(released)].into_iter();
    let server = Server::start(replies.chain((1..50).map(|_| ok())).collect::<Vec<_>>());
    let disk = Disk::default();
    let runner = durable(&disk);
    disk.set(|gate| gate.is_shut = true);
    let submitting = |txn: u32| {
        let (runner, job) = (runner.clone(), send(&server.url, &txn.to_string(), "q"));
        thread::spawn(move || submit(&runner, job).unwrap())
    };
    let mut threads = vec![submitting(0)];
    disk.wait_for_a_commit();
    threads.extend((1..50).map(submitting));
    while runner.queues().scheduler().len() < 50 {
        thread::yield_now();
    }
    disk.set(|gate| gate.is_shut = false);
    let handles: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
    // The first was being written when the others were submitted.
    assert!(disk.commits() <= 3, "{}", disk.commits());
    release.send(()).unwrap();
    for handle in handles {
        assert!(wait(handle).success());
    }
    assert_eq!(targets(&server).len(), 50);
}

#[test]
fn restart_resends_only_safe_jobs() {
    let _context = enter();
    // It accepts connections, and never responds.
    let server = UnreachedServer::new();
    let disk = Disk::default();
    let runner = durable(&disk);
    let mut sent = submit(&runner, send(&server.url, "a", "q")).unwrap();
    let behind = submit(&runner, send(&server.url, "b", "q")).unwrap();
    let mut made = submit(&runner, make(&server.url, "r")).unwrap();
    wait_until_started(&mut sent);
    wait_until_started(&mut made);
    // The disk at the moment of a crash.
    let crashed = disk.copy();
    let runner = durable(&crashed);
    let ended = outcome(&runner, made.job_id()).unwrap().unwrap();
    assert!(matches!(ended, Outcome::InDoubt(_)), "{ended:?}");
    assert!(runner.handle(made.job_id()).is_none(), "it has ended");
    let again = runner.handle(sent.job_id()).unwrap();
    assert_eq!(again.status(), Some(JobStatus::InFlight));
    let behind = runner.handle(behind.job_id()).unwrap();
    assert_eq!(behind.status(), Some(JobStatus::Queued { ahead: 1 }));
    let new = submit(&runner, send(&server.url, "c", "z")).unwrap();
    assert!(new.job_id() > behind.job_id(), "no job id is used twice");
}

#[test]
fn secrets_are_never_stored() {
    let _context = enter();
    let server = Server::start([ok()]);
    let disk = Disk::default();
    let runner = durable(&disk);
    let job = send(&server.url, "a", "q").with_token(Secret::from("syt_secret"));
    let refused = submit(&runner, job).unwrap_err();
    assert_eq!(refused, SubmitError::Refused(Rejection::Secret));
    // A job without a queue is not stored.
    assert!(run(&runner, get(&server.url)).success());
    // Only the reservation of job ids was written.
    assert_eq!((disk.commits(), targets(&server).len()), (1, 1));
    assert_eq!(disk.keys(tables::JOBS) + disk.keys(tables::OUTCOMES), 0);
}

#[test]
fn full_store_stops_the_runner() {
    let _context = enter();
    let (release, released) = mpsc::channel();
    let server = Server::start([when_released(released)]);
    let disk = Disk::default();
    let runner = durable(&disk);
    let first = submit(&runner, send(&server.url, "a", "q")).unwrap();
    while server.requests().is_empty() {
        thread::yield_now();
    }
    disk.set(|gate| gate.is_full = true);
    let second = submit(&runner, send(&server.url, "b", "r"));
    assert_eq!(second.unwrap_err(), SubmitError::Store(full()));
    // Its response comes, and cannot be stored.
    release.send(()).unwrap();
    let Outcome::InDoubt(error) = wait(first) else {
        panic!("not in doubt")
    };
    assert!(error.message.contains("the disk is full"));
    let third = submit(&runner, send(&server.url, "c", "s"));
    assert_eq!(third.unwrap_err(), SubmitError::Store(full()));
    assert_eq!(outcome(&runner, JobId(1)).unwrap_err(), full());
    stop(&runner);
    assert_eq!(targets(&server), ["a"]);
    // With free space, a restart continues with what was stored.
    disk.set(|gate| gate.is_full = false);
    assert_eq!(disk.keys(tables::JOBS), 1);
}

#[test]
fn unreadable_entry_is_named() {
    let mut disk = Disk::default();
    let mut batch = WriteBatch::default();
    batch.put(tables::JOBS, "7", "not a job");
    disk.commit(&batch).unwrap();
    let error = Runner::builder().store(disk).build().unwrap_err();
    assert!(matches!(error, BuildError::Entry(_)), "{error}");
    assert!(error.to_string().contains("\"7\" of \"jobs\""), "{error}");
}

#[test]
fn jobs_wait_for_missing_token() {
    let _context = enter();
    let server = Server::start([ok(), ok()]);
    let alice = CredentialRef::new("alice");
    let runner = durable(&Disk::default());
    let job = |txn| send(&server.url, txn, "q").with_auth(Auth::Required(alice.clone()));
    let mut first = submit(&runner, job("a")).unwrap();
    let second = submit(&runner, job("b")).unwrap();
    wait_until_awaiting_credential(&mut first);
    let credential = alice.clone();
    assert_eq!(
        first.status(),
        Some(JobStatus::AwaitingCredential { credential })
    );
    let token = Secret::from("syt_token");
    let credentials = runner.credentials();
    credentials.insert(alice.clone(), server.url.clone(), token);
    runner.queues().credential_ready(alice.clone());
    assert!(wait(first).success());
    assert!(wait(second).success());

    credentials.remove(&alice);
    let mut third = submit(&runner, job("c")).unwrap();
    wait_until_awaiting_credential(&mut third);
    runner.queues().credential_refused(alice.clone());
    let Outcome::Failed(error) = wait(third) else {
        panic!("not failed")
    };
    assert!(error.message.contains("sign in again"), "{error}");
}

#[test]
fn panicking_renewal_ends_the_job() {
    let _context = enter();
    let body = r#"{"errcode":"M_UNKNOWN_TOKEN"}"#;
    let server = Server::start([answer("401 Unauthorized", &[], body)]);
    let alice = CredentialRef::new("alice");
    let credentials = Credentials::default();
    credentials.insert(alice.clone(), server.url.clone(), Secret::from("old"));
    let builder = Runner::builder()
        .options(options())
        .credentials(credentials);
    let builder = with_renewal(builder, |_| panic!("the renewal panics on purpose"));
    let runner = builder.build().unwrap();
    let job = send(&server.url, "a", "q").with_auth(Auth::Required(alice));
    let Outcome::Responded(response) = wait(submit(&runner, job).unwrap()) else {
        panic!("no response")
    };
    assert_eq!(response.error_code(), "M_UNKNOWN_TOKEN");
}

#[test]
fn one_renewal_serves_all_waiting_jobs() {
    let _context = enter();
    let refused = || {
        let body = r#"{"errcode":"M_UNKNOWN_TOKEN"}"#;
        answer("401 Unauthorized", &[], body)
    };
    let server = Server::start([refused(), ok(), ok(), refused()]);
    let alice = CredentialRef::new("alice");
    let renewals = Arc::new(Mutex::new(0));
    let credentials = Credentials::default();
    let (url, count) = (server.url.clone(), Arc::clone(&renewals));
    credentials.insert(alice.clone(), url.clone(), Secret::from("old"));
    let builder = Runner::builder()
        .options(options())
        .credentials(credentials.clone())
        .store(Disk::default());
    let builder = with_renewal(builder, move |credential| {
        *count.lock().unwrap() += 1;
        credentials.insert(credential, url.clone(), Secret::from("new"));
        *count.lock().unwrap() < 2
    });
    let runner = builder.build().unwrap();
    let job = |txn| send(&server.url, txn, "q").with_auth(Auth::Required(alice.clone()));
    let first = submit(&runner, job("a")).unwrap();
    let second = submit(&runner, job("b")).unwrap();
    assert!(wait(first).success());
    assert!(wait(second).success());
    assert_eq!(*renewals.lock().unwrap(), 1);
    // The next renewal fails.
    let Outcome::Responded(third) = wait(submit(&runner, job("c")).unwrap()) else {
        panic!("no response")
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
