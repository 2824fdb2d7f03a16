//! Tests of the SQLite store, one module per behaviour.
#![allow(clippy::unwrap_used)]

mod durable;
mod locked;
mod open_errors;

use matricula_core::{Store, WriteBatch};
use matricula_store::SqliteStore;

fn batch(entries: &[(&'static str, &str, &str)]) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for (table, key, value) in entries {
        batch.put(*table, *key, *value);
    }
    batch
}

/// All entries, sorted.
fn all(store: &mut SqliteStore) -> Vec<(String, String, String)> {
    let entries = store.entries().unwrap().into_iter();
    let mut all: Vec<_> = entries
        .map(|(table, key, value)| (table, key, String::from_utf8(value).unwrap()))
        .collect();
    all.sort();
    all
}

/// The environment variable that names the store to a helper process.
const STORE: &str = "MATRICULA_TEST_STORE";

/// Runs one test of this binary as a helper process, with the path of a store.
fn helper_process(test: &str, path: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--quiet"])
        .env(STORE, path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    command
}
