//! The embedded homeserver in a process of its own, as a program that reads its configuration from a file.

use std::env;
use std::path::PathBuf;

use crate::Result;
use crate::workspace::{cargo, output_of, target};

/// Builds the program.
pub(crate) fn build() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "matricula-homeserver"]);
    output_of(build.args(["--example", "serve"])).map(drop)
}

/// The path of the program.
pub(crate) fn program() -> PathBuf {
    let built = env::var_os("CARGO_TARGET_DIR").map_or_else(target, PathBuf::from);
    built.join("debug/examples/serve")
}
