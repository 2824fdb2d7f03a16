//! The files of bulk runs.

use matricula::{
    bulk::{BulkError, Run},
    core::{Store, WriteBatch},
};
use matricula_store::{IfLocked, SqliteStore};

/// Writes one value into the file of a run, then opens the run.
fn open_with(table: &'static str, value: &str) -> Result<Run, BulkError> {
    let dir = tempfile::tempdir().unwrap();
    let path = Run::path(dir.path(), "autumn");
    let mut store = SqliteStore::open(&path, IfLocked::Refuse).unwrap();
    let mut writes = WriteBatch::default();
    writes.put(table, "run", value.as_bytes());
    store.commit(&writes).unwrap();
    drop(store);
    Run::open(dir.path(), "autumn")
}

#[test]
fn other_run_format_is_refused() {
    let info = r#"{
        "version": 0, "server": "https://matrix.example.org", "route": "admin",
        "result_path": "autumn.csv", "result_format": "csv"
    }"#;
    for (table, value) in [
        ("bulk_info", info),
        ("bulk_info", "{}"),
        ("bulk_about", "{}"),
    ] {
        let error = open_with(table, value).unwrap_err();
        assert!(matches!(error, BulkError::Info { .. }), "{error}");
        assert!(error.to_string().contains("another version"), "{error}");
    }
    let current = info.replace("\"version\": 0", "\"version\": 1");
    assert!(open_with("bulk_info", &current).unwrap().info().is_some());
}

#[test]
fn invalid_run_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", ".hidden", "../up", "a/b", "a b"] {
        let error = Run::open(dir.path(), name).unwrap_err();
        assert!(matches!(error, BulkError::Name(_)), "{name}: {error}");
    }
}
