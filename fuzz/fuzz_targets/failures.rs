//! Any bytes as an answer of any status: two for the operation, two for the status, a line for a
//! header, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matricula_fuzz::{line, number, operation};
use matricula_core::{Body, Response};

/// Those that are read.
const HEADERS: [&str; 4] = [
    "Retry-After",
    "Content-Type",
    "Location",
    "Content-Disposition",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((endpoint, rest)) = operation(bytes) else {
        return;
    };
    let Some((status, rest)) = number(rest) else {
        return;
    };
    let (value, body) = line(rest);
    let headers = HEADERS.map(|name| (name.into(), value.clone())).to_vec();
    let answer = Response::new(status, headers, Body::Bytes(body.to_vec()));
    match endpoint.read(&answer) {
        Ok(_) => assert!(
            status < 400,
            "{}: status {status} is no success",
            endpoint.operation.id
        ),
        // People read it.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
