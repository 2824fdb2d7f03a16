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
    matricula media put encrypted.bin --no-name --json\n  \
    tar c notes | matricula media put - --name notes.tar")]
pub(crate) struct Put {
    /// The file, or - for standard input
    pub(crate) file: PathBuf,
    /// Its content type; without one, guessed from the file name
    #[arg(long = "type", value_name = "MIME", value_parser = media_type)]
    pub(crate) media_type: Option<String>,
    /// The name that is sent; without one, the file name, and for standard input none
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
    matricula media get mxc://example.org/AbCdEf cat.png --overwrite\n  \
    matricula media get mxc://example.org/AbCdEf - | tar t")]
pub(crate) struct Get {
    /// The file's address, like mxc://example.org/AbCdEf
    #[arg(value_name = "MXC")]
    pub(crate) content_uri: MxcUri,
    /// The output file, or - for standard output; without one, named as the server names it, and
    /// never over another file
    pub(crate) file: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, requires = "file")]
    pub(crate) overwrite: bool,
    /// The maximum size, like 500M or 2G, also of a file that the server compresses
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = byte_size)]
    pub(crate) max_size: u64,
    /// Print the request instead of sending it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

/// The maximum size of a download where none is given, in bytes.
pub(crate) const MAX_SIZE: u64 = 256 << 20;

/// A number of bytes, with or without a unit.
pub(crate) fn byte_size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = lower.split_at(end.unwrap_or(lower.len()));
    let shift = match unit.trim() {
        "" | "b" => Some(0),
        "k" | "kb" | "kib" => Some(10),
        "m" | "mb" | "mib" => Some(20),
        "g" | "gb" | "gib" => Some(30),
        "t" | "tb" | "tib" => Some(40),
        _ => None,
    };
    let bytes = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift));
    let bytes = bytes.filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "give a size like 500000, 500K, 20M or 2G".to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("1", 1),
            ("1000b", 1_000),
            ("2k", 2_048),
            ("256M", MAX_SIZE),
            ("256 MiB", MAX_SIZE),
            ("2GB", 2 << 30),
            ("1t", 1 << 40),
        ] {
            assert_eq!(byte_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "0",
            "M",
            "-1",
            "1.5G",
            "1X",
            "99999999999999999999",
            "99999999T",
        ] {
            assert!(byte_size(text).is_err(), "{text}");
        }
    }
}
