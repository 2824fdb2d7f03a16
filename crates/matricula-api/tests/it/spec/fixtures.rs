//! `cargo xtask fixtures` on the examples of the specification.

#[path = "../../../examples/fixtures/check.rs"]
#[allow(clippy::duplicate_mod, reason = "the example has no library")]
mod check;

use check::Report;
use serde_json::json;

use super::data::{answers, operations};
use crate::spec_events;

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn fixtures_of_the_specification_read() {
    let mut report = Report::default();
    for (name, event) in spec_events::examples() {
        report.check(&name, &event);
    }
    for operation in operations() {
        for media in answers(&operation) {
            for (index, example) in media.examples().iter().enumerate() {
                report.check(&format!("{}#{index}", media.name), example);
            }
        }
    }
    let findings = [&report.unreadable, &report.invalid, &report.changed];
    let mut shown: Vec<String> = findings
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    // Three examples have an `m.room.message` without a body.
    let all = shown.len();
    shown.retain(|finding| !finding.ends_with("missing field `body`"));
    assert_eq!(all - shown.len(), 3);
    println!("{} values look like a response or an event", report.values);
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    assert!(report.values > 150, "{}", report.values);
}

/// Answers that their fields tell apart.
#[test]
fn fixtures_know_answers() {
    for (answer, invalid) in [
        (
            json!({"session": "s", "flows": [{"stages": ["m.login.dummy"]}]}),
            0,
        ),
        (
            json!({"session": 5, "flows": [{"stages": [5]}, {"stages": []}], "params": {}}),
            0,
        ),
        (json!({"flows": [{"type": "m.login.password"}, 5]}), 1),
        (
            json!({"threepids": [{"medium": "email", "address": "a@b", "added_at": "x"}]}),
            1,
        ),
    ] {
        let mut report = Report::default();
        report.check("a", &answer);
        assert_eq!(report.values, 1, "{answer}");
        let findings = (
            report.unreadable.len(),
            report.invalid.len(),
            report.changed.len(),
        );
        assert_eq!(findings, (0, invalid, 0), "{answer}");
    }
}

#[test]
fn fixtures_list_what_is_wrong() {
    let event = json!({"type": "m.room.member", "state_key": "@a:b", "sender": "@a:b", "event_id": "$1",
        "origin_server_ts": 1, "content": {"membership": "join", "is_direct": "yes"}});
    let unreadable = json!({"type": "m.room.member", "sender": 5, "event_id": "$1", "content": {}});
    let sync = json!({"next_batch": "s", "rooms": {"join": {"!a:b": {"timeline": {"events": [event]}}}},
        "device_lists": {"changed": ["bob"]}});
    let mut report = Report::default();
    report.check("a", &json!([sync, {"inner": unreadable}]));
    let shown = |findings: &[check::Finding]| -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    };
    assert_eq!(report.values, 3);
    let [unreadable] = &shown(&report.unreadable)[..] else {
        panic!("{:?}", shown(&report.unreadable));
    };
    assert!(
        unreadable.starts_with("a/1/inner (m.room.member): "),
        "{unreadable}"
    );
    let invalid = shown(&report.invalid);
    assert!(
        invalid[0].starts_with("a/0 (sync): /device_lists/changed/0: not a user id"),
        "{invalid:?}"
    );
    let member = "a/0/rooms/join/!a:b/timeline/events/0 (m.room.member): content: /is_direct: expected a boolean, found string";
    assert_eq!(invalid[1], member);
    assert_eq!(invalid.len(), 2);
    assert!(shown(&report.changed).is_empty());
}
