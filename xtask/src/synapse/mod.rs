//! Throw-away Synapse servers on loopback, one profile per way in.

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
pub(crate) use run::sweep;
pub(crate) use server::{Leash, Server, start};

use crate::Result;

/// What `cargo xtask synapse` does.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start a server and print a JSON object that says how to reach it.
    #[command(after_help = profile::help())]
    Up {
        /// How the server lets people in: profiles joined by `+`.
        profile: Profiles,
        /// Stop by itself after this many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        ttl: u64,
    },
    /// Stop servers and delete what they leave.
    #[command(arg_required_else_help = true)]
    Down {
        /// Process ids or run directories, as `up` printed them.
        #[arg(value_name = "PID|RUN_DIR")]
        servers: Vec<String>,
        /// Every server of this workspace.
        #[arg(long, conflicts_with = "servers")]
        all: bool,
    },
    /// Print the JSON object of each running server, one a line.
    List,
    /// Install Synapse, as `up` does the first time.
    Install,
}

/// Runs `cargo xtask synapse`.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Up { profile, ttl } => {
            let python = install()?;
            sweep();
            let server = start(&python, &profile, ttl, Leash::None)?;
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
