//! Several writers at once, in threads and in processes, and one that is killed.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use matricula::AccountStore;
use tempfile::TempDir;

use crate::store::put;

const DIR: &str = "MATRICULA_TEST_STORE";
const NAME: &str = "MATRICULA_TEST_WRITER";
const EACH: usize = 15;

fn write(dir: &Path, name: &str) {
    let mut store = AccountStore::new(dir);
    for number in 0..EACH {
        put(&mut store, &format!("@{name}-{number}:example.org")).unwrap();
    }
}

/// Runs [`a_process_of_its_own_writes`] in another process.
fn spawn(dir: &Path, name: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["concurrent_writers::a_process_of_its_own_writes", "--exact"])
        .env(DIR, dir)
        .env(NAME, name)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_process_of_its_own_writes() {
    let dir = TempDir::new().unwrap();
    match (env::var_os(DIR), env::var(NAME)) {
        (Some(dir), Ok(name)) => write(Path::new(&dir), &name),
        _ => {
            assert!(spawn(dir.path(), "a").wait().unwrap().success());
            assert_eq!(
                AccountStore::new(dir.path()).accounts().unwrap().len(),
                EACH
            );
        }
    }
}

#[test]
fn concurrent_writers_lose_nothing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path();
    let children = ["p1", "p2", "p3"].map(|name| spawn(path, name));
    thread::scope(|scope| {
        for name in ["t1", "t2"] {
            scope.spawn(move || write(path, name));
        }
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(AccountStore::new(path).accounts().unwrap().len(), 5 * EACH);
}

#[test]
fn readers_never_see_partial_file() {
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let mut seen = 0;
    // Killed at another moment each time: while it writes, renames, or holds the lock.
    for round in 0..8 {
        let mut child = spawn(dir.path(), &format!("k{round}"));
        let start = Instant::now();
        let before = seen;
        while seen < before + 1 + round && start.elapsed() < Duration::from_secs(10) {
            seen = seen.max(store.accounts().unwrap().len());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen > before, "nothing was written");
        seen = store.accounts().unwrap().len();
    }
    put(&mut store.clone(), "@after:example.org").unwrap();
    assert_eq!(store.accounts().unwrap().len(), seen + 1);
    assert!(fs::metadata(store.path()).unwrap().len() > 0);
}
