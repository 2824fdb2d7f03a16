//! What is made of the definitions of the command line: completions for shells, and manual pages.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Args, error::CommandError, stdout};

/// The name under which the command is installed.
const NAME: &str = "matricula";

/// Prints the completions for a shell.
pub(crate) fn print_completions(shell: Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), NAME, &mut script);
    stdout::write(&script);
    Ok(())
}

/// Writes a manual page for the command, and one for each of its subcommands.
#[cfg(feature = "man")]
pub(crate) fn write_man_pages(directory: &std::path::Path) -> Result<(), CommandError> {
    std::fs::create_dir_all(directory)?;
    Ok(clap_mangen::generate_to(Args::command(), directory)?)
}
