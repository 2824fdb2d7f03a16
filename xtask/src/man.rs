//! `cargo xtask man`: the manual pages of the `matricula` command. The command itself writes them, so
//! that xtask need not depend on it.

use std::path::Path;

use crate::{Result, workspace};

/// Writes the pages to this directory.
pub(crate) fn write(dir: &Path) -> Result<()> {
    let dir = workspace::root().join(dir);
    let mut cargo = workspace::cargo();
    cargo.args(["run", "--quiet", "--package", "matricula-cli"]);
    cargo.args(["--features", "man", "--", "man"]).arg(&dir);
    let status = cargo.status();
    let status = status.map_err(|error| format!("cargo could not be started: {error}"))?;
    if !status.success() {
        return Err(format!("the manual pages could not be written ({status})"));
    }
    for name in ["matricula.1", "matricula-account-devices.1"] {
        let page = std::fs::read_to_string(dir.join(name));
        if !page.is_ok_and(|page| page.contains("EXAMPLES")) {
            return Err(format!("the manual page {name} has no examples"));
        }
    }
    println!("{}", dir.join("matricula.1").display());
    Ok(())
}
