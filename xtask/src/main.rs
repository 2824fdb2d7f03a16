//! Generates the API, runs real homeservers, runs every test.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for the terminal: results on stdout, progress on stderr"
)]

mod deps;
mod generate;
mod spec;
mod synapse;
mod test;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a step of xtask yields; the error is a sentence for the person at the terminal.
type Result<T> = std::result::Result<T, String>;

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test: unit, documentation, dependencies, specification, real Synapse servers.
    Test {
        /// Fail when anything was skipped.
        #[arg(long)]
        strict: bool,
        /// Run only tests whose name contains this.
        filter: Option<String>,
    },
    /// Start and stop throw-away Synapse servers on loopback.
    #[command(subcommand)]
    Synapse(synapse::Command),
    /// Fetch the Matrix specification and print the path to use as MATRIX_SPEC.
    Spec {
        /// Where to put it [default: target/matrix-spec].
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Write the API crate's generated code from the Matrix specification.
    Generate {
        /// The specification [default: $MATRIX_SPEC].
        #[arg(long)]
        spec: Option<PathBuf>,
        /// Only say whether what is checked in is what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Compare each library's dependency tree with its checked-in allow-list.
    Deps {
        /// Write the allow-lists instead.
        #[arg(long)]
        bless: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Test { strict, filter } => test::run(filter.as_deref(), strict),
        Command::Synapse(command) => synapse::run(command).map(|()| true),
        Command::Spec { dir } => spec::fetch(dir).map(|()| true),
        Command::Generate { spec, check } => generate::run(spec, check).map(|()| true),
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
