//! Every error code that the data names is known.

use std::{collections::BTreeSet, fs, path::Path};

use matricula_api::ErrorCode;

use super::data::{DIRECTORIES, apis};

/// The codes in all files below `directory`, in examples and descriptions alike.
fn codes(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes(&path, found);
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let codes = words.filter(|word| {
            let name = word.strip_prefix("M_").unwrap_or_default();
            name.starts_with(|c: char| c.is_ascii_uppercase())
        });
        found.extend(codes.map(str::to_owned));
    }
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn error_codes_of_the_data_are_known() {
    let mut named = BTreeSet::new();
    for (_, directory) in DIRECTORIES {
        codes(&apis().join(directory), &mut named);
    }
    assert!(named.len() > 40, "{}", named.len());
    named.retain(|code| matches!(ErrorCode::from(code.as_str()), ErrorCode::Other(_)));
    assert_eq!(named, BTreeSet::new());
}
