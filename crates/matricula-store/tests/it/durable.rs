//! Committed batches are durable: whole, and in order.

use std::{collections::BTreeMap, io::BufRead, path::Path};

use matricula_core::{Store, WriteBatch};
use matricula_store::{IfLocked, OpenError, SqliteStore};
use proptest::prelude::*;

use crate::{STORE, all, batch, helper_process};

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, IfLocked::Refuse).unwrap()
}

#[test]
fn last_write_of_a_key_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut store = open(&path);
    let mut writes = batch(&[("jobs", "1", "a"), ("jobs", "2", "b"), ("sent", "1", "")]);
    writes.remove("jobs", "2");
    writes.put("jobs", "1", "c");
    store.commit(&writes).unwrap();
    store.commit(&WriteBatch::default()).unwrap();
    assert_eq!(store.get("jobs", "1").unwrap().unwrap(), b"c");
    assert_eq!(store.get("jobs", "2").unwrap(), None);
    drop(store);
    let expected = [
        ("jobs".into(), "1".into(), "c".into()),
        ("sent".into(), "1".into(), String::new()),
    ];
    assert_eq!(all(&mut open(&path)), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn store_matches_a_map(batches in prop::collection::vec(
        prop::collection::vec((0..3u8, 0..8u8, prop::option::of("[a-z]{0,9}")), 0..6), 0..12,
    )) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.db");
        let mut model = BTreeMap::new();
        let mut store = open(&path);
        for (round, writes) in batches.iter().enumerate() {
            let mut batch = WriteBatch::default();
            for (table, key, value) in writes {
                let (table, key) = (table.to_string(), key.to_string());
                match value {
                    Some(value) => {
                        model.insert((table.clone(), key.clone()), value.clone());
                        batch.put(table, key, value.as_str());
                    }
                    None => {
                        model.remove(&(table.clone(), key.clone()));
                        batch.remove(table, key);
                    }
                }
            }
            store.commit(&batch).unwrap();
            if round % 3 == 0 {
                drop(store);
                store = open(&path);
            }
        }
        let model: Vec<_> = model.into_iter().map(|((table, key), value)| (table, key, value)).collect();
        prop_assert_eq!(all(&mut store), model);
    }
}

#[test]
fn commits_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut most = 0u32;
    for _ in 0..20 {
        let mut child = helper_process("durable::helper_commits_until_killed", &path)
            .spawn()
            .unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let lines = out.lines().map_while(Result::ok);
        let mut committed = lines.filter_map(|line| line.trim().parse::<u32>().ok());
        most = committed.by_ref().take(25).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // Read what was printed until the kill.
        most = committed.last().unwrap_or(most);
        let mut store = open(&path);
        let entries = all(&mut store);
        let of = |table: &str| -> Vec<u32> {
            let entries = entries.iter().filter(|(of, ..)| of == table);
            entries.map(|(_, key, _)| key.parse().unwrap()).collect()
        };
        assert_eq!(of("left"), of("right"), "each batch is whole");
        assert!(of("left").last() >= Some(&most), "{most} was durable");
        let gapless: Vec<_> = (1..=of("left").len())
            .map(|n| u32::try_from(n).unwrap())
            .collect();
        assert_eq!(of("left"), gapless);
    }
    assert!(most >= 20 * 25);
}

/// The helper process of the test above.
#[test]
fn helper_commits_until_killed() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let mut store = open(Path::new(&path));
    let entries = all(&mut store);
    let mut last = entries
        .iter()
        .map(|(_, key, _)| key.parse().unwrap())
        .max()
        .unwrap_or(0u32);
    loop {
        last += 1;
        let key = format!("{last:010}");
        store
            .commit(&batch(&[("left", &key, "x"), ("right", &key, "y")]))
            .unwrap();
        println!("{last}");
    }
}

#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir.path().join("queue.db"));
    store.commit(&batch(&[("jobs", "1", "x")])).unwrap();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
    }
}

#[test]
fn error_names_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nowhere/queue.db");
    let error = SqliteStore::open(&missing, IfLocked::Refuse).unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error}");
    assert!(error.to_string().contains("nowhere/queue.db"), "{error}");
}

#[test]
fn full_disk_leaves_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    drop(open(&path));
    // No file of that process may become larger than 256 KiB.
    let this = helper_process("durable::helper_commits_until_disk_full", &path);
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\""])
        .arg(this.get_program())
        .args(this.get_args())
        .env(STORE, &path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("queue.db could not be written"), "{text}");
    assert!(text.contains("make room on the disk"), "{text}");
    let mut numbers = text.lines().filter_map(|line| line.parse::<usize>().ok());
    let committed = numbers.next_back().unwrap();
    assert_eq!(all(&mut open(&path)).len(), 2 * committed);
}

/// The helper process of the test above.
#[test]
fn helper_commits_until_disk_full() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let mut store = open(Path::new(&path));
    let value = "value ".repeat(1000);
    for number in 1..1000 {
        let key = number.to_string();
        let batch = batch(&[("left", &key, &value), ("right", &key, &value)]);
        if let Err(error) = store.commit(&batch) {
            let source = std::error::Error::source(&error).expect("a source");
            assert!(source.is::<rusqlite::Error>(), "{source:?}");
            return println!("{error}");
        }
        println!("{number}");
    }
}
