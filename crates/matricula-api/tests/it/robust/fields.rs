//! Every named field is typed: an invalid value is an error, or an invalid part, with its path.

use std::fmt::Write;

use matricula_api::{
    ApiError,
    server::{AnyEndpoint, RequestError},
};
use serde_json::{Value, json};

use super::{read_request, read_response};
use crate::{
    apis::{all, name},
    first_part, response,
    sample_requests::{Amount, incoming},
    samples,
};

/// The pointers to all values inside `value`, outer before inner.
pub(crate) fn pointers(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut add = |step: &str, inner: &Value| {
        let step = step.replace('~', "~0").replace('/', "~1");
        found.extend(
            pointers(inner)
                .into_iter()
                .map(|rest| format!("/{step}{rest}")),
        );
    };
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                add(&index.to_string(), item);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                add(key, item);
            }
        }
        _ => {}
    }
    found
}

/// A value of another type.
fn wrong(value: &Value) -> Value {
    match value {
        Value::Number(_) | Value::Bool(_) => json!("canary"),
        _ => json!(7351),
    }
}

/// Replaces each value of `sample` with an invalid one, and returns the places where `read` reports
/// no error.
fn places_where_anything_goes(
    id: &str,
    sample: &Value,
    read: impl Fn(&Value) -> Option<String>,
    named: &mut usize,
) -> Vec<String> {
    let mut anything: Vec<String> = Vec::new();
    for pointer in pointers(sample) {
        // Values inside an untyped value are untyped too.
        if anything
            .iter()
            .any(|outer| pointer.starts_with(&format!("{outer}/")))
        {
            continue;
        }
        let mut changed = sample.clone();
        let place = changed.pointer_mut(&pointer).unwrap();
        *place = wrong(place);
        match read(&changed) {
            None => anything.push(pointer),
            Some(message) => {
                let expected = match pointer.as_str() {
                    "" => String::new(),
                    pointer => format!(", at {pointer}"),
                };
                assert!(
                    message.ends_with(&expected),
                    "{id}: {message}, but it is{expected}"
                );
                assert!(
                    !message.contains("canary") && !message.contains("7351"),
                    "{id}: {message}"
                );
                *named += 1;
            }
        }
    }
    anything
}

fn wrong_answer(endpoint: &AnyEndpoint, body: &Value) -> Option<String> {
    let answer = response(200, &body.to_string());
    match read_response(endpoint, &answer) {
        Ok(_) => first_part(&endpoint.invalid_parts(&answer)),
        Err(ApiError::Malformed {
            status: 200,
            message,
        }) => Some(message),
        Err(error) => panic!("{}: {error:?}", name(endpoint)),
    }
}

fn wrong_request(endpoint: &AnyEndpoint, sample: &Value, body: &Value) -> Option<String> {
    let body = body.to_string();
    let request = incoming(endpoint, Amount::Required, sample, body.as_bytes());
    match read_request(endpoint, &request, body.len()) {
        Ok(_) => None,
        Err(RequestError::BadJson(message)) => Some(message),
        Err(error) => panic!("{}: {error:?}", name(endpoint)),
    }
}

#[test]
fn invalid_response_field_is_named() {
    let mut named = 0;
    let mut text = String::new();
    for endpoint in all() {
        let id = name(endpoint);
        let sample = &samples::of(endpoint).answer;
        if sample.is_null() {
            continue;
        }
        let read = |body: &Value| wrong_answer(endpoint, body);
        for pointer in places_where_anything_goes(&id, sample, read, &mut named) {
            writeln!(text, "{id} {pointer}").unwrap();
        }
    }
    // Only event contents and untyped values accept anything.
    insta::assert_snapshot!("anything_goes_in_answers", text);
    assert_eq!(named, 1063);
}

#[test]
fn invalid_request_field_is_named() {
    let mut named = 0;
    let mut text = String::new();
    for endpoint in all() {
        let id = name(endpoint);
        let sample = &samples::of(endpoint).request;
        if sample.is_null() {
            continue;
        }
        let read = |body: &Value| wrong_request(endpoint, sample, body);
        for pointer in places_where_anything_goes(&id, sample, read, &mut named) {
            writeln!(text, "{id} {pointer}").unwrap();
        }
    }
    insta::assert_snapshot!("anything_goes_in_requests", text);
    assert_eq!(named, 550);
}
