//! `matricula register --from …`: the accounts of a list.

use std::path::PathBuf;

use matricula::bulk::Route;

/// Many accounts at once, for those who run a server.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The accounts of a list, for those who run a server")]
pub(crate) struct Bulk {
    /// Make the accounts of this CSV file, whose first line names its columns: username, and where
    /// wanted password, displayname, email, admin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["username", "password_stdin", "password_file", "token_stdin", "email", "phone", "guest", "upgrade_guest", "inhibit_login", "refresh_token", "device_id", "device_name", "paste", "resume"])]
    pub(crate) from: Option<PathBuf>,
    /// The name of the run; one that was stopped goes on under its name
    #[arg(long, value_name = "NAME", conflicts_with_all = ["username", "password_stdin", "password_file", "token_stdin", "email", "phone", "guest", "upgrade_guest", "inhibit_login", "refresh_token", "device_id", "device_name", "paste", "resume"])]
    pub(crate) run: Option<String>,
    /// In which way: admin (with an administrator's account that is kept here; the default),
    /// shared-secret, token or appservice
    #[arg(long, value_name = "ROUTE", requires = "somebody")]
    pub(crate) route: Option<Route>,
    /// Read the server's registration_shared_secret from a file
    #[arg(long, value_name = "FILE", requires = "somebody")]
    pub(crate) shared_secret_file: Option<PathBuf>,
    /// How many accounts are made at once
    #[arg(long, value_name = "NUMBER", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// Write the result here, passwords included: CSV, or JSON lines where the name ends in .jsonl;
    /// without it, beside what is kept of the run
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(crate) result: Option<PathBuf>,
    /// Deactivate the accounts that the run has made
    #[arg(long, requires = "run", conflicts_with_all = ["from", "server", "route", "shared_secret_file", "token_file", "appservice_token_file", "dry_run"])]
    pub(crate) undo: bool,
    /// Do so without asking
    #[arg(long, requires = "undo")]
    pub(crate) yes: bool,
}

impl Bulk {
    /// Whether a list is what this is about.
    pub(crate) fn is_wanted(&self) -> bool {
        self.from.is_some() || self.run.is_some()
    }
}
