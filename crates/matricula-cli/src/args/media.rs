//! The command line of `matricula media`.

use std::path::PathBuf;

use clap::Subcommand;
use matricula::api::MxcUri;

use super::AccountArg;

#[derive(Debug, Subcommand)]
pub(crate) enum Media {
    /// Upload a file, and print its address
    Put(Put),
    /// Download a file; run the same command again to resume an interrupted download
    Get(Get),
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula media put cat.png\n  \
    matricula media put notes --type text/markdown --name 'What I saw.md'\n  \
    matricula media put encrypted.bin --no-name --json")]
pub(crate) struct Put {
    /// The file
    pub(crate) file: PathBuf,
    /// Its content type; without one, guessed from the file name
    #[arg(long = "type", value_name = "MIME", value_parser = media_type)]
    pub(crate) media_type: Option<String>,
    /// The name that is sent; without one, the file name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Send no name
    #[arg(long, conflicts_with = "name")]
    pub(crate) no_name: bool,
    /// Print the requests instead of sending them
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula media get mxc://example.org/AbCdEf\n  \
    matricula media get mxc://example.org/AbCdEf cat.png --overwrite")]
pub(crate) struct Get {
    /// The file's address, like mxc://example.org/AbCdEf
    #[arg(value_name = "MXC")]
    pub(crate) content_uri: MxcUri,
    /// The output file; without one, named after the last part of the address
    pub(crate) file: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the request instead of sending it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

fn media_type(text: &str) -> Result<String, String> {
    let is_printable = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    match text.split_once('/') {
        Some((kind, rest)) if !kind.is_empty() && !rest.is_empty() && is_printable => {
            Ok(text.to_owned())
        }
        _ => Err("give a media type like image/png".to_owned()),
    }
}
