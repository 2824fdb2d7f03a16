//! Difficult inputs, some of them found by fuzzing, as every response and every request.

use super::{read_any_request, read_any_response};
use crate::apis::all;

/// The files of `tests/it/corpus`.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/corpus");
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = files.into_iter().map(|path| {
        let bytes = std::fs::read(&path).unwrap();
        (path.display().to_string(), bytes)
    });
    named.collect()
}

#[test]
fn corpus_is_read_by_every_operation() {
    let corpus = corpus();
    assert!(corpus.len() >= 20, "the corpus is small: {}", corpus.len());
    let operations = u16::try_from(all().count()).unwrap();
    for (name, body) in &corpus {
        println!("{name}");
        for operation in 0..operations {
            for status in [200_u16, 204, 302, 400, 401, 404, 429, 500] {
                for header in ["", "7", "\u{0}\u{fffd}"] {
                    let start = [operation.to_le_bytes(), status.to_le_bytes()].concat();
                    read_any_response(&[&start, header.as_bytes(), b"\n", body].concat());
                }
            }
            for value in ["", "@a:b", "!a:b", "%", "%2F", "true", "-1"] {
                let start = operation.to_le_bytes();
                read_any_request(&[&start, value.as_bytes(), b"\n", body].concat());
            }
        }
    }
}
