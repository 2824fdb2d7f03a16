//! A builder's settings do not depend on the order in which they were made.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use matricula_core::{
    Auth, Body, CredentialRef, FileRef, Secret,
    scheduler::{SchedulerConfig, tables},
};
use matricula_http::{Credentials, FileStore, HttpOptions, RunnerBuilder};

use super::{Runner, enter, outcome, submit, wait, with_renewal};
use crate::{
    disk::Disk,
    options, send,
    server::{Reply, Server, answer, ok},
};

type Setting = Box<dyn Fn(RunnerBuilder<Runner>) -> RunnerBuilder<Runner>>;

/// Counts how often each part was used.
#[derive(Clone, Debug, Default)]
struct Used {
    files: Arc<AtomicUsize>,
    progress: Arc<AtomicUsize>,
    renewals: Arc<AtomicUsize>,
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Opens the same file for every name.
#[derive(Debug)]
struct OneFile(Used, tempfile::NamedTempFile);

impl FileStore for OneFile {
    fn open(&self, _: &FileRef) -> io::Result<File> {
        count(&self.0.files);
        self.1.reopen()
    }

    fn create(&self, _: &FileRef) -> io::Result<File> {
        self.1.reopen()
    }

    fn commit(&self, _: &FileRef) -> io::Result<()> {
        Ok(())
    }

    fn abort(&self, _: &FileRef) {}
}

fn one_file(used: &Used) -> OneFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "content").unwrap();
    OneFile(used.clone(), file)
}

fn alice() -> CredentialRef {
    CredentialRef::new("alice")
}

fn refused() -> Reply {
    let body = r#"{"errcode":"M_UNKNOWN_TOKEN"}"#;
    answer("401 Unauthorized", &[], body)
}

/// The settings, of which `options` goes first.
fn settings(used: &Used, disk: &Disk, credentials: &Credentials, server: &Server) -> Vec<Setting> {
    let mut config = SchedulerConfig::default();
    config.max_jobs = 7;
    let mut options: HttpOptions = options();
    options.user_agent = "test of the builder".to_owned();
    let (files, progress, renewals) = (used.clone(), used.clone(), used.clone());
    let (disk, credentials, url) = (disk.clone(), credentials.clone(), server.url.clone());
    let tokens = credentials.clone();
    vec![
        Box::new(move |builder| builder.options(options.clone())),
        Box::new(move |builder| builder.scheduler(config.clone())),
        Box::new(move |builder| builder.credentials(credentials.clone())),
        Box::new(move |builder| builder.files(one_file(&files))),
        Box::new(move |builder| {
            let progress = progress.clone();
            builder.progress(move |_, _| count(&progress.progress))
        }),
        Box::new(move |builder| {
            let (used, tokens, url) = (renewals.clone(), tokens.clone(), url.clone());
            with_renewal(builder, move |credential| {
                count(&used.renewals);
                tokens.insert(credential, url.clone(), Secret::from("new"));
                true
            })
        }),
        Box::new(move |builder| builder.store(disk.clone())),
    ]
}

/// Calls `visit` with every order of `items`.
fn permute<T>(items: &mut [T], done: usize, visit: &mut impl FnMut(&[T])) {
    if done + 1 >= items.len() {
        return visit(items);
    }
    for next in done..items.len() {
        items.swap(done, next);
        permute(items, done + 1, visit);
        items.swap(done, next);
    }
}

#[test]
fn settings_survive_every_order_of_calls() {
    let _context = enter();
    // Every order of six settings, with the options in each place between them in turn.
    let mut orders = Vec::new();
    permute(&mut [1, 2, 3, 4, 5, 6], 0, &mut |order: &[usize]| {
        let mut order = order.to_vec();
        order.insert(orders.len() % 7, 0);
        orders.push(order);
    });
    assert_eq!(orders.len(), 720);
    for order in orders {
        let server = Server::start([refused(), ok()]);
        let (used, disk, credentials) = (Used::default(), Disk::default(), Credentials::default());
        credentials.insert(alice(), server.url.clone(), Secret::from("old"));
        let settings = settings(&used, &disk, &credentials, &server);
        let builder = order
            .iter()
            .fold(Runner::builder(), |builder, &at| settings[at](builder));
        let runner = builder.build().unwrap();
        let job = send(&server.url, "a", "q")
            .with_auth(Auth::Required(alice()))
            .with_body(Body::File(FileRef::new("/named/only")));
        let handle = submit(&runner, job).unwrap();
        let job_id = handle.job_id();
        assert!(wait(handle).success(), "{order:?}");

        let requests = server.requests();
        let headers = |name| requests.iter().flat_map(move |it| it.header(name));
        let tokens: Vec<_> = headers("authorization").collect();
        assert_eq!(tokens, ["Bearer old", "Bearer new"], "{order:?}");
        let agents: Vec<_> = headers("user-agent").collect();
        assert_eq!(agents, ["test of the builder"; 2], "{order:?}");
        assert!(requests.iter().all(|it| it.body == b"content"), "{order:?}");
        assert_eq!(runner.queues().scheduler().config().max_jobs, 7);
        let counts = [&used.files, &used.progress, &used.renewals];
        let counts = counts.map(|counter| counter.load(Ordering::Relaxed));
        assert_eq!(counts, [2, 2, 1], "{order:?}");
        assert_eq!(disk.keys(tables::OUTCOMES), 1, "{order:?}");
        assert!(outcome(&runner, job_id).unwrap().is_some(), "{order:?}");
    }
}

#[test]
fn derived_builder_keeps_all_but_store() {
    let _context = enter();
    let (used, disk, credentials) = (Used::default(), Disk::default(), Credentials::default());
    let server = Server::start([refused(), ok()]);
    credentials.insert(alice(), server.url.clone(), Secret::from("old"));
    let settings = settings(&used, &disk, &credentials, &server);
    let builder = settings.iter().fold(Runner::builder(), |it, set| set(it));
    let runner = builder.build().unwrap().to_builder().build().unwrap();
    let job = send(&server.url, "a", "q")
        .with_auth(Auth::Required(alice()))
        .with_body(Body::File(FileRef::new("/named/only")));
    assert!(wait(submit(&runner, job).unwrap()).success());
    assert_eq!(runner.queues().scheduler().config().max_jobs, 7);
    let counts = [&used.files, &used.progress, &used.renewals];
    let counts = counts.map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!(counts, [2, 2, 1]);
    assert_eq!(disk.commits(), 0, "the store belongs to the first runner");
}
