//! Arbitrary and mutated responses and requests.

use std::{borrow::Cow, collections::BTreeSet, sync::LazyLock};

use matricula_api::ApiError;
use matricula_core::{Body, Response};
use proptest::{collection::vec, prelude::*, sample::Index, sample::select};
use serde_json::{Value, json};

use super::{
    fields::pointers, nth, read_any_request, read_any_response, read_request, read_response,
};
use crate::{
    apis::{all, name},
    response,
    sample_requests::{Amount, incoming},
    samples,
};

/// All names of fields in all samples, so that arbitrary JSON meets what it is read by.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut names = BTreeSet::new();
    for endpoint in all() {
        let sample = samples::of(endpoint);
        for value in [&sample.request, &sample.answer] {
            names.extend(pointers(value).iter().filter_map(|pointer| {
                let (_, name) = pointer.rsplit_once('/')?;
                Some(name.replace("~1", "/").replace("~0", "~"))
            }));
        }
    }
    names.insert("$serde_json::private::RawValue".to_owned());
    names.insert("$serde_json::private::Number".to_owned());
    names.into_iter().collect()
});

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        select(vec![
            "@a:b",
            "!a:b",
            "#a:b",
            "$a",
            "a.org",
            "mxc://a/b",
            "",
            "1",
            "\u{0}",
            "{}"
        ])
        .prop_map(str::to_owned),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let name = prop_oneof![6 => any::<Index>().prop_map(|index| index.get(&NAMES).clone()), 1 => any_text()];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((name, inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

fn any_header() -> impl Strategy<Value = (Cow<'static, str>, String)> {
    let names = vec![
        "retry-after",
        "Location",
        "content-type",
        "Content-Disposition",
        "x",
        "",
    ];
    (select(names), any_text()).prop_map(|(name, value)| (Cow::Borrowed(name), value))
}

/// A mutation of a body.
#[derive(Clone, Debug)]
enum Change {
    Put(Value),
    Remove,
    /// Another field, or another item.
    Add(String, Value),
    /// A byte of the text.
    Byte(Index, u8),
    Cut(Index),
    /// A piece of the text, once more.
    Repeat(Index, Index),
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any_json().prop_map(Change::Put),
        Just(Change::Remove),
        (any_text(), any_json()).prop_map(|(name, value)| Change::Add(name, value)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

/// The text of `value` after changes at places of it.
fn changed(value: &Value, changes: &[(Index, Change)]) -> Vec<u8> {
    let mut value = value.clone();
    for (place, change) in changes {
        let pointer = place.get(&pointers(&value)).clone();
        match change {
            Change::Put(other) => *value.pointer_mut(&pointer).unwrap() = other.clone(),
            Change::Remove => remove(&mut value, &pointer),
            Change::Add(name, other) => match value.pointer_mut(&pointer).unwrap() {
                Value::Array(items) => items.push(other.clone()),
                Value::Object(fields) => drop(fields.insert(name.clone(), other.clone())),
                leaf => *leaf = json!([leaf, other]),
            },
            _ => {}
        }
    }
    let mut text = value.to_string().into_bytes();
    for (_, change) in changes {
        if text.is_empty() {
            break;
        }
        match change {
            Change::Byte(at, byte) => *at.get_mut(&mut text) = *byte,
            Change::Cut(at) => text.truncate(at.index(text.len())),
            Change::Repeat(from, to) => {
                let (from, to) = (from.index(text.len()), to.index(text.len()));
                let piece = text[from.min(to)..from.max(to)].to_vec();
                text.splice(from..from, piece);
            }
            _ => {}
        }
    }
    text
}

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return;
    };
    match value.pointer_mut(parent).unwrap() {
        Value::Array(items) => drop(items.remove(key.parse().unwrap())),
        Value::Object(fields) => drop(fields.remove(&key.replace("~1", "/").replace("~0", "~"))),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_any_response(&bytes);
        read_any_request(&bytes);
    }

    #[test]
    fn changed_response_never_panics(
        number in any::<u16>(),
        status in prop_oneof![Just(200), Just(400), Just(401), any::<u16>()],
        headers in vec(any_header(), 0..4),
        changes in vec((any::<Index>(), any_change()), 1..4),
    ) {
        let endpoint = nth(number);
        let body = changed(&samples::of(endpoint).answer, &changes);
        let _ = read_response(endpoint, &Response::new(status, headers, Body::Bytes(body)));
    }

    #[test]
    fn changed_request_never_panics(
        number in any::<u16>(),
        changes in vec((any::<Index>(), any_change()), 1..4),
    ) {
        let endpoint = nth(number);
        let sample = &samples::of(endpoint).request;
        let body = changed(sample, &changes);
        let request = incoming(endpoint, Amount::Everything, sample, &body);
        let _ = read_request(endpoint, &request, body.len());
    }
}

proptest! {
    // Each is read by every operation.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn arbitrary_response_never_panics(
        status in any::<u16>(),
        headers in vec(any_header(), 0..4),
        bytes in vec(any::<u8>(), 0..200),
        json in any_json(),
    ) {
        for endpoint in all() {
            for body in [bytes.clone(), json.to_string().into_bytes()] {
                for status in [200, 401, status] {
                    let answer = Response::new(status, headers.clone(), Body::Bytes(body.clone()));
                    let _ = read_response(endpoint, &answer);
                }
            }
        }
    }

    #[test]
    fn arbitrary_body_never_panics(
        bytes in vec(any::<u8>(), 0..200),
        json in any_json(),
    ) {
        for endpoint in all() {
            for body in [bytes.clone(), json.to_string().into_bytes()] {
                let request = incoming(endpoint, Amount::Required, &Value::Null, &body);
                let _ = read_request(endpoint, &request, body.len());
            }
        }
    }
}

#[test]
fn truncated_response_is_rejected() {
    for endpoint in all() {
        let sample = &samples::of(endpoint).answer;
        if sample.is_null() {
            continue;
        }
        let text = sample.to_string();
        assert!(
            read_response(endpoint, &response(200, &text)).is_ok(),
            "{}",
            name(endpoint)
        );
        // Nothing at all is as good as an empty object.
        for end in 1..text.len() {
            match endpoint.read(&response(200, &text[..end])) {
                Err(ApiError::Malformed { message, .. })
                    if message.starts_with("it is not whole JSON") => {}
                other => panic!("{} cut off at {end}: {other:?}", name(endpoint)),
            }
        }
    }
}
