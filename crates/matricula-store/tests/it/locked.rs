//! One process at a time has the file open.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    time::Duration,
};

use matricula_core::Store;
use matricula_store::{IfLocked, OpenError, SqliteStore};

use crate::{STORE, batch, helper_process};

#[test]
fn second_process_fails_or_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut child = helper_process("locked::helper_opens_the_store", &path)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(output.any(|line| line.unwrap().contains("opened")));

    let error = SqliteStore::open(&path, IfLocked::Refuse).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"));
    let wait = IfLocked::Wait(Duration::from_millis(20));
    let error = SqliteStore::open(&path, wait).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");

    let waiting = std::thread::spawn({
        let path = path.clone();
        move || SqliteStore::open(&path, IfLocked::Wait(Duration::from_secs(60)))
    });
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    child.wait().unwrap();
    assert_eq!(waiting.join().unwrap().unwrap().entries().unwrap().len(), 1);
}

#[test]
fn killed_process_leaves_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut child = helper_process("locked::helper_opens_the_store", &path)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(output.any(|line| line.unwrap().contains("opened")));
    child.kill().unwrap();
    child.wait().unwrap();
    SqliteStore::open(&path, IfLocked::Refuse).unwrap();
}

/// The helper process of the tests above.
#[test]
fn helper_opens_the_store() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let mut store = SqliteStore::open(Path::new(&path), IfLocked::Refuse).unwrap();
    store.commit(&batch(&[("jobs", "1", "x")])).unwrap();
    println!("opened");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
