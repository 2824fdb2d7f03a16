//! Memory amplification: lists and maps of many small parts.

use matricula_api::server::AnyEndpoint;
use serde_json::{Value, json};

use super::{BESIDES, PER_BYTE, fields::pointers, measured};
use crate::{
    apis::{all, name},
    response,
    sample_requests::{Amount, incoming},
    samples, server,
};

/// The number of parts: enough to outweigh the fixed cost of a response.
const PARTS: usize = 400;

/// The smallest parts, and those that take the most room for their size.
fn smallest() -> Vec<Value> {
    vec![
        json!(""),
        json!({}),
        json!({"": 0}),
        json!([[]]),
        json!("@a:b"),
    ]
}

/// `sample` with the list or map at `pointer` filled with `part`.
fn filled(sample: &Value, pointer: &str, part: &Value) -> Option<Value> {
    let mut filled = sample.clone();
    match filled.pointer_mut(pointer)? {
        Value::Array(items) => *items = vec![part.clone(); PARTS],
        Value::Object(fields) => {
            let key: fn(usize) -> String = match fields.keys().next()?.chars().next() {
                Some('@') => |index| format!("@{index}:a"),
                Some('!') => |index| format!("!{index}"),
                _ => |index| index.to_string(),
            };
            *fields = (0..PARTS).map(|index| (key(index), part.clone())).collect();
        }
        _ => return None,
    }
    Some(filled)
}

/// `value` without all that can be left out of it for `accepts` to accept it.
fn least(value: &Value, accepts: impl Fn(&Value) -> bool) -> Value {
    let mut least = value.clone();
    for pointer in pointers(value).iter().rev() {
        let Some((parent, key)) = pointer.rsplit_once('/') else {
            continue;
        };
        let mut without = least.clone();
        match without.pointer_mut(parent) {
            Some(Value::Object(fields)) => {
                drop(fields.remove(&key.replace("~1", "/").replace("~0", "~")))
            }
            Some(Value::Array(items)) => items.clear(),
            _ => continue,
        }
        if accepts(&without) {
            least = without;
        }
    }
    least
}

/// Fills every list and map of `sample`. `read` returns the allocated bytes. Returns how often it
/// accepted the body, and the maximum allocation per byte.
fn fill(id: &str, sample: &Value, read: impl Fn(&str) -> Option<u64>) -> (usize, f64) {
    let (mut accepted, mut most) = (0, 0_f64);
    for pointer in pointers(sample) {
        let own = sample.pointer(&format!("{pointer}/0")).map(|item| {
            least(item, |item| {
                let mut one = sample.clone();
                *one.pointer_mut(&pointer).unwrap() = json!([item]);
                read(&one.to_string()).is_some()
            })
        });
        for part in smallest().into_iter().chain(own) {
            let Some(body) = filled(sample, &pointer, &part) else {
                continue;
            };
            let body = body.to_string();
            let Some(used) = read(&body) else {
                continue;
            };
            let bound = PER_BYTE * u64::try_from(body.len()).unwrap() + BESIDES;
            assert!(
                used <= bound,
                "{id}: {used} bytes were allocated for {}, filling {pointer} with {part}",
                body.len()
            );
            accepted += 1;
            most = most.max(used as f64 / body.len() as f64);
        }
    }
    (accepted, most)
}

fn read_answer(endpoint: &AnyEndpoint, body: &str) -> Option<u64> {
    let answer = response(200, body);
    let (read, used) = measured(|| endpoint.read(&answer));
    read.ok().map(|_| used)
}

fn read_request(endpoint: &AnyEndpoint, sample: &Value, body: &str) -> Option<u64> {
    let request = incoming(endpoint, Amount::Required, sample, body.as_bytes());
    let (read, used) = measured(|| endpoint.job(&request, &server()));
    read.ok().map(|_| used)
}

#[test]
fn many_small_parts_stay_in_bound() {
    let (mut accepted, mut most, mut whose) = (0, 0_f64, String::new());
    for endpoint in all() {
        let id = name(endpoint);
        let sample = samples::of(endpoint);
        let answers = fill(&id, &sample.answer, |body| read_answer(endpoint, body));
        let requests = fill(&id, &sample.request, |body| {
            read_request(endpoint, &sample.request, body)
        });
        for (count, worst) in [answers, requests] {
            accepted += count;
            if worst > most {
                (most, whose) = (worst, id.clone());
            }
        }
    }
    println!("{accepted} bodies of many small parts; at most {most:.0} bytes for one, {whose}");
    assert!(accepted > 1_000);
}
