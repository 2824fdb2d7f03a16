//! The same invariants with an SQLite store.

use std::path::PathBuf;

use matricula_core::{Store, StoreError, WriteBatch};
use matricula_sim::{Crash, Disk, Plan, run};
use matricula_store::{IfLocked, SqliteStore};

/// A store that is closed by a crash and opened again. A power cut is only a crash here: this process cannot
/// test what the file system does then.
struct File {
    path: PathBuf,
    store: Option<SqliteStore>,
}

impl File {
    fn open(&mut self) -> &mut SqliteStore {
        let path = &self.path;
        self.store.get_or_insert_with(|| {
            SqliteStore::open(path, IfLocked::Refuse).expect("the store opens")
        })
    }
}

impl Disk for File {
    fn write(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.open().commit(batch)
    }

    fn sync(&mut self) {}

    fn crash(&mut self, _: Crash) {
        self.store = None;
    }

    fn entries(&mut self) -> Vec<(String, String, Vec<u8>)> {
        self.open().entries().expect("the store is readable")
    }
}

#[test]
fn hundred_runs_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let mut kills = 0;
    for seed in 0..100 {
        let path = dir.path().join(format!("{seed}.db"));
        let (report, result) = run(&Plan::from_seed(seed), None, File { path, store: None });
        kills += u64::from(report.coverage.contains("kill"));
        assert_eq!(result, Ok(()), "seed {seed}");
    }
    assert!(kills > 10, "the program was killed in {kills} runs only");
}
