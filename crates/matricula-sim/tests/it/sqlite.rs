//! The same promises, kept in an SQLite file.

use std::path::PathBuf;

use matricula_core::{Store, StoreError, WriteBatch};
use matricula_sim::{Crash, Disk, Plan, run};
use matricula_store::{IfLocked, SqliteStore};

/// A file that is closed without a word and opened again. A power cut is only the end of the program
/// here: what the file system does then is not for a test of this process to show.
struct File {
    path: PathBuf,
    store: Option<SqliteStore>,
}

impl File {
    fn open(&mut self) -> &mut SqliteStore {
        let path = &self.path;
        self.store.get_or_insert_with(|| {
            SqliteStore::open(path, IfLocked::Refuse).expect("the store of the run opens")
        })
    }
}

impl Disk for File {
    fn write(&mut self, patch: &WriteBatch) -> Result<(), StoreError> {
        self.open().commit(patch)
    }

    fn sync(&mut self) {}

    fn crash(&mut self, _: Crash) {
        self.store = None;
    }

    fn entries(&mut self) -> Vec<(String, String, Vec<u8>)> {
        self.open().entries().expect("the store of the run is read")
    }
}

#[test]
fn a_hundred_runs_on_a_real_store_break_no_promise() {
    let dir = tempfile::tempdir().unwrap();
    let mut lives = 0;
    for seed in 0..100 {
        let path = dir.path().join(format!("{seed}.db"));
        let (report, result) = run(&Plan::of(seed), None, File { path, store: None });
        lives += u64::from(report.seen.contains("kill"));
        assert_eq!(result, Ok(()), "seed {seed}");
    }
    assert!(lives > 10, "the program was killed in {lives} runs only");
}
