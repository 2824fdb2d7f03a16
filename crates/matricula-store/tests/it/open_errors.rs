//! Damaged files are moved aside; files of other programs and formats are left alone.

use std::{fs, path::Path};

use matricula_core::Store;
use matricula_store::{IfLocked, OpenError, SqliteStore};

use crate::{all, batch};

fn full_store(path: &Path) -> Vec<u8> {
    let mut store = SqliteStore::open(path, IfLocked::Refuse).unwrap();
    for number in 0..200 {
        let (key, value) = (format!("{number:05}"), "value ".repeat(100));
        store.commit(&batch(&[("jobs", &key, &value)])).unwrap();
    }
    drop(store);
    fs::read(path).unwrap()
}

fn assert_moved_aside(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    fs::write(&path, bytes).unwrap();
    for number in 1..=2 {
        let error = SqliteStore::open(&path, IfLocked::Refuse).unwrap_err();
        let OpenError::Damaged { moved_to, .. } = &error else {
            panic!("{error}");
        };
        assert!(moved_to.ends_with(format!("queue.db.damaged-{number}")));
        assert_eq!(fs::read(moved_to).unwrap(), bytes, "it is unchanged");
        assert!(error.to_string().contains("nothing of it was deleted"));

        let mut empty = SqliteStore::open(&path, IfLocked::Refuse).unwrap();
        assert_eq!(all(&mut empty), []);
        drop(empty);
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn file_with_damaged_header_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let store = full_store(&dir.path().join("queue.db"));
    // A power failure can leave zeros.
    let mut zeros = store.clone();
    zeros[..4096].fill(0);
    assert_moved_aside(&zeros);
    let mut page_size = store;
    page_size[16..18].fill(0xff);
    assert_moved_aside(&page_size);
}

#[test]
fn file_that_is_no_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = "not a database. ".repeat(500);
    for bytes in [
        text.as_bytes(),
        b"a",
        b"\x89PNG\r\n\x1a\n",
        b"{\"accounts\": []}",
        &[0xff; 8192],
        b"SQLite format 2\0",
    ] {
        let path = dir.path().join("photo.png");
        fs::write(&path, bytes).unwrap();
        let error = SqliteStore::open(&path, IfLocked::Refuse).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert!(fs::read(&path).unwrap() == bytes, "it is not changed");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "alone");
    }
}

#[test]
fn overwritten_pages_are_detected() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = full_store(&dir.path().join("queue.db"));
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0x5a);
    assert_moved_aside(&bytes);
}

#[test]
fn truncated_file_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = full_store(&dir.path().join("queue.db"));
    assert_moved_aside(&bytes[..bytes.len() / 2]);
}

#[test]
fn caller_can_quarantine_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut store = SqliteStore::open(&path, IfLocked::Refuse).unwrap();
    store.commit(&batch(&[("jobs", "1", "x")])).unwrap();
    let moved_to = store.quarantine().unwrap();
    assert!(!path.exists());
    assert_eq!(
        all(&mut SqliteStore::open(&moved_to, IfLocked::Refuse).unwrap()).len(),
        1
    );
}

#[test]
fn foreign_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("foreign.db");
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign
        .execute_batch("CREATE TABLE songs (name TEXT)")
        .unwrap();
    drop(foreign);
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path, IfLocked::Refuse).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert!(fs::read(&path).unwrap() == before, "it is not changed");
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign
        .execute("INSERT INTO songs VALUES ('x')", [])
        .unwrap();
}

#[test]
fn other_formats_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    drop(SqliteStore::open(&path, IfLocked::Refuse).unwrap());
    for format in [1, 3] {
        let other = rusqlite::Connection::open(&path).unwrap();
        other.pragma_update(None, "user_version", format).unwrap();
        drop(other);
        let error = SqliteStore::open(&path, IfLocked::Refuse).unwrap_err();
        assert!(
            matches!(error, OpenError::OtherFormat { found, supported: 2, .. } if found == format),
            "{error}"
        );
        assert!(error.to_string().contains("use the version that wrote it"));
        assert!(path.exists());
    }
}
