//! The command line of `matricula account`.

use std::path::PathBuf;

use clap::Subcommand;
use matricula::{api::MxcUri, auth::Phone};

use super::AccountArg;

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Show what the server knows about your account
    Show(AccountArg),
    /// Show or set the display name
    Name(Name),
    /// Show or set the avatar
    Avatar(Avatar),
    /// Change the password, or show the one that is stored
    Password(Password),
    /// Your email addresses
    #[command(subcommand)]
    Email(Email),
    /// Your phone numbers
    #[command(name = "phone", subcommand)]
    Phone(PhoneNumber),
    /// The devices that are signed in
    Devices(Devices),
    /// Write the session's token to a file, for another program
    Token(Token),
    /// Deactivate the account permanently
    Deactivate(Deactivate),
}

/// Options of commands that need user-interactive authentication.
#[derive(Debug, clap::Args)]
pub(crate) struct Authentication {
    #[command(flatten)]
    pub(crate) of: AccountArg,
    /// Read the account's password from standard input; a stored password is used by itself
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Read the account's password from a file
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub(crate) password_file: Option<PathBuf>,
    /// Continue the same command after a page in a browser
    #[arg(long, value_name = "SESSION")]
    pub(crate) resume: Option<String>,
    /// Print the first request instead of sending it, secrets masked
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Example:\n  matricula account token --to-file bot.json")]
pub(crate) struct Token {
    /// The file to create; only you can read it
    #[arg(long, value_name = "FILE")]
    pub(crate) to_file: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula account name\n  \
    matricula account name 'Alice in Chains'")]
pub(crate) struct Name {
    /// The new name; without one, the current name is shown
    pub(crate) name: Option<String>,
    /// Remove it
    #[arg(long, conflicts_with = "name")]
    pub(crate) remove: bool,
    /// Print the request instead of sending it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula account avatar\n  \
    matricula account avatar cat.png\n  \
    matricula account avatar mxc://example.org/AbCdEf")]
pub(crate) struct Avatar {
    /// An image: a file, which is uploaded, - for standard input, or the address of one that is
    /// uploaded already; without one, the current avatar is shown
    #[arg(value_name = "FILE", value_parser = picture)]
    pub(crate) picture: Option<Picture>,
    /// Remove it
    #[arg(long, conflicts_with = "picture")]
    pub(crate) remove: bool,
    /// Print the request instead of sending it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

/// An image for the avatar.
#[derive(Clone, Debug)]
pub(crate) enum Picture {
    /// A file, which is not uploaded yet.
    File(PathBuf),
    /// The address of an uploaded one.
    Uploaded(MxcUri),
}

fn picture(text: &str) -> Result<Picture, String> {
    match text.split_once(':') {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("mxc") => {
            let address = text.parse::<MxcUri>();
            Ok(Picture::Uploaded(
                address.map_err(|error| error.to_string())?,
            ))
        }
        Some((_, rest)) if rest.starts_with("//") => Err(
            "give a file, or the address of an uploaded one, like mxc://example.org/AbCdEf"
                .to_owned(),
        ),
        _ if text.is_empty() => Err("give a file, or --remove".to_owned()),
        _ => Ok(Picture::File(text.into())),
    }
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula account password\n  \
    matricula account password --show                    the generated one\n  \
    matricula account password --to-file password.txt    the same, in a file\n  \
    matricula account password --password-file old.txt --new-password-file new.txt --keep-devices")]
pub(crate) struct Password {
    /// Read the new password from a file; without one you are asked for it, or without a terminal a
    /// strong one is generated and stored
    #[arg(long, value_name = "FILE")]
    pub(crate) new_password_file: Option<PathBuf>,
    /// Leave your other devices signed in
    #[arg(long)]
    pub(crate) keep_devices: bool,
    /// Show the stored password, which was generated, instead of changing it
    #[arg(long, conflicts_with_all = ["new_password_file", "keep_devices", "password_stdin", "password_file", "resume", "dry_run"])]
    pub(crate) show: bool,
    /// Write the stored password to this new file, which only you can read, instead of changing it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["show", "new_password_file", "keep_devices", "password_stdin", "password_file", "resume", "dry_run"])]
    pub(crate) to_file: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, requires = "to_file")]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) authentication: Authentication,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula account deactivate\n  \
    matricula account deactivate --erase --yes --no-input")]
pub(crate) struct Deactivate {
    /// Ask the server to hide your messages from users who join a room later
    #[arg(long)]
    pub(crate) erase: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) authentication: Authentication,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Email {
    /// List them
    List(AccountArg),
    /// Add one: the server sends a link to it; run the same command again to continue
    Add(EmailAdd),
    /// Remove one
    Remove(EmailRemove),
}

#[derive(Debug, clap::Args)]
pub(crate) struct EmailAdd {
    /// The address, like alice@example.org
    #[arg(value_parser = email_address)]
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) authentication: Authentication,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EmailRemove {
    /// The address, like alice@example.org
    #[arg(value_parser = email_address)]
    pub(crate) address: String,
    /// Print the request instead of sending it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PhoneNumber {
    /// List them
    List(AccountArg),
    /// Add one: the server sends a code to it; run the same command again to continue
    Add(PhoneAdd),
    /// Remove one
    Remove(PhoneRemove),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PhoneAdd {
    /// The number with its country, like GB:07700900001
    #[arg(value_name = "COUNTRY:NUMBER")]
    pub(crate) number: Phone,
    /// Read the code that the server sent from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) code_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) authentication: Authentication,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PhoneRemove {
    /// The number as listed, like 447700900001
    pub(crate) number: String,
    /// Print the request instead of sending it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    before_help = "Examples:\n  \
        matricula account devices\n  \
        matricula account devices rename ABCDEFGHIJ 'Old phone'\n  \
        matricula account devices delete ABCDEFGHIJ KLMNOPQRST"
)]
pub(crate) struct Devices {
    #[command(subcommand)]
    pub(crate) command: Option<DevicesCommand>,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DevicesCommand {
    /// List them
    List(AccountArg),
    /// Set the display name of a device
    Rename(DeviceRename),
    /// Sign devices out
    Delete(DevicesDelete),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeviceRename {
    /// Its id
    pub(crate) device_id: String,
    /// Its name
    pub(crate) name: String,
    /// Print the request instead of sending it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) of: AccountArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DevicesDelete {
    /// Their ids
    #[arg(required = true, value_name = "DEVICE_ID")]
    pub(crate) device_ids: Vec<String>,
    #[command(flatten)]
    pub(crate) authentication: Authentication,
}

fn email_address(text: &str) -> Result<String, String> {
    match text.split_once('@') {
        Some((name, server)) if !name.is_empty() && !server.is_empty() => Ok(text.to_owned()),
        _ => Err("give an address like alice@example.org".to_owned()),
    }
}
