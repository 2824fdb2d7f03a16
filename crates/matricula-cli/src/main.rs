//! The `matricula` command: an account on any Matrix homeserver, from a terminal or a script.

mod args;
mod browser;
mod commands;
mod error;
mod keyring;
mod lines;
mod output;
mod private_file;
mod private_server;
mod shell;
mod stdout;
mod terminal;
mod text;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{args::Args, error::CommandError, output::Output};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(answer) => return print_answer(&answer),
    };
    let output = Output::new(args.global.json);
    if let Some(level) = args.global.log {
        log_to_stderr(level);
    }
    match run(args, &output).and_then(|()| stdout::check()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Prints the help or the version to standard output, or a mistake in the arguments to standard
/// error.
fn print_answer(answer: &clap::Error) -> ExitCode {
    if answer.kind() == ErrorKind::MissingSubcommand {
        let _ = output::print_usage(&help_of_arguments(), true);
        return ExitCode::from(2);
    }
    let printed = output::print_usage(&answer.render(), answer.use_stderr());
    if answer.use_stderr() {
        return ExitCode::from(2);
    }
    match stdout::check_write(printed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            Output::new(false).failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// The help of the command that the arguments name so far.
fn help_of_arguments() -> clap::builder::StyledStr {
    let mut command = Args::command();
    command.build();
    for word in std::env::args_os().skip(1) {
        if let Some(named) = command.find_subcommand(&word) {
            command = named.clone();
        }
    }
    command.render_help()
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
            // A command that handles Ctrl-C knows more about it.
            biased;
            result = commands::run(args, output) => result,
            _ = tokio::signal::ctrl_c(), if !stops_itself => Err(CommandError::Interrupted),
        }
    });
    // Background tasks are dropped: all state is stored.
    runtime.shutdown_background();
    // A question may still be open on another thread.
    terminal::restore();
    result
}

fn log_to_stderr(level: args::LogLevel) {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::from(level))
        .with_writer(|| lines::LogWriter)
        .with_ansi(false)
        .init();
}
