//! Development tasks: generating the API, running Synapse servers, running all tests.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for the terminal: results on stdout, progress on stderr"
)]

mod deps;
mod embedded;
mod fixtures;
mod foreign;
mod generate;
mod man;
mod python;
mod spec;
mod synapse;
mod test;
mod test_service;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A result whose error is a message for the terminal.
type Result<T> = std::result::Result<T, String>;

/// Development tasks of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all tests: unit, documentation, dependencies, specification, browser, Synapse.
    Test {
        /// Fail if a test was skipped.
        #[arg(long)]
        strict: bool,
        /// Run only tests whose name contains this text.
        filter: Option<String>,
    },
    /// Run foreign clients against the embedded homeserver and Synapse, and compare.
    Foreign(foreign::Options),
    /// Start and stop temporary Synapse servers on loopback.
    #[command(subcommand)]
    Synapse(synapse::Command),
    /// Download the Matrix specification and print the path for MATRIX_SPEC.
    Spec {
        /// The directory to download to [default: target/matrix-spec].
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Generate the code of the API crate from the Matrix specification.
    Generate {
        /// The directory of the specification [default: $MATRIX_SPEC].
        #[arg(long)]
        spec: Option<PathBuf>,
        /// Write nothing; fail if the checked-in files are out of date.
        #[arg(long)]
        check: bool,
    },
    /// Write the manual pages of the matricula command.
    Man {
        /// The directory to write to.
        #[arg(long, default_value = "target/man")]
        dir: PathBuf,
    },
    /// Read all JSON files in a directory, and list what does not read or changes when it is written.
    ///
    /// Values that look like a response or an event are read as its type. Fails if one does not read.
    Fixtures {
        /// The directory, with all directories in it.
        dir: PathBuf,
    },
    /// Check the dependency tree of each library against its checked-in list, deps.txt.
    Deps {
        /// Update the lists.
        #[arg(long)]
        bless: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Test { strict, filter } => test::run(filter.as_deref(), strict),
        Command::Foreign(options) => foreign::run(&options),
        Command::Synapse(command) => synapse::run(command).map(|()| true),
        Command::Spec { dir } => spec::fetch(dir).map(|()| true),
        Command::Generate { spec, check } => generate::run(spec, check).map(|()| true),
        Command::Man { dir } => man::write(&dir).map(|()| true),
        Command::Fixtures { dir } => fixtures::run(&dir),
        Command::Deps { bless: true } => deps::bless().map(|()| true),
        Command::Deps { bless: false } => deps::check().map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
