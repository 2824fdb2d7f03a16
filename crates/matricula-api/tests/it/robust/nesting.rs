//! Tens of thousands of levels of nesting are rejected, or preserved.

use matricula_api::{ApiError, server::RequestError};
use matricula_core::Api;
use serde_json::{Value, json};

use super::{read_request, read_response};
use crate::{
    apis::{all, endpoint, name},
    response,
    sample_requests::{Amount, incoming},
    samples,
};

const LEVELS: usize = 30_000;

/// A deep value: whole, or cut off at its deepest.
fn deep(open: &str, close: &str, is_whole: bool) -> String {
    let closing = if is_whole {
        close.repeat(LEVELS)
    } else {
        String::new()
    };
    format!("{}1{closing}", open.repeat(LEVELS))
}

fn all_deep() -> Vec<String> {
    let mut found = Vec::new();
    for is_whole in [true, false] {
        found.push(deep("[", "]", is_whole));
        found.push(deep("{\"a\":", "}", is_whole));
    }
    found
}

/// The places for deep nesting: the whole body, each field, and an unknown field.
fn bodies(sample: &Value, deep: &str) -> Vec<String> {
    let mut found = vec![deep.to_owned(), format!("{{\"org.example.deep\":{deep}}}")];
    // Where it is cut off, nothing can follow.
    let is_whole = deep.ends_with([']', '}']);
    let Some(fields) = sample.as_object().filter(|_| is_whole) else {
        return found;
    };
    for replaced in fields.keys() {
        let mut parts = Vec::new();
        for (key, value) in fields {
            let key_text = Value::from(key.as_str());
            match key == replaced {
                true => parts.push(format!("{key_text}:{deep}")),
                false => parts.push(format!("{key_text}:{value}")),
            }
        }
        found.push(format!("{{{}}}", parts.join(",")));
    }
    found
}

#[test]
fn deep_responses_are_rejected_or_ignored() {
    let (mut refused, mut passed_over) = (0, 0);
    for endpoint in all() {
        let id = name(endpoint);
        let sample = &samples::of(endpoint).answer;
        if sample.is_null() {
            continue;
        }
        for deep in all_deep() {
            for body in bodies(sample, &deep) {
                match read_response(endpoint, &response(200, &body)) {
                    Ok(reply) => {
                        // With its depth preserved.
                        assert!(reply.body.len() > 2 * LEVELS, "{id}");
                        passed_over += 1;
                    }
                    Err(ApiError::Malformed { .. }) => refused += 1,
                    Err(error) => panic!("{id}: {error:?}"),
                }
            }
        }
    }
    println!("{refused} deep answers refused, {passed_over} passed over");
    assert!(refused > 1_000 && passed_over > 50);
}

#[test]
fn deep_errors_are_not_matrix_errors() {
    let (mut refused, mut passed_over) = (0, 0);
    let endpoint = endpoint(Api::Client, "register");
    let sample = json!({
        "errcode": "M_UNKNOWN", "error": "some error", "flows": [{"stages": ["m.login.dummy"]}],
        "params": {"m.login.dummy": {}}, "completed": ["m.login.terms"], "session": "some session",
    });
    for deep in all_deep() {
        for body in bodies(&sample, &deep) {
            for status in [400, 401, 500] {
                match read_response(endpoint, &response(status, &body)).unwrap_err() {
                    ApiError::UnexpectedStatus { .. } | ApiError::Malformed { .. } => refused += 1,
                    ApiError::Uia(info) => {
                        assert_eq!(info.policies(), []);
                        passed_over += 1;
                    }
                    ApiError::Matrix(_) => passed_over += 1,
                    error => panic!("{error:?}"),
                }
            }
            let error = read_response(endpoint, &response(429, &body)).unwrap_err();
            assert!(matches!(error, ApiError::RateLimited { .. }), "{error:?}");
        }
    }
    println!("{refused} deep failures refused, {passed_over} passed over");
    assert!(refused > 0 && passed_over > 0);
}

#[test]
fn deep_requests_are_rejected_or_ignored() {
    let (mut refused, mut passed_over) = (0, 0);
    for endpoint in all() {
        let id = name(endpoint);
        let sample = &samples::of(endpoint).request;
        if sample.is_null() {
            continue;
        }
        for deep in all_deep() {
            for body in bodies(sample, &deep) {
                let request = incoming(endpoint, Amount::Required, sample, body.as_bytes());
                match read_request(endpoint, &request, body.len()) {
                    Ok(_) => passed_over += 1,
                    Err(
                        RequestError::NotJson(_)
                        | RequestError::BadJson(_)
                        | RequestError::Missing { .. },
                    ) => refused += 1,
                    Err(error) => panic!("{id}: {error:?}"),
                }
            }
        }
    }
    println!("{refused} deep requests refused, {passed_over} passed over");
    assert!(refused > 500 && passed_over > 0);
}
