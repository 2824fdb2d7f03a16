//! The command line of `matricula accounts`, `switch`, `logout` and `keyring`.

use clap::{Subcommand, ValueEnum};

use super::AccountArg;

/// Whether the system's keyring is used.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KeyringUse {
    /// If one answers within 2 seconds
    Auto,
    /// Never
    Off,
}

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    before_help = "Examples:\n  \
        matricula accounts\n  \
        matricula accounts --json\n  \
        matricula accounts forget @alice:example.org"
)]
pub(crate) struct Accounts {
    #[command(subcommand)]
    pub(crate) command: Option<AccountsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountsCommand {
    /// Remove an account from the store; it stays on the server
    Forget(Forget),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Forget {
    /// The account, like @alice:example.org or alice
    pub(crate) user_id: String,
    /// Even if it is signed in, or its generated password is stored only here
    #[arg(long)]
    pub(crate) with_secrets: bool,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula switch alice\n  \
    matricula switch @alice:example.org\n  \
    matricula switch                       choose from the list")]
pub(crate) struct Switch {
    /// The new default account, like @alice:example.org or alice; without one, you choose from the
    /// list
    pub(crate) user_id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula logout\n  \
    matricula logout --account @alice:example.org\n  \
    matricula logout --all")]
pub(crate) struct Logout {
    #[command(flatten)]
    pub(crate) of: AccountArg,
    /// Sign out of all stored accounts
    #[arg(long, conflicts_with = "account")]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
#[command(before_help = "Example:\n  matricula keyring status")]
pub(crate) enum Keyring {
    /// Show where secrets are stored
    Status,
    /// Encrypt the accounts with a key in the system's keyring
    On,
    /// Store the accounts in a file that only you can read, without the keyring
    Off,
}
