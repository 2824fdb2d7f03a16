//! Where the programs of `examples/` are once they are built.

use std::{env, path::PathBuf};

/// The built program of this name.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = env::current_exe().unwrap();
    let program = tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        program.exists(),
        "{} is not there; first: cargo build -p matricula --example {name}",
        program.display()
    );
    program
}
