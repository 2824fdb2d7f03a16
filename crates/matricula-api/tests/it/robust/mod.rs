//! Any input leads to a value or an error: never to a panic, and never to much more memory than the
//! input.

mod corpus;
pub(crate) mod fields;
mod malformed;
mod memory;
mod nesting;
mod time;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use matricula_api::{
    ApiError,
    server::{AnyEndpoint, IncomingRequest, OutgoingResponse, RequestError},
};
use matricula_core::{Body, Job, Response};
use serde_json::Value;

use crate::{apis::all, server};

/// The bound on allocated bytes per byte of input, freed or not. A list of empty objects costs the
/// most, where each becomes a large struct: about 140 bytes for one.
const PER_BYTE: u64 = 160;

/// The bound on other allocations: error messages, the job, small vectors.
const BESIDES: u64 = 64 * 1024;

/// Runs `read`. Returns its result, and the allocated bytes, freed or not.
fn measured<T>(read: impl FnOnce() -> T) -> (T, u64) {
    let mut result = None;
    // The counter must not be skipped by a panic.
    let read = || result = Some(catch_unwind(AssertUnwindSafe(read)));
    let used = allocation_counter::measure(read).bytes_total;
    match result.unwrap() {
        Ok(result) => (result, used),
        Err(panic) => resume_unwind(panic),
    }
}

/// Runs `read` on `size` bytes, and asserts that it stays within the bounds.
fn bounded<T>(what: &str, size: usize, read: impl FnOnce() -> T) -> T {
    let (result, used) = measured(read);
    let bound = PER_BYTE * u64::try_from(size).unwrap() + BESIDES;
    assert!(
        used <= bound,
        "{what}: {used} bytes were allocated for {size}, {bound} may be"
    );
    result
}

/// Reads a response within the bounds and, if that succeeds, reads what is written of it again.
fn read_response(endpoint: &AnyEndpoint, answer: &Response) -> Result<OutgoingResponse, ApiError> {
    let id = endpoint.operation.id;
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| name.len() + value.len());
    let size = answer.body().as_bytes().len() + headers.sum::<usize>();
    let read = bounded(id, size, || endpoint.read(answer));
    match &read {
        Ok(reply) => {
            assert!(answer.status_code() < 400, "{id}: {answer:?} is no success");
            let body = Body::Bytes(reply.body.clone());
            let again = Response::new(reply.status, reply.headers.clone(), body);
            let again = endpoint.read(&again);
            let again = again.unwrap_or_else(|error| panic!("{id} is written unreadably: {error}"));
            let is_same = again.headers == reply.headers && is_same_json(&again.body, &reply.body);
            assert!(is_same, "{id} is written in two ways");
        }
        // People read it.
        Err(error) => assert!(!error.to_string().is_empty(), "{id}"),
    }
    read
}

/// Whether two bodies are equal, except for the last digits of fractions.
fn is_same_json(one: &[u8], other: &[u8]) -> bool {
    fn is_same(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .zip(other)
                        .all(|(one, other)| is_same(one, other))
            }
            (Value::Object(one), Value::Object(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .all(|(key, one)| other.get(key).is_some_and(|other| is_same(one, other)))
            }
            (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
                let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
                // The smallest floats have few digits.
                (one - other).abs() <= (one.abs() * 1e-12).max(f64::MIN_POSITIVE)
            }
            (one, other) => one == other,
        }
    }
    let value = |bytes| serde_json::from_slice::<Value>(bytes);
    one == other
        || matches!((value(one), value(other)), (Ok(one), Ok(other)) if is_same(&one, &other))
}

/// Reads a request within the bounds and, where that succeeds, the job that it becomes once more.
fn read_request(
    endpoint: &AnyEndpoint,
    request: &IncomingRequest<'_>,
    size: usize,
) -> Result<Job, RequestError> {
    let id = endpoint.operation.id;
    let read = bounded(id, size, || endpoint.job(request, &server()));
    match &read {
        Ok(job) => {
            let again = IncomingRequest::of_job(&endpoint.operation, job);
            let again = again.unwrap_or_else(|| panic!("{id}: {} is another's", job.url()));
            let again = endpoint.job(&again, &server());
            let again = again.unwrap_or_else(|error| panic!("{id} is sent unreadably: {error}"));
            let (one, other) = (
                again.request_body().as_bytes(),
                job.request_body().as_bytes(),
            );
            assert!(is_same_json(one, other), "{id} is sent in two ways");
            let body = job.request_body().clone();
            assert!(again.with_body(body) == *job, "{id} is sent in two ways");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "{id}"),
    }
    read
}

/// The operation with this number.
fn nth(number: u16) -> &'static AnyEndpoint {
    let number = usize::from(number) % all().count();
    all().nth(number).unwrap()
}

/// Takes two bytes as a number; missing bytes are zero.
fn number(bytes: &[u8]) -> (u16, &[u8]) {
    match bytes.split_first_chunk() {
        Some((number, rest)) => (u16::from_le_bytes(*number), rest),
        None => (0, &[]),
    }
}

/// Takes a line for a text.
fn line(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    (String::from_utf8_lossy(line).into_owned(), rest)
}

/// Any bytes as an answer: two for the operation, two for the status, a line for each header that
/// anybody reads, then the body.
fn read_any_response(data: &[u8]) {
    let (operation, rest) = number(data);
    let (status, rest) = number(rest);
    let (value, body) = line(rest);
    let names = [
        "Retry-After",
        "Location",
        "Content-Type",
        "Content-Disposition",
    ];
    let headers = names.map(|name| (name.into(), value.clone())).to_vec();
    let answer = Response::new(status, headers, Body::Bytes(body.to_vec()));
    let _ = read_response(nth(operation), &answer);
}

/// Any bytes as a request: two for the operation, a line for all that stands in the path, the query
/// and the headers, then the body.
fn read_any_request(data: &[u8]) {
    let (operation, rest) = number(data);
    let (value, body) = line(rest);
    let endpoint = nth(operation);
    let mut path = String::new();
    for (index, part) in endpoint.operation.path.split(['{', '}']).enumerate() {
        path += if index % 2 == 0 { part } else { &value };
    }
    let Some(request) = IncomingRequest::new(&endpoint.operation, &path) else {
        return;
    };
    let pairs = endpoint
        .parameters
        .iter()
        .map(|one| (one.name.into(), value.clone()));
    let pairs: Vec<_> = pairs.collect();
    let request = request
        .with_headers(pairs.clone())
        .with_query(pairs)
        .with_body(body);
    // The value is in every place.
    let size = body.len() + endpoint.parameters.len() * (value.len() + 64);
    let _ = read_request(endpoint, &request, size);
}
