//! Whether there is a browser to open pages in.

use std::process::Command;

use crate::Result;
use crate::workspace::output_of;

const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];

/// Fails with what is missing, and where it comes from.
pub(super) fn find() -> Result<()> {
    for program in PROGRAMS {
        output_of(Command::new(program).arg("--version"))
            .map_err(|error| format!("{error}; on Debian: install chromium and chromium-driver"))?;
    }
    Ok(())
}
