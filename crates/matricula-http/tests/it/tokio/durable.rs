//! Jobs of a durable runner are on disk before anybody relies on it, and a restart goes on with them.

use std::{
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Waker},
    time::Duration,
};

use matricula_core::{
    Auth, CredentialRef, Secret, Store, WriteBatch,
    scheduler::{Event, JobId, JobStatus, Outcome, Rejection, tables},
};
use matricula_http::{BuildError, Credentials, Handle, Runner, SubmitError};
use matricula_store::{IfLocked, SqliteStore};

use super::{runtime, shared::builder};
use crate::{
    disk::{Disk, full},
    make, options, send,
    server::{Server, Untouched, answer, ok, targets, when_told},
};

fn durable(disk: &Disk) -> Runner {
    Runner::builder()
        .options(options())
        .store(disk.clone())
        .build()
        .unwrap()
}

fn is_ready<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
    matches!(
        future.poll(&mut Context::from_waker(Waker::noop())),
        Poll::Ready(_)
    )
}

async fn started(handle: &mut Handle) {
    while !matches!(handle.next().await, Some(Event::Started { .. })) {}
}

#[test]
fn job_is_durable_before_handle_and_request() {
    let server = Untouched::new();
    let disk = Disk::default();
    runtime().block_on(async {
        let runner = durable(&disk);
        disk.set(|gate| gate.is_shut = true);
        let mut submitted = pin!(runner.submit(send(&server.url, "a", "q")));
        disk.wait_for_a_commit();
        tokio::task::yield_now().await;
        assert!(!is_ready(submitted.as_mut()));
        server.assert();
        disk.set(|gate| gate.is_shut = false);
        let handle = submitted.await.unwrap();
        assert_eq!((disk.commits(), disk.keys(tables::JOBS)), (1, 1));
        handle.cancel();
        let _ = handle.await;
    });
}

#[test]
fn outcome_is_durable_before_event() {
    let (tell, told) = mpsc::channel();
    let server = Server::start([when_told(told)]);
    let disk = Disk::default();
    runtime().block_on(async {
        let runner = durable(&disk);
        let mut events = runner.events();
        let mut handle = runner.submit(send(&server.url, "a", "q")).await.unwrap();
        started(&mut handle).await;
        disk.set(|gate| gate.is_shut = true);
        tell.send(()).unwrap();
        let job_id = handle.job_id();
        let mut ended = pin!(handle.into_future());
        let at_the_gate = tokio::task::spawn_blocking({
            let disk = disk.clone();
            move || disk.wait_for_a_commit()
        });
        at_the_gate.await.unwrap();
        assert!(
            runner.queues().scheduler().is_empty(),
            "the answer has come"
        );
        assert!(!is_ready(ended.as_mut()));
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, Event::Finished(..)), "{event:?}");
        }
        disk.set(|gate| gate.is_shut = false);
        assert!(ended.await.success());
        assert_eq!(disk.keys(tables::OUTCOMES), 1);

        // It is there for who asks, until it is forgotten.
        let kept: Vec<_> = runner.queues().scheduler().ended().collect();
        assert_eq!(kept, [job_id]);
        assert!(runner.outcome(job_id).await.unwrap().unwrap().success());
        runner.queues().drop_outcome(job_id);
        assert_eq!(runner.outcome(job_id).await.unwrap(), None);
        assert_eq!(runner.outcome(JobId(7)).await.unwrap(), None);
    });
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
        // The first was being written when the others came.
        assert!(disk.commits() <= 3, "{}", disk.commits());
        for handle in handles {
            assert!(handle.await.success());
        }
    });
    let expected: Vec<_> = (0..100).map(|txn| txn.to_string()).collect();
    assert_eq!(targets(&server), expected);
}

