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
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    Ok(man::write_pages(command, directory)?)
}

#[cfg(feature = "man")]
mod man {
    use std::{fs, io, path::Path};

    use clap::Command;
    use clap_mangen::{
        Man,
        roff::{Roff, roman},
    };

    pub(super) fn write_pages(command: Command, directory: &Path) -> io::Result<()> {
        let subcommands = command.get_subcommands().filter(|one| !one.is_hide_set());
        for subcommand in subcommands {
            write_pages(subcommand.clone(), directory)?;
        }
        let examples = command.get_before_help().map(ToString::to_string);
        let page = Man::new(command);
        let mut text = Vec::new();
        page.render(&mut text)?;
        if let Some(examples) = examples {
            write_examples(&examples, &mut text)?;
        }
        fs::write(directory.join(page.get_filename()), text)
    }

    /// The examples stand before the help, which manual pages leave out.
    fn write_examples(examples: &str, page: &mut Vec<u8>) -> io::Result<()> {
        let mut roff = Roff::new();
        roff.control("SH", ["EXAMPLES"]);
        // Lines that are not filled: each is a command to type.
        roff.control("nf", []);
        for line in examples.lines().skip(1) {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        roff.control("fi", []);
        roff.to_writer(page)
    }
}
