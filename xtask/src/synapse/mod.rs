//! Temporary Synapse servers on loopback, with profiles for each kind of registration and login.

mod accounts;
mod configuration;
mod delegate;
mod fakes;
mod http;
mod install;
mod profile;
mod run;
mod server;

use clap::Subcommand;

pub(crate) use install::install;
pub(crate) use profile::Profiles;
pub(crate) use run::remove_stale;
pub(crate) use server::{Lifetime, Server, start};

use crate::Result;

/// The subcommands of `cargo xtask synapse`.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start a server and print a JSON object with its address and credentials.
    #[command(after_help = profile::help())]
    Up {
        /// One or several profiles, joined by `+`.
        profile: Profiles,
        /// Stop automatically after this many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        ttl: u64,
    },
    /// Stop servers and delete their files.
    #[command(arg_required_else_help = true)]
    Down {
        /// Process ids or run directories, as printed by `up`.
        #[arg(value_name = "PID|RUN_DIR")]
        servers: Vec<String>,
        /// Stop all servers of this workspace.
        #[arg(long, conflicts_with = "servers")]
        all: bool,
    },
    /// Print the JSON object of each running server, one per line.
    List,
    /// Install Synapse (`up` does this the first time).
    Install,
}

/// Runs `cargo xtask synapse`.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Up { profile, ttl } => {
            let python = install()?;
            remove_stale();
            let server = start(&python, &profile, ttl, Lifetime::Ttl)?;
            println!("{:#}", server.info());
        }
        Command::Down { all: true, .. } => {
            for run in run::all() {
                run.stop_and_remove()?;
            }
        }
        Command::Down { servers, .. } => {
            let runs = servers
                .iter()
                .map(|named| run::find(named))
                .collect::<Result<Vec<_>>>()?;
            for run in runs {
                run.stop_and_remove()?;
            }
        }
        Command::List => {
            for run in run::all().iter().filter(|run| run.is_running()) {
                println!("{}", run.info());
            }
        }
        Command::Install => {
            install()?;
        }
    }
    Ok(())
}
