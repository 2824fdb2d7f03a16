//! The arguments of `matricula register --from` and `--run`.

use std::path::PathBuf;

use matricula::bulk::Route;

/// Options for the accounts of a list.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Accounts of a list, for server administrators")]
pub(crate) struct Bulk {
    /// Create the accounts of this CSV file. Its first line names the columns: username, and
    /// optionally password, displayname, email, admin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["username", "password_stdin", "password_file", "token_stdin", "email", "phone", "guest", "upgrade_guest", "inhibit_login", "refresh_token", "device_id", "device_name", "paste", "resume"])]
    pub(crate) from: Option<PathBuf>,
    /// The name of the run. An interrupted run is resumed by its name
    #[arg(long, value_name = "NAME", conflicts_with_all = ["username", "password_stdin", "password_file", "token_stdin", "email", "phone", "guest", "upgrade_guest", "inhibit_login", "refresh_token", "device_id", "device_name", "paste", "resume"])]
    pub(crate) run: Option<String>,
    /// The API that creates the accounts: admin (the default; with the account of an administrator),
    /// shared-secret, token or appservice
    #[arg(long, value_name = "ROUTE", requires = "a_user")]
    pub(crate) route: Option<Route>,
    /// Read the server's registration_shared_secret from a file
    #[arg(long, value_name = "FILE", requires = "a_user")]
    pub(crate) shared_secret_file: Option<PathBuf>,
    /// How many accounts to create at the same time
    #[arg(long, value_name = "NUMBER", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// Write the result with the passwords to this file: CSV, or JSON Lines if the name ends in
    /// .jsonl. By default, it is stored with the run
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(crate) result: Option<PathBuf>,
    /// Deactivate the accounts that the run created
    #[arg(long, requires = "run", conflicts_with_all = ["from", "server", "route", "shared_secret_file", "token_file", "appservice_token_file", "dry_run"])]
    pub(crate) undo: bool,
    /// Do not ask for confirmation
    #[arg(long, requires = "undo")]
    pub(crate) yes: bool,
}

impl Bulk {
    /// Whether the command is about a list.
    pub(crate) fn is_wanted(&self) -> bool {
        self.from.is_some() || self.run.is_some()
    }
}
