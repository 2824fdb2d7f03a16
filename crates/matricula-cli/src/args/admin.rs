//! The arguments of `matricula admin`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Subcommand};

use super::AccountArg;

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Register an account with the server's shared secret, even if registration is closed
    Register(Box<AdminRegister>),
    /// Create, list and show users of the server
    #[command(subcommand)]
    User(AdminUser),
    /// Create, list and revoke registration tokens
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
    /// The username
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

/// The properties of a new user.
#[derive(Debug, clap::Args)]
pub(crate) struct NewUser {
    /// Read the password from standard input; by default, one is generated and stored
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Read the password from a file
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub(crate) password_file: Option<PathBuf>,
    /// Make the user an administrator
    #[arg(long)]
    pub(crate) admin: bool,
    /// The display name; by default, the username
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminUser {
    /// Create a user; an existing user stays unchanged
    Create(AdminUserCreate),
    /// List the users
    List(AdminUserList),
    /// Show what the server knows about a user
    Show(AdminUserShow),
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Example:\n  \
    matricula admin user create @bob:example.org --password-file password.txt")]
pub(crate) struct AdminUserCreate {
    /// The user id, like @bob:example.org
    pub(crate) user_id: String,
    #[command(flatten)]
    pub(crate) user: NewUser,
    #[command(flatten)]
    pub(crate) administrator: AccountArg,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula admin user list\n  \
    matricula admin user list alice --deactivated")]
pub(crate) struct AdminUserList {
    /// Only users with this in their name or display name
    pub(crate) word: Option<String>,
    /// Also list users whose account is deactivated
    #[arg(long)]
    pub(crate) deactivated: bool,
    #[command(flatten)]
    pub(crate) administrator: AccountArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AdminUserShow {
    /// The user id, like @bob:example.org
    pub(crate) user_id: String,
    #[command(flatten)]
    pub(crate) administrator: AccountArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminToken {
    /// Create a registration token, and print it
    Create(AdminTokenCreate),
    /// List the tokens
    List(AdminTokenList),
    /// Revoke a token
    Revoke(AdminTokenRevoke),
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula admin token create --uses 1 --expires-in 7d\n  \
    matricula admin token list --valid")]
pub(crate) struct AdminTokenCreate {
    /// How many accounts it can register; by default, any number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) uses: Option<u64>,
    /// When it expires, like 90m, 12h, 7d or 4w; by default, never
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expires_in: Option<Duration>,
    /// Its length in characters
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) length: Option<u64>,
    /// Read the token from a file; by default, the server generates one
    #[arg(long, value_name = "FILE", conflicts_with = "length")]
    pub(crate) token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) administrator: AccountArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AdminTokenList {
    /// List only tokens that are valid now
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

/// Parses a duration: a number and its unit.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and s, m, h, d or w, like 7d".to_owned();
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
    fn duration_is_number_and_unit() {
        for (text, seconds) in [
            ("5s", 5),
            ("90m", 5_400),
            ("12h", 43_200),
            ("7d", 604_800),
            ("1w", 604_800),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
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
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
