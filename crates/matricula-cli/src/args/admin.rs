//! `matricula admin …`: what those who run a server do.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Subcommand};

use super::AccountArg;

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Make an account with the server's shared secret, be the server open or closed
    Register(Box<AdminRegister>),
    /// The users of the server
    #[command(subcommand)]
    User(AdminUser),
    /// The registration tokens of the server
    #[command(subcommand)]
    Token(AdminToken),
}

#[derive(Debug, clap::Args)]
#[command(
    before_help = "Examples:\n  \
        matricula admin register https://matrix.example.org --username alice --admin --shared-secret-file secret.txt\n  \
        matricula admin register http://127.0.0.1:8008 --username bob --shared-secret-file secret.txt --password-stdin",
    group(ArgGroup::new("from_stdin").args(["password_stdin", "shared_secret_stdin"])),
    group(ArgGroup::new("secret").args(["shared_secret_file", "shared_secret_stdin"]).required(true))
)]
pub(crate) struct AdminRegister {
    /// A homeserver, like example.org or https://matrix.example.org
    pub(crate) server: String,
    /// The name
    #[arg(long, value_name = "NAME")]
    pub(crate) username: String,
    /// Read the server's registration_shared_secret from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) shared_secret_file: Option<PathBuf>,
    /// Read the server's registration_shared_secret from standard input
    #[arg(long)]
    pub(crate) shared_secret_stdin: bool,
    #[command(flatten)]
    pub(crate) user: NewUser,
    /// Print the requests instead of sending them, secrets masked
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What a new user is to be.
#[derive(Debug, clap::Args)]
pub(crate) struct NewUser {
    /// Read the password from standard input; without one a strong one is made and kept
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Read the password from a file
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub(crate) password_file: Option<PathBuf>,
    /// Make it an administrator
    #[arg(long)]
    pub(crate) admin: bool,
    /// What others see; without it, the name
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminUser {
    /// Make a user; one who is there already is left as before
    Create(AdminUserCreate),
    /// Show what the server knows of a user
    Show(AdminUserShow),
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Example:\n  \
    matricula admin user create @bob:example.org --password-file password.txt")]
pub(crate) struct AdminUserCreate {
    /// Who, like @bob:example.org
    pub(crate) user_id: String,
    #[command(flatten)]
    pub(crate) user: NewUser,
    #[command(flatten)]
    pub(crate) administrator: AccountArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AdminUserShow {
    /// Who, like @bob:example.org
    pub(crate) user_id: String,
    #[command(flatten)]
    pub(crate) administrator: AccountArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminToken {
    /// Make a token that people can register with, and print it
    Create(AdminTokenCreate),
    /// List the tokens
    List(AdminTokenList),
    /// Let nobody register with a token any more
    Revoke(AdminTokenRevoke),
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula admin token create --uses 1 --expires-in 7d\n  \
    matricula admin token list --valid")]
pub(crate) struct AdminTokenCreate {
    /// How many accounts can be made with it; without this, any number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) uses: Option<u64>,
    /// How long it is good, like 90m, 12h, 7d or 4w; without this, for ever
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) expires_in: Option<Duration>,
    /// How long it is, in characters
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) length: Option<u64>,
    /// Read the token from a file, instead of having one made
    #[arg(long, value_name = "FILE", conflicts_with = "length")]
    pub(crate) token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) administrator: AccountArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AdminTokenList {
    /// Only those with which people can register
    #[arg(long)]
    pub(crate) valid: bool,
    #[command(flatten)]
    pub(crate) administrator: AccountArg,
}

#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:\n  printf %s \"$TOKEN\" | matricula admin token revoke --token-stdin",
    group(ArgGroup::new("token").args(["token_file", "token_stdin"]).required(true))
)]
pub(crate) struct AdminTokenRevoke {
    /// Read the token from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Read the token from standard input
    #[arg(long)]
    pub(crate) token_stdin: bool,
    #[command(flatten)]
    pub(crate) administrator: AccountArg,
}

/// A number with the unit after it.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number and s, m, h, d or w, like 7d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    let seconds = number.checked_mul(seconds).filter(|all| *all > 0);
    Ok(Duration::from_secs(seconds.ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_its_unit() {
        for (text, seconds) in [
            ("5s", 5),
            ("90m", 5_400),
            ("12h", 43_200),
            ("7d", 604_800),
            ("1w", 604_800),
        ] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "0d",
            "-1d",
            "1.5h",
            "7 d",
            "7日",
            "99999999999999999999w",
            "9999999999999999w",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
