//! Canonical JSON: the examples of the specification, and what its rules say beside them.

use matricula_rules::{
    JsonError, RoomVersion,
    canonical_json::{MAX_INTEGER, Numbers, canonicalize, canonicalize_value},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn strict(json: &str) -> Result<String, JsonError> {
    canonicalize(json, Numbers::Strict)
}

#[test]
fn specification_examples_are_canonicalized() {
    let examples = [
        ("{}", "{}"),
        (r#"{ "one": 1, "two": "Two" }"#, r#"{"one":1,"two":"Two"}"#),
        (r#"{ "b": "2", "a": "1" }"#, r#"{"a":"1","b":"2"}"#),
        (r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#),
        (
            r#"{
                "auth": {
                    "success": true,
                    "mxid": "@john.doe:example.com",
                    "profile": {
                        "display_name": "John Doe",
                        "three_pids": [
                            { "medium": "email", "address": "john.doe@example.org" },
                            { "medium": "msisdn", "address": "123456789" }
                        ]
                    }
                }
            }"#,
            r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}"#,
        ),
        (r#"{ "a": "日本語" }"#, r#"{"a":"日本語"}"#),
        (r#"{ "本": 2, "日": 1 }"#, r#"{"日":1,"本":2}"#),
        (r#"{ "a": "\u65E5" }"#, r#"{"a":"日"}"#),
        (r#"{ "a": null }"#, r#"{"a":null}"#),
        (r#"{ "a": -0, "b": 1e10 }"#, r#"{"a":0,"b":10000000000}"#),
    ];
    for (json, canonical) in examples {
        assert_eq!(
            canonicalize(json, Numbers::Lenient).as_deref(),
            Ok(canonical),
            "{json}"
        );
    }
}

#[test]
fn escapes_are_the_shortest() {
    let json = r#"{"a":"\u0000\u0007\b\t\n\u000b\f\r\u001f\u007f\u0022\\\/\u00e9\ud83d\ude00"}"#;
    let canonical = "{\"a\":\"\\u0000\\u0007\\b\\t\\n\\u000b\\f\\r\\u001f\u{7f}\\\"\\\\/é😀\"}";
    assert_eq!(strict(json).as_deref(), Ok(canonical));
}

#[test]
fn names_are_sorted_by_code_point() {
    // In UTF-16, U+10000 would come before U+FFFF. "\u0061" is "a", which comes after "B".
    let json = "{\"\u{10000}\":1,\"\u{ffff}\":2,\"\\u0061\":3,\"B\":4,\"\":5,\"a\\u0000\":6}";
    let canonical = "{\"\":5,\"B\":4,\"a\":3,\"a\\u0000\":6,\"\u{ffff}\":2,\"\u{10000}\":1}";
    assert_eq!(strict(json).as_deref(), Ok(canonical));
}

#[test]
fn last_of_equal_names_counts() {
    assert_eq!(
        strict(r#"{"a":1,"\u0061":{"b":2}}"#).as_deref(),
        Ok(r#"{"a":{"b":2}}"#)
    );
}

#[test]
fn strict_numbers_are_integers_within_bounds() {
    for accepted in ["0", "-0", "9007199254740991", "-9007199254740991"] {
        let written = accepted.replace("-0", "0");
        assert_eq!(strict(accepted), Ok(written));
    }
    for refused in [
        "9007199254740992",
        "-9007199254740992",
        "123456789012345678901234567890",
    ] {
        let error = strict(refused).unwrap_err();
        assert_eq!(
            error,
            JsonError::IntegerOutOfRange {
                path: String::new()
            },
            "{refused}"
        );
    }
    for refused in ["1.0", "1e0", "1E5", "0.1", "-1.5", "1e400"] {
        let error = strict(refused).unwrap_err();
        assert_eq!(
            error,
            JsonError::NotAnInteger {
                path: String::new()
            },
            "{refused}"
        );
    }
    assert_eq!(MAX_INTEGER, 9_007_199_254_740_991);
}

#[test]
fn lenient_numbers_are_not_lost() {
    for number in [
        "9007199254740993",
        "-123456789012345678901234567890",
        "1.5",
        "1e400",
        "1e16",
        "0.1000000000000000055",
    ] {
        assert_eq!(
            canonicalize(number, Numbers::Lenient).as_deref(),
            Ok(number)
        );
    }
    for (number, written) in [("1.0", "1"), ("-2e2", "-200"), ("-0.0", "0"), ("5E0", "5")] {
        assert_eq!(
            canonicalize(number, Numbers::Lenient).as_deref(),
            Ok(written)
        );
    }
}

#[test]
fn numbers_are_strict_since_version_six() {
    for version in RoomVersion::ALL {
        let is_strict = version >= RoomVersion::V6;
        let accepted = canonicalize(r#"{"depth":9223372036854775807}"#, version.into());
        assert_eq!(accepted.is_err(), is_strict, "{version}");
    }
}

#[test]
fn errors_name_the_number() {
    let cases = [
        (
            r#"{"content":{"a":[0,{"b":1.5}]}}"#,
            "the number at content.a.1.b is not an integer",
        ),
        (
            r#"[[9007199254740992]]"#,
            "the integer at 0.0 is not within ±9007199254740991",
        ),
    ];
    for (json, message) in cases {
        assert_eq!(strict(json).unwrap_err().to_string(), message);
    }
}

#[test]
fn broken_json_is_an_error() {
    for json in [
        "",
        "{",
        "[1,]",
        "nul",
        r#"{"a":1}x"#,
        r#"{1:2}"#,
        r#"{"a":"\ud800"}"#,
        "\"\u{1}\"",
        "01",
    ] {
        assert!(matches!(strict(json), Err(JsonError::Syntax(_))), "{json}");
    }
}

#[test]
fn errors_do_not_quote_values() {
    let error = matricula_rules::redaction::redact(r#""secret""#, RoomVersion::V12).unwrap_err();
    assert_eq!(error, JsonError::NotAnObject);
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(strict(&nested(100)), Ok(nested(100)));
    for deep in [nested(200), nested(100_000)] {
        assert_eq!(strict(&deep), Err(JsonError::TooDeep));
    }
    let objects = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    assert_eq!(strict(&objects), Err(JsonError::TooDeep));
}

#[test]
fn values_are_written_as_texts_are() {
    let value = json!({ "b": [1, -2, true, null], "a": { "é": "x\ny" } });
    let canonical = canonicalize_value(&value, Numbers::Strict);
    assert_eq!(
        canonical.as_deref(),
        Ok(r#"{"a":{"é":"x\ny"},"b":[1,-2,true,null]}"#)
    );
    assert!(canonicalize_value(&json!({ "a": 0.5 }), Numbers::Strict).is_err());
    let negative_zero: Value = "-0".parse().unwrap();
    assert_eq!(
        canonicalize_value(&negative_zero, Numbers::Strict).as_deref(),
        Ok("0")
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-MAX_INTEGER..=MAX_INTEGER).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_form_means_the_same(value in any_json()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let canonical = strict(&pretty).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Value>(&canonical).unwrap(), &value);
        // It does not change when it is written once more, nor by how the text was written.
        prop_assert_eq!(strict(&canonical).unwrap(), canonical.clone());
        prop_assert_eq!(strict(&value.to_string()).unwrap(), canonical);
    }
}
