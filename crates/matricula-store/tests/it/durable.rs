//! What was committed is there: whole, in order, after anything.

use std::{collections::BTreeMap, io::BufRead, path::Path};

use matricula_core::{Store, WriteBatch};
use matricula_store::{IfLocked, OpenError, SqliteStore};
use proptest::prelude::*;

use crate::{STORE, all, other_process, patch};

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, IfLocked::Refuse).unwrap()
}

#[test]
fn the_last_word_on_a_key_counts_and_tables_are_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut store = open(&path);
    let mut changes = patch(&[("jobs", "1", "a"), ("jobs", "2", "b"), ("sent", "1", "")]);
    changes.remove("jobs", "2");
    changes.put("jobs", "1", "c");
    store.commit(&changes).unwrap();
    store.commit(&WriteBatch::default()).unwrap();
    assert_eq!(store.get("jobs", "1").unwrap().unwrap(), b"c");
    assert_eq!(store.get("jobs", "2").unwrap(), None);
    drop(store);
    let kept = [
        ("jobs".into(), "1".into(), "c".into()),
        ("sent".into(), "1".into(), String::new()),
    ];
    assert_eq!(all(&mut open(&path)), kept);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_holds_what_a_map_would(patches in prop::collection::vec(
        prop::collection::vec((0..3u8, 0..8u8, prop::option::of("[a-z]{0,9}")), 0..6), 0..12,
    )) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.db");
        let mut model = BTreeMap::new();
        let mut store = open(&path);
        for (round, changes) in patches.iter().enumerate() {
            let mut patch = WriteBatch::default();
            for (table, key, value) in changes {
                let (table, key) = (table.to_string(), key.to_string());
                match value {
                    Some(value) => {
                        model.insert((table.clone(), key.clone()), value.clone());
                        patch.put(table, key, value.as_str());
                    }
                    None => {
                        model.remove(&(table.clone(), key.clone()));
                        patch.remove(table, key);
                    }
                }
            }
            store.commit(&patch).unwrap();
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
fn what_a_killed_process_had_committed_is_there_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let mut most = 0u32;
    for _ in 0..20 {
        let mut child = other_process("durable::commits_until_it_is_killed", &path)
            .spawn()
            .unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let told = out.lines().map_while(Result::ok);
        let mut told = told.filter_map(|line| line.trim().parse::<u32>().ok());
        most = told.by_ref().take(25).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What was told before the end came, too.
        most = told.last().unwrap_or(most);
        let mut store = open(&path);
        let kept = all(&mut store);
        let of = |table: &str| -> Vec<u32> {
            let kept = kept.iter().filter(|(of, ..)| of == table);
            kept.map(|(_, key, _)| key.parse().unwrap()).collect()
        };
        assert_eq!(of("left"), of("right"), "each patch is whole");
        assert!(
            of("left").last() >= Some(&most),
            "{most} was told as durable"
        );
        let gapless: Vec<_> = (1..=of("left").len())
            .map(|n| u32::try_from(n).unwrap())
            .collect();
        assert_eq!(of("left"), gapless);
    }
    assert!(most >= 20 * 25);
}

/// Another process of the test above.
#[test]
fn commits_until_it_is_killed() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let mut store = open(Path::new(&path));
    let kept = all(&mut store);
    let mut last = kept
        .iter()
        .map(|(_, key, _)| key.parse().unwrap())
        .max()
        .unwrap_or(0u32);
    loop {
        last += 1;
        let key = format!("{last:010}");
        store
            .commit(&patch(&[("left", &key, "x"), ("right", &key, "y")]))
            .unwrap();
        println!("{last}");
    }
}

#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir.path().join("queue.db"));
    store.commit(&patch(&[("jobs", "1", "x")])).unwrap();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
    }
}

#[test]
fn a_path_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nowhere/queue.db");
    let error = SqliteStore::open(&missing, IfLocked::Refuse).unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error}");
    assert!(error.to_string().contains("nowhere/queue.db"), "{error}");
}

#[test]
fn a_full_disk_is_an_error_that_leaves_whole_patches() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    drop(open(&path));
    // No file of that process may become larger than 256 KiB.
    let this = other_process("durable::commits_until_it_cannot", &path);
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\""])
        .arg(this.get_program())
        .args(this.get_args())
        .env(STORE, &path)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("queue.db could not be written"), "{told}");
    assert!(told.contains("make room on the disk"), "{told}");
    let mut told = told.lines().filter_map(|line| line.parse::<usize>().ok());
    let committed = told.next_back().unwrap();
    assert_eq!(all(&mut open(&path)).len(), 2 * committed);
}

/// Another process of the test above.
#[test]
fn commits_until_it_cannot() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let mut store = open(Path::new(&path));
    let value = "value ".repeat(1000);
    for number in 1..1000 {
        let key = number.to_string();
        let patch = patch(&[("left", &key, &value), ("right", &key, &value)]);
        if let Err(error) = store.commit(&patch) {
            return println!("{error}");
        }
        println!("{number}");
    }
}
