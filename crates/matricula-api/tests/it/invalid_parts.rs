//! One invalid part of what a server sends never spoils the rest: it is preserved, and written back.

mod table;

use std::{fmt::Write, time::Duration};

use matricula_api::{
    Raw,
    client::{login::Login, sync::Sync, tags::GetRoomTags, users::SearchUserDirectory},
    events::{
        AnyState, EventContent, IgnoredUserList, Receipt, RecentEmoji, RoomEvent, RoomMember,
        RoomPinnedEvents, RoomPowerLevels, RoomTombstone,
    },
};
use matricula_core::Api;
use serde_json::{Value, json};

use crate::{
    apis::{all, endpoint, name},
    read, response,
    robust::fields::pointers,
    samples,
    spec_events::read_content,
};
use table::{CONTENTS, RESPONSES};

/// Stands for a number that `Value` cannot hold.
const HUGE: &str = "a huge number";

/// Stands for a text that `Value` cannot hold.
const HALF: &str = "half a character";

/// The JSON text of a value in which the two stand for what they mean.
fn text(value: &Value) -> String {
    let text = value.to_string();
    let text = text.replace(&format!("\"{HUGE}\""), "1e400");
    text.replace(HALF, "\\ud800")
}

fn value(text: &str) -> Value {
    let text = text.replace("1e400", &format!("\"{HUGE}\""));
    serde_json::from_str(&text.replace("\\ud800", HALF)).unwrap()
}

/// Values of every type, each of which is wrong nearly everywhere.
fn wrong() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(50.0),
        json!(HUGE),
        json!(HALF),
        json!(""),
        json!("text"),
        json!("17"),
        json!([]),
        json!({}),
        json!([null, {"a": [[], {}]}]),
        json!({"": {"a": null, "b": [1]}, "@a:b": 5}),
    ]
}

/// Whether `after` is a normal form of `before`.
fn is_normal(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (before, after) if before == after => true,
        (Value::Number(before), Value::Number(after)) => before.as_f64() == after.as_f64(),
        // Digits in a text.
        (Value::String(before), Value::Number(after)) => {
            before.trim().parse() == Ok(after.as_f64().unwrap())
        }
        // Null for a list or map, and a single item.
        (Value::Null, Value::Array(after)) => after.is_empty(),
        (Value::Null, Value::Object(after)) => after.is_empty(),
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len()
                && before
                    .iter()
                    .zip(after)
                    .all(|(old, new)| is_normal(old, new))
        }
        (before, Value::Array(after)) => matches!(&after[..], [one] if is_normal(before, one)),
        (Value::Object(before), Value::Object(after)) => {
            let is_written = |(key, old): (&String, &Value)| match after.get(key) {
                Some(new) => is_normal(old, new),
                // Some optional fields are read as absent if their text is empty.
                None => old.is_null() || old == "",
            };
            // A list or map that was missing.
            let is_added = |(key, new): (&String, &Value)| {
                before.contains_key(key) || *new == json!([]) || *new == json!({})
            };
            before.iter().all(is_written) && after.iter().all(is_added)
        }
        _ => false,
    }
}

/// `whole` without the value at `pointer`; `None` for the whole.
fn without(whole: &Value, pointer: &str) -> Option<Value> {
    let mut rest = whole.clone();
    let (parent, key) = pointer.rsplit_once('/')?;
    match rest.pointer_mut(parent)? {
        Value::Object(fields) => drop(fields.remove(&key.replace("~1", "/").replace("~0", "~"))?),
        Value::Array(items) => drop(items.remove(key.parse().unwrap())),
        _ => return None,
    }
    Some(rest)
}

/// Responses of which a required part has no type: it cannot hold the two values.
const UNTYPED: [&str; 4] = [
    "client/getProfileField",
    "client/getRoomKeyBySessionId",
    "client/getRoomKeysVersion",
    "client/getRoomKeysVersionCurrent",
];

