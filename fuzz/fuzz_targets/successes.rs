//! Any bytes as the body of a success: two for the operation, then the body.
//!
//! What is read must be written so that it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matricula_fuzz::operation;
use matricula_core::{Body, Response};

fuzz_target!(|bytes: &[u8]| {
    let Some((endpoint, body)) = operation(bytes) else {
        return;
    };
    let answer = Response::new(200, Vec::new(), Body::Bytes(body.to_vec()));
    let Ok(written) = endpoint.read(&answer) else {
        return;
    };
    let again = Response::new(written.status, written.headers, Body::Bytes(written.body));
    if let Err(error) = endpoint.read(&again) {
        panic!(
            "{}: what was read is written unreadably: {error}",
            endpoint.operation.id
        );
    }
});
