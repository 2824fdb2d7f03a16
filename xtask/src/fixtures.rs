//! Reads the JSON files of a directory with the API crate.

use std::path::Path;

use crate::Result;
use crate::workspace::cargo;

/// Returns false if a value does not read.
///
/// The API crate does the work, in an example: this one must run while the API crate does not compile, to
/// generate it.
pub(crate) fn run(dir: &Path) -> Result<bool> {
    let dir = dir
        .canonicalize()
        .map_err(|error| format!("{} cannot be read: {error}", dir.display()))?;
    let status = cargo()
        .args([
            "run",
            "--quiet",
            "--package",
            "matricula-api",
            "--example",
            "fixtures",
            "--",
        ])
        .arg(dir)
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err("the files could not be checked".to_owned()),
    }
}