/// Reads a JSON text, and writes it again.
type ReadWrite<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Puts each wrong value into each place of `sample` that the rest can be read without. Returns the number of
/// cases.
pub(crate) fn spoil(
    what: &str,
    sample: &Value,
    read: ReadWrite<'_>,
    failures: &mut String,
) -> usize {
    let mut cases = 0;
    for pointer in pointers(sample) {
        let Some(rest) = without(sample, &pointer) else {
            continue;
        };
        // Without it, nothing is left.
        if read(&text(&rest)).is_err() {
            continue;
        }
        let is_untyped = UNTYPED.iter().any(|untyped| what.starts_with(untyped));
        for wrong in wrong() {
            if is_untyped && (wrong == HUGE || wrong == HALF) {
                continue;
            }
            cases += 1;
            let mut spoiled = sample.clone();
            *spoiled.pointer_mut(&pointer).unwrap() = wrong.clone();
            let mut fail = |why: &str| {
                writeln!(failures, "{what} {pointer} = {}: {why}", text(&wrong)).unwrap();
            };
            let written = match read(&text(&spoiled)) {
                Ok(written) => written,
                Err(error) => {
                    fail(&error);
                    continue;
                }
            };
            if !is_normal(&spoiled, &value(&written)) {
                fail(&format!("it is written as {written}"));
            }
            // The written form is a fixed point.
            if value(&written) == spoiled {
                continue;
            }
            match read(&written) {
                Ok(again) if value(&again) == value(&written) => {}
                again => fail(&format!("what is written is read as {again:?}")),
            }
        }
        cases += rename(what, sample, &pointer, read, failures);
    }
    cases
}

/// Gives a map's entry a key that is not an identifier.
fn rename(
    what: &str,
    sample: &Value,
    pointer: &str,
    read: ReadWrite<'_>,
    failures: &mut String,
) -> usize {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    if !key.starts_with(['@', '!', '$', '#']) {
        return 0;
    }
    let mut renamed = without(sample, pointer).unwrap();
    let value_of = sample.pointer(pointer).unwrap().clone();
    let long = format!("@{}:example.org", "a".repeat(317));
    let keys = ["", "text", "@", "~!a:b", &long];
    for key in keys {
        let fields = renamed
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap();
        fields.insert(key.to_owned(), value_of.clone());
    }
    match read(&text(&renamed)) {
        Ok(written) if is_normal(&renamed, &value(&written)) => {}
        other => writeln!(failures, "{what} {pointer} with other keys: {other:?}").unwrap(),
    }
    keys.len()
}

/// The responses that the samples hold: with every field that the specification names.
#[test]
fn invalid_part_never_spoils_a_response() {
    let (mut cases, mut failures) = (0, String::new());
    for endpoint in all() {
        let sample = &samples::of(endpoint).answer;
        let read = |text: &str| match endpoint.read(&response(200, text)) {
            Ok(written) => Ok(String::from_utf8(written.body).unwrap()),
            Err(error) => Err(error.to_string()),
        };
        if read(&sample.to_string()).is_ok() {
            cases += spoil(&name(endpoint), sample, &read, &mut failures);
        }
    }
    println!("{cases} responses with an invalid part");
    assert!(failures.is_empty(), "{failures}");
    assert!(cases > 10_000, "{cases}");
}

#[test]
fn response_is_written_as_it_came() {
    for (id, json) in RESPONSES {
        let json = json.replace("LONG", &"a".repeat(310));
        let read = endpoint(Api::Client, id).read(&response(200, &json));
        let read = read.unwrap_or_else(|error| panic!("{id} {json}: {error}"));
        let written = String::from_utf8(read.body).unwrap();
        assert_eq!(value(&written), value(&json), "{id}");
    }
}

#[test]
fn content_is_written_as_it_came() {
    for (kind, event_type, json) in CONTENTS {
        let written = read_content(*kind, event_type, json);
        let written = written.unwrap_or_else(|error| panic!("{event_type} {json}: {error}"));
        assert_eq!(value(&written), value(json), "{event_type}");
    }
}

fn content<C: EventContent>(json: &str) -> C {
    C::from_raw(&Raw::<Value>::from_json(json.to_owned()).unwrap()).unwrap()
}

