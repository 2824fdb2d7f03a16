//! The time to read a large response is linear.

use std::time::{Duration, Instant};

use matricula_core::Api;

use super::read_response;
use crate::{apis::endpoint, response};

/// Many times what a megabyte takes on a slow machine without optimisation, and a small part of what
/// it would take if the time grew with the square.
const BOUND: Duration = Duration::from_secs(20);

const COUNT: usize = 40_000;

/// Bodies of about a megabyte that would be slow to read if something were looked for or moved again
/// and again.
fn large() -> Vec<(&'static str, String)> {
    let backwards = |key: fn(usize) -> String, value: &str| {
        let fields: Vec<String> = (0..COUNT)
            .rev()
            .map(|at| format!("\"{}\":{value}", key(at)))
            .collect();
        format!("{{{}}}", fields.join(","))
    };
    let rooms = backwards(|at| format!("!{at:06}:a"), "{}");
    let names = backwards(|at| format!("name {at:06}"), "0");
    let same = backwards(|_| "!same:a".to_owned(), "{}");
    let wrong_at_last = format!("[{}5]", "{},".repeat(COUNT * 5));
    let escapes = "\\u0041\\n".repeat(COUNT * 2);
    let lines = "\n".repeat(COUNT * 10);
    vec![
        (
            "keys that come backwards",
            format!(r#"{{"next_batch":"n","rooms":{{"join":{rooms}}}}}"#),
        ),
        (
            "a key that comes again and again",
            format!(r#"{{"next_batch":"n","rooms":{{"join":{same}}}}}"#),
        ),
        ("unknown fields that come backwards", names),
        (
            "something wrong at the very end",
            format!(
                r#"{{"chunk":{wrong_at_last},"rooms":{wrong_at_last},"results":{wrong_at_last}}}"#
            ),
        ),
        (
            "escapes alone",
            format!(r#"{{"next_batch":"{escapes}","user_id":"{escapes}","errcode":"{escapes}"}}"#),
        ),
        (
            "something wrong after many lines",
            format!("{{{lines}\"next_batch\":5,\"user_id\":5,\"errcode\":5}}"),
        ),
    ]
}

#[test]
fn large_response_is_read_in_time() {
    let bodies = large();
    let operations = [
        "sync",
        "getPublicRooms",
        "getSpaceHierarchy",
        "register",
        "getCapabilities",
        "search",
    ];
    for (what, body) in &bodies {
        for id in operations {
            for status in [200, 400] {
                let start = Instant::now();
                let _ = read_response(endpoint(Api::Client, id), &response(status, body));
                let took = start.elapsed();
                assert!(
                    took < BOUND,
                    "{id} {status}: {what}, {} bytes, took {took:?}",
                    body.len()
                );
            }
        }
    }
}
