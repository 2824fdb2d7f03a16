//! The command line of `matricula discover`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula discover example.org\n  \
    matricula discover @alice:example.org          also what she may do, where she is signed in here\n  \
    matricula discover example.org --try --json    for those who run example.org")]
pub(crate) struct Discover {
    /// A homeserver, like example.org or https://matrix.example.org, or one of its users
    pub(crate) server: String,
    /// Register a temporary account by each method that needs no person, sign out and in, and
    /// deactivate it; exit codes: 0 everything works, 1 something fails, 6 every method needs a
    /// person, 7 there is no method
    #[arg(long = "try")]
    pub(crate) try_ways: bool,
    /// Read the server's registration token from a file
    #[arg(long, value_name = "FILE", requires = "try_ways")]
    pub(crate) token_file: Option<PathBuf>,
    /// Accept the server's terms
    #[arg(long, requires = "try_ways")]
    pub(crate) accept_terms: bool,
}
