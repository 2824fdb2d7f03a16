//! The tests of the store, one module a behaviour.
#![allow(clippy::unwrap_used)]

mod damage;
mod durable;
mod in_use;

use matricula_core::{Store, WriteBatch};
use matricula_store::SqliteStore;

fn patch(entries: &[(&'static str, &str, &str)]) -> WriteBatch {
    let mut patch = WriteBatch::default();
    for (table, key, value) in entries {
        patch.put(*table, *key, *value);
    }
    patch
}

/// Everything that is kept, sorted.
fn all(store: &mut SqliteStore) -> Vec<(String, String, String)> {
    let entries = store.entries().unwrap().into_iter();
    let mut all: Vec<_> = entries
        .map(|(table, key, value)| (table, key, String::from_utf8(value).unwrap()))
        .collect();
    all.sort();
    all
}

/// Names the store to a process that runs one test for another.
const STORE: &str = "MATRICULA_TEST_STORE";

/// Runs one test of this binary in a process of its own, with a path to work on.
fn other_process(test: &str, path: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--quiet"])
        .env(STORE, path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    command
}
