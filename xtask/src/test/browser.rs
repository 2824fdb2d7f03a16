//! Checks that a browser is installed.

use std::process::Command;

use crate::Result;
use crate::workspace::output_of;

const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];

/// Fails if a program is missing. The error says what to install.
pub(super) fn find() -> Result<()> {
    for program in PROGRAMS {
        output_of(Command::new(program).arg("--version"))
            .map_err(|error| format!("{error}; on Debian: install chromium and chromium-driver"))?;
    }
    Ok(())
}
