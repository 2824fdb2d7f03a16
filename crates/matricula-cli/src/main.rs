//! The `matricula` command: an account on any Matrix homeserver, from a terminal or a script.

mod args;
mod browser;
mod commands;
mod error;
mod keyring;
mod lines;
mod output;
mod private_server;
mod shell;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::{args::Args, error::CommandError, output::Output};

fn main() -> ExitCode {
    let args = Args::parse();
    let output = Output::new(args.global.json);
    if let Some(level) = args.global.log {
        log_to_stderr(level);
    }
    match run(args, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(args: Args, output: &Output) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::other(format!("no runtime: {error}")))?;
    // These commands handle Ctrl-C themselves: it stops a homeserver or a run, and a transfer
    // prints how to resume.
    let stops_itself = match &args.command {
        args::Command::Homeserver(_) | args::Command::Media(_) => true,
        args::Command::Register(options) => options.bulk.is_wanted(),
        _ => false,
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = commands::run(args, output) => result,
            _ = tokio::signal::ctrl_c(), if !stops_itself => Err(CommandError::Interrupted),
        }
    });
    // Background tasks are dropped: all state is stored.
    runtime.shutdown_background();
    result
}

fn log_to_stderr(level: args::LogLevel) {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::from(level))
        .with_writer(|| lines::LogWriter)
        .with_ansi(false)
        .init();
}