#[test]
fn restart_resends_only_safe_jobs() {
    // It takes connections, and never answers.
    let server = Untouched::new();
    let disk = Disk::default();
    let (crashed, sent, made, behind) = runtime().block_on(async {
        let runner = durable(&disk);
        let mut sent = runner.submit(send(&server.url, "a", "q")).await.unwrap();
        let behind = runner.submit(send(&server.url, "b", "q")).await.unwrap();
        let mut made = runner.submit(make(&server.url, "r")).await.unwrap();
        started(&mut sent).await;
        started(&mut made).await;
        // The disk at the moment of a crash: what the end of the runtime writes is not on it.
        let crashed = disk.copy();
        (crashed, sent.job_id(), made.job_id(), behind.job_id())
    });
    runtime().block_on(async {
        let runner = durable(&crashed);
        let outcome = runner.outcome(made).await.unwrap().unwrap();
        assert!(matches!(outcome, Outcome::InDoubt(_)), "{outcome:?}");
        assert!(runner.handle(made).is_none(), "it has ended");
        let (sent, behind) = (runner.handle(sent).unwrap(), runner.handle(behind).unwrap());
        assert_eq!(sent.status(), Some(JobStatus::InFlight));
        assert_eq!(behind.status(), Some(JobStatus::Queued { ahead: 1 }));
        let next = runner.submit(send(&server.url, "c", "z")).await.unwrap();
        assert!(next.job_id() > behind.job_id(), "no job_id is given twice");
    });
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
fn secrets_are_never_stored() {
    let server = Server::start([ok()]);
    let disk = Disk::default();
    runtime().block_on(async {
        let runner = durable(&disk);
        let job = send(&server.url, "a", "q").with_token(Secret::from("syt_secret"));
        let refused = runner.submit(job).await.unwrap_err();
        assert_eq!(refused, SubmitError::Refused(Rejection::Secret));
        let outcome = runner.run(crate::get(&server.url)).await;
        assert!(outcome.success());
    });
    // That job ids are given is all that was written.
    assert_eq!((disk.commits(), targets(&server).len()), (1, 1));
    assert_eq!(disk.keys(tables::JOBS) + disk.keys(tables::OUTCOMES), 0);
}

#[test]
fn full_store_stops_the_runner() {
    let (tell, told) = mpsc::channel();
    let server = Server::start([when_told(told)]);
    let disk = Disk::default();
    runtime().block_on(async {
        let runner = durable(&disk);
        let mut first = runner.submit(send(&server.url, "a", "q")).await.unwrap();
        started(&mut first).await;
        while server.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        disk.set(|gate| gate.is_full = true);
        let second = runner.submit(send(&server.url, "b", "r")).await;
        assert_eq!(second.unwrap_err(), SubmitError::Store(full()));
        // Its answer comes, and cannot be kept.
        tell.send(()).unwrap();
        let Outcome::InDoubt(error) = first.await else {
            panic!("not in doubt")
        };
        assert!(error.message.contains("the disk is full"));
        let third = runner.submit(send(&server.url, "c", "s")).await;
        assert_eq!(third.unwrap_err(), SubmitError::Store(full()));
        assert_eq!(runner.outcome(JobId(1)).await.unwrap_err(), full());
        runner.stop().await;
    });
    assert_eq!(targets(&server), ["a"]);
    // When there is room again, it goes on with what was kept.
    disk.set(|gate| gate.is_full = false);
    assert_eq!(disk.keys(tables::JOBS), 1);
}

#[test]
fn unreadable_entry_is_named() {
    let mut disk = Disk::default();
    let mut patch = WriteBatch::default();
    patch.put(tables::JOBS, "7", "not a job");
    disk.commit(&patch).unwrap();
    let error = Runner::builder()
        .options(options())
        .store(disk)
        .build()
        .unwrap_err();
    assert!(matches!(error, BuildError::Entry(_)), "{error}");
    assert!(error.to_string().contains("\"7\" of \"jobs\""), "{error}");
}

#[test]
fn pending_write_survives_runtime_end() {
    let server = Untouched::new();
    let disk = Disk::default();
    runtime().block_on(async {
        // It is not given the time to be written.
        drop(durable(&disk).submit(send(&server.url, "a", "q")));
    });
    assert_eq!(disk.keys(tables::JOBS), 1);
}

#[test]
fn jobs_wait_for_missing_token() {
    let server = Server::start([ok(), ok()]);
    let alice = CredentialRef::new("alice");
    let disk = Disk::default();
    runtime().block_on(async {
        let runner = durable(&disk);
        let job = |txn| send(&server.url, txn, "q").with_auth(Auth::Required(alice.clone()));
        let mut first = runner.submit(job("a")).await.unwrap();
        let second = runner.submit(job("b")).await.unwrap();
        while !matches!(first.next().await, Some(Event::AwaitingCredential { .. })) {}
        let credential = alice.clone();
        assert_eq!(
            first.status(),
            Some(JobStatus::AwaitingCredential { credential })
        );
        let token = Secret::from("syt_token");
        runner
            .credentials()
            .insert(alice.clone(), server.url.clone(), token);
        runner.queues().credential_ready(alice.clone());
        assert!(first.await.success());
        assert!(second.await.success());

        runner.credentials().remove(&alice);
        let mut third = runner.submit(job("c")).await.unwrap();
        while !matches!(third.next().await, Some(Event::AwaitingCredential { .. })) {}
        runner.queues().credential_refused(alice.clone());
        let Outcome::Failed(error) = third.await else {
            panic!("not failed")
        };
        assert!(error.message.contains("sign in again"), "{error}");
    });
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
    runtime().block_on(async {
        let credentials = Credentials::default();
        let runner = Runner::builder()
            .options(options())
            .credentials(credentials.clone());
        let (url, count) = (server.url.clone(), Arc::clone(&renewals));
        credentials.insert(alice.clone(), url.clone(), Secret::from("old"));
        let runner = runner.renewal(move |credential| {
            let (credentials, url, count) = (credentials.clone(), url.clone(), Arc::clone(&count));
            async move {
                *count.lock().unwrap() += 1;
                credentials.insert(credential, url, Secret::from("new"));
                *count.lock().unwrap() < 2
            }
        });
        let runner = runner.store(Disk::default()).build().unwrap();
        let job = |txn| send(&server.url, txn, "q").with_auth(Auth::Required(alice.clone()));
        let first = runner.submit(job("a"));
        let second = runner.submit(job("b"));
        assert!(first.await.unwrap().await.success());
        assert!(second.await.unwrap().await.success());
        assert_eq!(*renewals.lock().unwrap(), 1);
        // The next time there is none to be had.
        let Outcome::Responded(third) = runner.submit(job("c")).await.unwrap().await else {
            panic!("no answer")
        };
        assert_eq!(third.error_code(), "M_UNKNOWN_TOKEN");
    });
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