/// What is valid is read, and what is not can be looked at.
#[test]
fn invalid_parts_can_be_inspected() {
    let body = format!(
        r#"{{"next_batch":"s","device_lists":{{"changed":["@b:x.org","@{}:x.org"],"left":5}}}}"#,
        "a".repeat(310)
    );
    let devices = read::<Sync>(200, &body).unwrap().device_lists.unwrap();
    let changed = devices.changed.unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].as_str(), "@b:x.org");
    let (place, long) = &changed.invalid()[0];
    assert!(*place == 1 && long.json().len() > 310);
    assert_eq!((devices.left, &devices.extra["left"]), (None, &json!(5)));

    let levels: RoomPowerLevels =
        content(r#"{"users":{"@b:x.org":50.57,"@a:x.org":100,"@c:d":50.0}}"#);
    let users = levels.users.unwrap();
    assert_eq!(users.get("@a:x.org").map(|level| level.0), Some(100));
    assert_eq!(users.get("@c:d").map(|level| level.0), Some(50));
    assert_eq!(users.get("@b:x.org"), None);
    let invalid: Vec<(&str, &str)> = users
        .invalid()
        .map(|(key, raw)| (key, raw.json()))
        .collect();
    assert_eq!(invalid, [("@b:x.org", "50.57")]);

    let pinned: RoomPinnedEvents = content(r#"{"pinned":["~!r:x.org:m1","$a"]}"#);
    assert_eq!(pinned.pinned[0].as_str(), "$a");
    assert_eq!(pinned.pinned.invalid()[0].1.json(), r#""~!r:x.org:m1""#);

    let member: RoomMember = content(r#"{"membership":"join","is_direct":"yes"}"#);
    assert_eq!(
        (member.is_direct, &member.extra["is_direct"]),
        (None, &json!("yes"))
    );

    let Receipt(receipts) = content(r#"{"$1":{"m.read":{"@a:x.org":5,"@b:x.org":{"ts":1}}}}"#);
    let users = receipts["$1"].read.as_ref().unwrap();
    assert_eq!(users["@b:x.org"].ts.unwrap().as_millis(), 1);
    assert_eq!(users.invalid().next().unwrap().0, "@a:x.org");

    let emoji: RecentEmoji = content(r#"{"recent_emoji":[{"emoji":"a","total":-1}]}"#);
    assert_eq!(emoji.recent_emoji[0].emoji, "a");
    assert_eq!(emoji.recent_emoji[0].total, None);

    let huge = read::<Login>(
        200,
        r#"{"user_id":"@a:b","access_token":"t","device_id":"D","home_server":1e400}"#,
    );
    let invalid = huge.unwrap().extra;
    assert_eq!(invalid.invalid().next().unwrap().1.json(), "1e400");
}

#[test]
fn setting_a_part_drops_the_invalid_one() {
    let mut levels: RoomPowerLevels = content(r#"{"users":{"@b:x.org":50.57,"x":1},"ban":"b"}"#);
    levels.ban = Some(50.into());
    let users = levels.users.as_mut().unwrap();
    users.insert("@b:x.org".parse().unwrap(), 50.into());
    assert_eq!(
        levels.to_raw().json(),
        r#"{"ban":50,"users":{"@b:x.org":50,"x":1}}"#
    );
    let users = levels.users.as_mut().unwrap();
    assert_eq!(users.remove_invalid("x").unwrap().json(), "1");
    assert_eq!(
        levels.to_raw().json(),
        r#"{"ban":50,"users":{"@b:x.org":50}}"#
    );

    let mut pinned: RoomPinnedEvents = content(r#"{"pinned":["$a",1,"$b",2]}"#);
    pinned.pinned.push("$c".parse().unwrap());
    assert_eq!(pinned.to_raw().json(), r#"{"pinned":["$a",1,"$b",2,"$c"]}"#);
    pinned.pinned.remove(0);
    assert_eq!(pinned.to_raw().json(), r#"{"pinned":["$b",1,"$c",2]}"#);
    assert_eq!(pinned.pinned.take_invalid().len(), 2);
    assert_eq!(pinned.to_raw().json(), r#"{"pinned":["$b","$c"]}"#);

    let mut ignored: IgnoredUserList = content(r#"{"ignored_users":5}"#);
    assert_eq!(ignored.to_raw().json(), r#"{"ignored_users":5}"#);
    ignored
        .ignored_users
        .insert("@a:b".parse().unwrap(), Default::default());
    assert_eq!(ignored.to_raw().json(), r#"{"ignored_users":{"@a:b":{}}}"#);
}

/// Whole floats are whole numbers; digits in a text are numbers where servers send them.
#[test]
fn numbers_may_be_written_otherwise() {
    let event = |ts: &str, age: &str| {
        let json = format!(
            r#"{{"type":"m.x","content":{{}},"event_id":"$1","sender":"@a:b","origin_server_ts":{ts},
            "unsigned":{{"age":{age}}}}}"#
        );
        let event: RoomEvent = serde_json::from_str(&json).unwrap();
        let ts = event.origin_server_ts.map(|ts| ts.as_millis());
        (ts, event.unsigned.unwrap().age)
    };
    assert_eq!(event("50.0", "5e1"), (Some(50), Some(50)));
    assert_eq!(event(r#""50""#, r#"" -50 ""#), (Some(50), Some(-50)));
    assert_eq!(event("50.5", "0.1"), (None, None));
    assert_eq!(event("-50", "1e400"), (None, None));
    assert_eq!(event("1e300", r#""5x""#), (None, None));
    assert_eq!(
        event("9007199254740991", r#""""#),
        (Some(9_007_199_254_740_991), None)
    );
    assert_eq!(event("9007199254740992", r#""0x5""#), (None, None));

    for (expires, expected) in [
        ("5000", Some(5)),
        ("5000.0", Some(5)),
        (r#""5000""#, Some(5)),
        ("-5000", None),
        ("1e400", None),
        (r#""soon""#, None),
    ] {
        let body = format!(
            r#"{{"user_id":"@a:b","access_token":"t","device_id":"D","expires_in_ms":{expires}}}"#
        );
        let login = read::<Login>(200, &body).unwrap();
        assert_eq!(
            login.expires_in_ms,
            expected.map(Duration::from_secs),
            "{expires}"
        );
    }
    for (level, expected) in [
        ("50", Some(50)),
        ("50.0", Some(50)),
        (r#""50""#, Some(50)),
        (r#"" -50 ""#, Some(-50)),
        ("50.57", None),
        (r#""50.0""#, None),
        ("true", None),
        ("1e19", None),
    ] {
        let levels: RoomPowerLevels = content(&format!(r#"{{"ban":{level}}}"#));
        assert_eq!(levels.ban.map(|level| level.0), expected, "{level}");
    }
    // Elsewhere digits in a text are a text.
    let body = r#"{"limited":"no","results":[{"user_id":"@a:b","display_name":"5"}]}"#;
    let found = read::<SearchUserDirectory>(200, body).unwrap();
    assert_eq!(found.results[0].display_name.as_deref(), Some("5"));
    let body = r#"{"tags":{"u.a":{"order":"0.5"}}}"#;
    let tags = read::<GetRoomTags>(200, body).unwrap().tags.unwrap();
    assert_eq!(tags["u.a"].order, Some(0.5));
}

/// A redaction may leave a content empty, and its event without a word about it.
#[test]
fn empty_content_is_that_of_a_redacted_event() {
    for event_type in [
        "m.room.tombstone",
        "m.room.encryption",
        "m.room.create",
        "m.room.member",
        "m.room.join_rules",
        "m.room.history_visibility",
    ] {
        let empty = Raw::from_json("{ }".to_owned()).unwrap();
        let read = AnyState::read(event_type, &empty).unwrap();
        assert_eq!(read.event_type(), event_type);
    }
    for event_type in [
        "m.room.message",
        "m.room.encrypted",
        "m.call.invite",
        "m.sticker",
    ] {
        let event = json!({"type": event_type, "content": {}, "event_id": "$1", "sender": "@a:b",
            "origin_server_ts": 1});
        let event: RoomEvent = serde_json::from_value(event).unwrap();
        let message = event.message().unwrap().unwrap();
        assert_eq!(message.event_type(), event_type);
    }
    let empty = Raw::<Value>::from_json("{}".to_owned()).unwrap();
    assert!(RoomTombstone::from_raw(&empty).unwrap_err().is_redacted());
    let other = Raw::<Value>::from_json(r#"{"body":5}"#.to_owned()).unwrap();
    assert!(!RoomTombstone::from_raw(&other).unwrap_err().is_redacted());
    // An empty list is as good as none.
    assert!(content::<RoomPinnedEvents>("{}").pinned.is_empty());
}
