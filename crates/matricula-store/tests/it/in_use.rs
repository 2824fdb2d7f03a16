//! One process has the file.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    time::Duration,
};

use matricula_core::Store;
use matricula_store::{IfLocked, OpenError, SqliteStore};

use crate::{STORE, other_process, patch};

#[test]
fn a_second_process_is_refused_at_once_or_waits_as_it_likes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut child = other_process("in_use::holds_it", &path).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("held")));

    let error = SqliteStore::open(&path, IfLocked::Refuse).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"));
    let wait = IfLocked::Wait(Duration::from_millis(20));
    let error = SqliteStore::open(&path, wait).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");

    let waits = std::thread::spawn({
        let path = path.clone();
        move || SqliteStore::open(&path, IfLocked::Wait(Duration::from_secs(60)))
    });
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    child.wait().unwrap();
    assert_eq!(waits.join().unwrap().unwrap().entries().unwrap().len(), 1);
}

#[test]
fn a_killed_process_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut child = other_process("in_use::holds_it", &path).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("held")));
    child.kill().unwrap();
    child.wait().unwrap();
    SqliteStore::open(&path, IfLocked::Refuse).unwrap();
}

/// Another process of the tests above.
#[test]
fn holds_it() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let mut store = SqliteStore::open(Path::new(&path), IfLocked::Refuse).unwrap();
    store.commit(&patch(&[("jobs", "1", "x")])).unwrap();
    println!("held");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
