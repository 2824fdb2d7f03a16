//! An idle runner has no threads. Each test runs in a process of its own, without the threads of others.
#![cfg(target_os = "linux")]

use std::{collections::BTreeMap, env, fs, process::Command, thread, time::Duration};

use matricula_core::scheduler::Event;

use super::shared::runner;
use crate::{
    PATIENCE, get, post, response, send,
    server::{Server, answer, ok},
};

const ALONE: &str = "MATRICULA_TEST_ALONE";

/// Whether this is the child process. If not, starts it, and expects success.
fn is_alone(test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let (_crate, module) = module_path!().split_once("::").unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args([&*format!("{module}::{test}"), "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("1 passed"), "{said}");
    false
}

/// The runner's threads in this process, and how often each has gone to sleep.
fn threads() -> BTreeMap<String, u64> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
    let value = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches(':').trim().to_owned()
    };
    tasks
        .filter_map(|task| status(task.unwrap()))
        .map(|status| {
            let name = value(&status, "Name") + " " + &value(&status, "Pid");
            let sleeps = value(&status, "voluntary_ctxt_switches");
            (name, sleeps.parse().unwrap())
        })
        .filter(|(name, _)| name.starts_with("matricula-"))
        .collect()
}

/// Waits until there are this many threads: a thread ends a moment after its work.
fn wait_for_threads(count: usize) -> BTreeMap<String, u64> {
    let end = std::time::Instant::now() + PATIENCE;
    while threads().len() != count {
        assert!(std::time::Instant::now() < end, "{:?}", threads());
        thread::yield_now();
    }
    threads()
}

#[test]
fn idle_runner_has_no_threads() {
    if !is_alone("idle_runner_has_no_threads") {
        return;
    }
    let server = Server::start((0..6).map(|_| ok()).collect::<Vec<_>>());
    let runner = runner();
    let _events = runner.events();
    assert!(threads().is_empty());
    for job in [
        get(&server.url),
        post(&server.url),
        send(&server.url, "a", "q"),
    ] {
        response(runner.run(job));
    }
    wait_for_threads(0);
    // It works again after that.
    response(runner.run(get(&server.url)));
    wait_for_threads(0);
}

#[test]
fn waiting_runner_is_not_woken_early() {
    if !is_alone("waiting_runner_is_not_woken_early") {
        return;
    }
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":60000}"#;
    let server = Server::start([answer("429 Too Many Requests", &[], limited)]);
    let runner = runner();
    let mut job = runner.submit(post(&server.url)).unwrap();
    assert!(job.any(|event| matches!(event, Event::Waiting { .. })));
    // Only time can show that it is not woken.
    wait_for_threads(1);
    thread::sleep(Duration::from_millis(50));
    let before = wait_for_threads(1);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(threads(), before, "it was woken");
    job.cancel();
    drop((job, runner));
    wait_for_threads(0);
}

#[test]
fn dropped_runner_leaves_no_thread() {
    if !is_alone("dropped_runner_leaves_no_thread") {
        return;
    }
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":60000}"#;
    let server = Server::start([answer("429 Too Many Requests", &[], limited)]);
    let runner = runner();
    let mut job = runner.submit(post(&server.url)).unwrap();
    assert!(job.any(|event| matches!(event, Event::Waiting { .. })));
    drop((job, runner));
    wait_for_threads(0);
}
