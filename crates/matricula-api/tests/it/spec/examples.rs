//! Every example of the data is read as its type, and written back unchanged.

use std::time::Duration;

use matricula_api::ApiError;
use matricula_core::Body;
use serde_json::Value;

use super::data::{Media, answers, operations, requests};
use crate::{
    apis::endpoint,
    difference::differences,
    response,
    sample_requests::{Amount, incoming},
    server,
};

fn is_json(media: &Media) -> bool {
    media.content_type == "application/json"
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn response_examples_round_trip() {
    let (mut bodies, mut with_examples, mut examples) = (0, 0, 0);
    let (mut failures, mut changes) = (Vec::new(), Vec::new());
    for operation in operations() {
        let ours = endpoint(operation.api, &operation.id);
        let mut media = answers(&operation);
        media.retain(|media| is_json(media) && (200..300).contains(&media.status));
        for media in media {
            bodies += 1;
            with_examples += usize::from(!media.examples().is_empty());
            for example in media.examples() {
                examples += 1;
                let answer = response(media.status, &example.to_string());
                match ours.read(&answer) {
                    Err(error) => failures.push(format!("{}: {error}", media.name)),
                    Ok(reply) => {
                        let written: Value = serde_json::from_slice(&reply.body).unwrap();
                        let found = differences(&example, &written).into_iter();
                        changes.extend(found.map(|one| format!("{}: {one}", media.name)));
                    }
                }
            }
        }
    }
    println!("{with_examples} of {bodies} JSON answers have examples: {examples}");
    assert_eq!(failures, [""; 0]);
    assert_eq!(changes, [""; 0]);
    assert_eq!((bodies, with_examples, examples), (190, 144, 144));
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn request_examples_round_trip() {
    let (mut bodies, mut with_examples, mut examples) = (0, 0, 0);
    let (mut failures, mut changes) = (Vec::new(), Vec::new());
    for operation in operations() {
        let ours = endpoint(operation.api, &operation.id);
        for media in requests(&operation) {
            bodies += 1;
            with_examples += usize::from(!media.examples().is_empty());
            for example in media.examples() {
                examples += 1;
                let bytes = match is_json(&media) {
                    true => example.to_string(),
                    false => example.as_str().unwrap().to_owned(),
                };
                let request = incoming(ours, Amount::Required, &example, bytes.as_bytes());
                let job = match ours.job(&request, &server()) {
                    Ok(job) => job,
                    Err(error) => {
                        failures.push(format!("{}: {error}", media.name));
                        continue;
                    }
                };
                match job.request_body() {
                    Body::Json(text) => {
                        let written: Value = serde_json::from_str(text).unwrap();
                        let found = differences(&example, &written).into_iter();
                        changes.extend(found.map(|one| format!("{}: {one}", media.name)));
                    }
                    body => assert_eq!(body.as_bytes(), bytes.as_bytes(), "{}", media.name),
                }
            }
        }
    }
    println!("{with_examples} of {bodies} requests have examples: {examples}");
    assert_eq!(failures, [""; 0]);
    assert_eq!(changes, [""; 0]);
    assert_eq!((bodies, with_examples, examples), (87, 49, 49));
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn error_examples_are_read() {
    let (mut limited, mut uia, mut plain) = (0, 0, 0);
    let mut failures = Vec::new();
    for operation in operations() {
        let ours = endpoint(operation.api, &operation.id);
        let mut media = answers(&operation);
        media.retain(|media| is_json(media) && media.status >= 300);
        for media in media {
            for example in media.any_examples() {
                let error = ours.read(&response(media.status, &example.to_string()));
                let error = error
                    .err()
                    .unwrap_or_else(|| panic!("{} is no error", media.name));
                let is_right = match &error {
                    ApiError::RateLimited { retry_after, error } => {
                        limited += 1;
                        let wait = example["retry_after_ms"].as_u64();
                        let error = error.as_ref().expect("examples have a code");
                        media.status == 429
                            && *retry_after == wait.map(Duration::from_millis)
                            && error.code.as_str() == example["errcode"]
                            && *error.message == *example["error"].as_str().unwrap_or_default()
                    }
                    ApiError::Uia(info) => {
                        uia += 1;
                        let written = serde_json::to_value(info).unwrap();
                        let same = differences(&example, &written).is_empty();
                        media.status == 401 && example["flows"].is_array() && same
                    }
                    ApiError::Matrix(found) => {
                        plain += 1;
                        found.status == media.status
                            && found.code.as_str() == example["errcode"]
                            && *found.message == *example["error"].as_str().unwrap_or_default()
                    }
                    _ => false,
                };
                if !is_right {
                    failures.push(format!("{}: {error:?} for {example}", media.name));
                }
            }
        }
    }
    println!(
        "errors: {limited} for too many requests, {uia} that ask for authentication, {plain} others"
    );
    assert_eq!(failures, [""; 0]);
    assert_eq!((limited, uia, plain), (66, 7, 207));
}
