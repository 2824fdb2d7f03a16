//! What can be typed after `matricula accounts`, `switch`, `logout` and `keyring`.

use clap::{Subcommand, ValueEnum};

use super::AccountArg;

/// Whether the system's keyring is used.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KeyringUse {
    /// Where one answers within 2 seconds
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
    /// Keep an account here no longer; the server keeps it
    Forget(Forget),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Forget {
    /// Whose, like @alice:example.org
    pub(crate) user_id: String,
    /// Even if it is signed in, or if its password was made here and is known nowhere else
    #[arg(long)]
    pub(crate) with_secrets: bool,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Example:\n  matricula switch @alice:example.org")]
pub(crate) struct Switch {
    /// The account that is used from now on where none is named
    pub(crate) user_id: String,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula logout\n  \
    matricula logout --account @alice:example.org\n  \
    matricula logout --all")]
pub(crate) struct Logout {
    #[command(flatten)]
    pub(crate) of: AccountArg,
    /// Sign out of every account that is kept here
    #[arg(long, conflicts_with = "account")]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
#[command(before_help = "Example:\n  matricula keyring status")]
pub(crate) enum Keyring {
    /// Show where secrets are kept
    Status,
    /// Seal the accounts with a key in the system's keyring
    On,
    /// Keep the accounts in a file that only you can read, without the keyring
    Off,
}
