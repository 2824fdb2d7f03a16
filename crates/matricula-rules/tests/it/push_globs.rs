//! Patterns of push rules: whole values, and words in messages.

use matricula_rules::push::{PushContext, PushEvent, Ruleset};
use serde_json::json;

/// Whether a pattern matches a field of an event.
fn matches(key: &str, pattern: &str, event: serde_json::Value) -> bool {
    let condition = json!({ "kind": "event_match", "key": key, "pattern": pattern });
    let rule = json!({ "rule_id": "r", "enabled": true, "actions": ["notify"], "conditions": [condition] });
    let rules = Ruleset::parse(&json!({ "override": [rule] }).to_string()).unwrap();
    let event = PushEvent::parse(&event.to_string()).unwrap();
    let context = PushContext {
        user_id: "@me:example.org",
        display_name: None,
        member_count: 2,
        power: None,
    };
    rules.evaluate(&event, &context).is_some()
}

fn whole(pattern: &str, value: &str) -> bool {
    matches(
        "content.topic",
        pattern,
        json!({ "content": { "topic": value } }),
    )
}

fn words(pattern: &str, body: &str) -> bool {
    matches(
        "content.body",
        pattern,
        json!({ "content": { "body": body } }),
    )
}

#[test]
fn whole_value_must_match() {
    for (pattern, value, expected) in [
        ("lunc?*", "Lunch plans", true),
        ("lunc?*", "LUNCH", true),
        ("lunc?*", " lunch", false),
        ("lunc?*", "lunc", false),
        ("", "", true),
        ("", "x", false),
        ("*", "", true),
        ("*", "anything\nat all", true),
        ("?", "é", true),
        ("?", "", false),
        ("??", "日本", true),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "abcb", false),
        ("*b*", "abc", true),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("a**c", "abc", true),
        ("a.c", "abc", false),
        ("[a-c]", "b", false),
        ("ÄÖ", "äö", true),
    ] {
        assert_eq!(whole(pattern, value), expected, "{pattern:?} in {value:?}");
    }
}

#[test]
fn words_in_a_body_match() {
    for (pattern, body, expected) in [
        ("ex*ple", "An example event.", true),
        ("ex*ple", "exple", true),
        ("ex*ple", "An exciting triple-whammy", true),
        ("ex*ple", "examples", false),
        ("ex*ple", "hexample", false),
        ("ex*ple", "examples example", true),
        ("cake", "a CAKE!", true),
        ("cake", "cakes", false),
        ("cake", "cup_cake", false),
        ("cake", "cup-cake", true),
        ("cake", "pancake cake", true),
        ("cak?", "cake", true),
        ("cake*lie", "the cake is a lie.", true),
        ("cake*lie", "the cake is a lied", false),
        ("@room", "hello @room", true),
        ("@room", "@roommate", false),
        // A word boundary is also a character that belongs to no word.
        ("@room", "x@room", true),
        ("éa", "éa", true),
        ("b", "éb", true),
        ("*", "anything", true),
        ("a b", "x a b y", true),
        ("a b", "xa b y", false),
    ] {
        assert_eq!(words(pattern, body), expected, "{pattern:?} in {body:?}");
    }
}

#[test]
fn only_texts_match() {
    for value in [json!(1), json!(null), json!(["x"]), json!({}), json!(true)] {
        assert!(!matches(
            "content.topic",
            "*",
            json!({ "content": { "topic": value } })
        ));
    }
    assert!(!matches("content.topic", "*", json!({ "content": {} })));
    assert!(!matches(
        "content.topic",
        "*",
        json!({ "content": "topic" })
    ));
}

#[test]
fn paths_have_escapes() {
    let event =
        json!({ "content": { "m.x": { "a": "v" }, r"m\y": "v", "m": { "x": "w" }, r"\z": "v" } });
    assert!(matches(r"content.m\.x.a", "v", event.clone()));
    assert!(matches("content.m.x", "w", event.clone()));
    assert!(matches(r"content.m\\y", "v", event.clone()));
    // Other escapes are no escapes.
    assert!(matches(r"content.m\y", "v", event.clone()));
    assert!(matches(r"content.\z", "v", event.clone()));
    assert!(!matches(r"content.m\.x", "v", event.clone()));
    assert!(!matches("content", "*", event));
}

#[test]
fn hostile_patterns_take_little_time() {
    let body = "a".repeat(60_000);
    let stars = "a*".repeat(500) + "b";
    assert!(!words(&stars, &body));
    assert!(!whole(&stars, &body));
    assert!(!words(&("?".repeat(1_000) + "b"), &body));
    // Longer than any pattern may be.
    assert!(!words(&"*".repeat(2_000), &body));
}
