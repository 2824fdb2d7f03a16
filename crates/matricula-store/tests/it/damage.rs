//! What is damaged is moved aside as it is; what is another's is left alone.

use std::{fs, path::Path};

use matricula_core::Store;
use matricula_store::{IfLocked, OpenError, SqliteStore};

use crate::{all, patch};

fn full_store(path: &Path) -> Vec<u8> {
    let mut store = SqliteStore::open(path, IfLocked::Refuse).unwrap();
    for number in 0..200 {
        let (key, value) = (format!("{number:05}"), "value ".repeat(100));
        store.commit(&patch(&[("jobs", &key, &value)])).unwrap();
    }
    drop(store);
    fs::read(path).unwrap()
}

fn damaged_is_moved_aside(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    fs::write(&path, bytes).unwrap();
    for number in 1..=2 {
        let error = SqliteStore::open(&path, IfLocked::Refuse).unwrap_err();
        let OpenError::Damaged { moved_to, .. } = &error else {
            panic!("{error}");
        };
        assert!(moved_to.ends_with(format!("queue.db.damaged-{number}")));
        assert_eq!(fs::read(moved_to).unwrap(), bytes, "nothing of it is lost");
        assert!(error.to_string().contains("nothing of it was deleted"));

        let mut anew = SqliteStore::open(&path, IfLocked::Refuse).unwrap();
        assert_eq!(all(&mut anew), []);
        drop(anew);
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_file_of_something_else_is_moved_aside() {
    damaged_is_moved_aside("not a database. ".repeat(500).as_bytes());
}

#[test]
fn a_file_with_overwritten_pages_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = full_store(&dir.path().join("queue.db"));
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0x5a);
    damaged_is_moved_aside(&bytes);
}

#[test]
fn a_file_that_was_cut_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = full_store(&dir.path().join("queue.db"));
    damaged_is_moved_aside(&bytes[..bytes.len() / 2]);
}

#[test]
fn a_store_that_its_reader_cannot_read_can_be_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut store = SqliteStore::open(&path, IfLocked::Refuse).unwrap();
    store.commit(&patch(&[("jobs", "1", "x")])).unwrap();
    let aside = store.quarantine().unwrap();
    assert!(!path.exists());
    assert_eq!(
        all(&mut SqliteStore::open(&aside, IfLocked::Refuse).unwrap()).len(),
        1
    );
}

#[test]
fn another_programs_database_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("theirs.db");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs
        .execute_batch("CREATE TABLE songs (name TEXT)")
        .unwrap();
    drop(theirs);
    let error = SqliteStore::open(&path, IfLocked::Refuse).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs
        .execute("INSERT INTO songs VALUES ('x')", [])
        .unwrap();
}

#[test]
fn what_a_newer_version_wrote_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    drop(SqliteStore::open(&path, IfLocked::Refuse).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    drop(newer);
    let error = SqliteStore::open(&path, IfLocked::Refuse).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 2, .. }),
        "{error}"
    );
    assert!(path.exists());
}
