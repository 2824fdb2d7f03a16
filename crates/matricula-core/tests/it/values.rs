//! Timestamps, entropy, write batches, store errors.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use matricula_core::{
    Body, Entropy, FileRef, MASK, Response, SeededEntropy, ServerUrlError, StoreError, Timestamp,
    WriteBatch, mask_json,
    scheduler::{Outcome, WaitReason},
};
use proptest::prelude::*;
use serde_json::json;

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

fn response(status: u16, text: &str) -> Response {
    Response::new(status, vec![], Body::Json(text.to_owned()))
}

/// One part that fits no `Value` does not hide the rest.
#[test]
fn unreadable_part_hides_nothing_else() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (text, expected) in [
        (r#"{"a":1e400,"b":1}"#, json!({"a": null, "b": 1})),
        (
            r#"{"a":{"b":[1,-1e400,{"c":1e999}]}}"#,
            json!({"a": {"b": [1, null, {"c": null}]}}),
        ),
        (
            r#"{"a":"x\ud83d","b":1}"#,
            json!({"a": "x\u{fffd}\u{fffd}\u{fffd}", "b": 1}),
        ),
        (
            r#"{"\ude00":1,"b":[]}"#,
            json!({"\u{fffd}\u{fffd}\u{fffd}": 1, "b": []}),
        ),
        (r#"["\ud83d\ude00",1e400]"#, json!(["\u{1f600}", null])),
        (r#"{"a":1,"a":2,"b":1e400}"#, json!({"a": 2, "b": null})),
        ("1e400", json!(null)),
        (r#""\ud800""#, json!("\u{fffd}\u{fffd}\u{fffd}")),
    ] {
        assert_eq!(response(200, text).json_body(), Some(expected), "{text}");
    }
    let body = response(200, &format!(r#"{{"a":{deep},"b":1}}"#)).json_body();
    assert_eq!(body.unwrap()["b"], 1);
    for text in [
        "",
        "{",
        r#"{"a":1e400"#,
        r#"{"a":1e400}x"#,
        r#"{"a":"\ud8"}"#,
        "[1e400,]",
        "nul",
    ] {
        assert_eq!(response(200, text).json_body(), None, "{text}");
    }

    let refusal = r#"{"errcode":"M_FORBIDDEN","error":"no \ud83d","since":1e400}"#;
    let refusal = response(403, refusal);
    assert_eq!(refusal.error_code(), "M_FORBIDDEN");
    assert!(refusal.error_message().starts_with("no "));
    let masked = mask_json(r#"{"token":"secret","since":1e400}"#, &["/token"]);
    assert_eq!(masked, r#"{"since":null,"token":"***"}"#);
    assert_eq!(mask_json("{", &["/token"]), MASK);
}
