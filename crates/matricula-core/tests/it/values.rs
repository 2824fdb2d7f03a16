//! Timestamps, entropy, write batches, store errors.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use matricula_core::{
    Body, Entropy, FileRef, SeededEntropy, ServerUrlError, StoreError, Timestamp, WriteBatch,
    scheduler::{Outcome, WaitReason},
};
use proptest::prelude::*;

#[test]
fn paths_are_files() {
    let expected = FileRef::new("a/b.png");
    let path = PathBuf::from("a/b.png");
    for file in [
        FileRef::from("a/b.png"),
        FileRef::from("a/b.png".to_owned()),
        FileRef::from(Path::new("a/b.png")),
        FileRef::from(&path),
        FileRef::from(path.as_os_str()),
        FileRef::from(path.clone()),
    ] {
        assert_eq!(file, expected);
    }
    assert_eq!(Body::from(expected.clone()), Body::File(expected));
}

#[test]
fn outcomes_are_shown_in_words() {
    assert_eq!(Outcome::Cancelled.to_string(), "it was cancelled");
    let waits = WaitReason::RateLimited.to_string();
    assert_eq!(waits, "the server accepts no more requests for now");
    assert_eq!(WaitReason::Unreachable("why".into()).to_string(), "why");
}

#[test]
fn timestamps_saturate() {
    let now = Timestamp::from_millis(1_000);
    assert_eq!(now.plus(Duration::from_secs(2)).as_millis(), 3_000);
    assert_eq!(now.plus(Duration::MAX).as_millis(), u64::MAX);
    assert_eq!(
        now.since(Timestamp::from_millis(400)),
        Duration::from_millis(600)
    );
    assert_eq!(now.since(Timestamp::from_millis(5_000)), Duration::ZERO);
}

#[test]
fn seeded_entropy_is_reproducible() {
    let draw = |seed| SeededEntropy::new(seed).text(b"abcdefgh", 24);
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    // The reference outputs of SplitMix64 for seed 0.
    let mut bytes = [0; 16];
    SeededEntropy::new(0).fill(&mut bytes);
    let expected = [0xe220_a839_7b1d_cdaf_u64, 0x6e78_9e6a_a1b9_65f4].map(u64::to_le_bytes);
    assert_eq!(bytes[..], expected.concat());
}

proptest! {
    #[test]
    fn below_respects_its_bound(seed: u64, bound: u64) {
        let drawn = SeededEntropy::new(seed).below(bound);
        prop_assert!(drawn < bound || (bound == 0 && drawn == 0));
    }
}

#[test]
fn batch_keeps_write_order() {
    let mut batch = WriteBatch::default();
    assert!(batch.is_empty());
    batch.put("jobs", "1", "a");
    batch.remove("jobs", "1");
    let changes: Vec<_> = batch
        .writes()
        .iter()
        .map(|c| (c.key.as_str(), c.value.as_deref()))
        .collect();
    assert_eq!(changes, [("1", Some(&b"a"[..])), ("1", None)]);
}

#[test]
fn store_error_keeps_its_source() {
    let cause = "no scheme"
        .parse::<matricula_core::ServerUrl>()
        .unwrap_err();
    let error = StoreError::from_source(cause.clone());
    assert_eq!(error.to_string(), cause.to_string());
    assert_eq!(error.clone().source_as::<ServerUrlError>(), Some(&cause));
    assert!(std::error::Error::source(&StoreError::new("the disk is full")).is_none());
}
