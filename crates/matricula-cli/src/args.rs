//! The command line: commands and their options.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod admin;
pub(crate) mod bulk;
mod discover;
pub(crate) mod media;
mod method;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use matricula::auth::Phone;

pub(crate) use discover::Discover;
pub(crate) use method::{LoginMethod, Paste, RegisterMethod};

/// An account on any Matrix homeserver.
#[derive(Debug, Parser)]
#[command(
    name = "matricula",
    version,
    max_term_width = 100,
    before_help = "Examples:\n  \
        matricula register                          a private account on this machine\n  \
        matricula register example.org              an account on example.org\n  \
        matricula whoami                            who you are\n  \
        matricula discover example.org              what a server offers"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Print one JSON object instead of words
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Never ask: fail if something is missing
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Store accounts and private homeservers in this directory
    #[arg(long, global = true, value_name = "DIR", env = "MATRICULA_HOME")]
    pub(crate) home: Option<PathBuf>,
    /// Whether a new account store is encrypted with a key in the system's keyring
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        env = "MATRICULA_KEYRING",
        default_value = "auto"
    )]
    pub(crate) keyring: accounts::KeyringUse,
    /// Timeout of a single request
    #[arg(long, global = true, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Allow unencrypted http:// addresses of other machines: passwords and tokens can be read on
    /// the network
    #[arg(long, global = true)]
    pub(crate) allow_plain_http: bool,
    /// Log to standard error; secrets are never logged
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<LogLevel>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "give a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "give a number of seconds above 0".to_owned())
}

/// The log level.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register an account
    Register(Box<Register>),
    /// Sign in to an account
    Login(Login),
    /// Sign out
    Logout(accounts::Logout),
    /// List the stored accounts
    Accounts(accounts::Accounts),
    /// Choose the default account
    Switch(accounts::Switch),
    /// Show the user and device that the server knows
    Whoami(AccountArg),
    /// Renew the session's token
    Refresh(AccountArg),
    /// Your account: password, addresses, devices, name, avatar, deactivation
    #[command(subcommand)]
    Account(account::Account),
    /// Where secrets are stored: encrypted with a key in the system's keyring, or in a file
    #[command(subcommand)]
    Keyring(accounts::Keyring),
    /// Upload and download files
    #[command(subcommand)]
    Media(media::Media),
    /// Show what a server offers
    Discover(Discover),
    /// Manage accounts, users and registration tokens on a server that you administrate
    #[command(subcommand)]
    Admin(admin::Admin),
    /// The operations of the Matrix specification
    #[command(subcommand)]
    Api(Api),
    /// Run a private homeserver on this machine, for development, tests and offline use
    Homeserver(Homeserver),
    /// Print the completions of this command for a shell
    Completions(Completions),
    /// Write the manual pages to this directory
    #[cfg(feature = "man")]
    #[command(hide = true)]
    Man {
        /// The directory
        directory: PathBuf,
    },
}

impl Command {
    /// The maximum size of a file that it downloads, in bytes.
    pub(crate) fn max_file_size(&self) -> Option<u64> {
        match self {
            Self::Media(media::Media::Get(options)) => Some(options.max_size),
            Self::Api(Api::Call(options)) => Some(options.max_size),
            _ => None,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(
    before_help = "Examples:\n  \
        matricula register\n  \
        matricula register example.org --username alice\n  \
        printf %s \"$PASSWORD\" | matricula register example.org --username alice --password-stdin\n  \
        matricula register example.org --token-file invitation.txt --accept-terms --json\n  \
        matricula register --upgrade-guest --password-file password.txt\n  \
        matricula register --from users.csv --run autumn        a list, as an administrator",
    group(ArgGroup::new("from_stdin").args(["password_stdin", "token_stdin"])),
    group(ArgGroup::new("a_server").args(["server", "run"]).multiple(true)),
    group(ArgGroup::new("a_user").args(["username", "from", "run"]).multiple(true)),
    group(ArgGroup::new("with_account").args(["upgrade_guest", "from", "run"]).multiple(true))
)]
pub(crate) struct Register {
    /// A homeserver, like example.org or https://matrix.example.org; without one, a private one on
    /// this machine
    pub(crate) server: Option<String>,
    /// The name; without one the server picks one
    #[arg(long, value_name = "NAME", conflicts_with = "guest")]
    pub(crate) username: Option<String>,
    /// Read the password from standard input; without one a strong one is generated and stored
    #[arg(long, conflicts_with = "guest")]
    pub(crate) password_stdin: bool,
    /// Read the password from a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["password_stdin", "guest"])]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the server's registration token from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Read the server's registration token from standard input
    #[arg(long, conflicts_with = "token_file")]
    pub(crate) token_stdin: bool,
    /// The email address of the account; the server sends a message to it
    #[arg(long, value_name = "ADDRESS", conflicts_with = "guest")]
    pub(crate) email: Option<String>,
    /// The phone number of the account with its country, like GB:07700900001
    #[arg(long, value_name = "COUNTRY:NUMBER", conflicts_with = "guest")]
    pub(crate) phone: Option<Phone>,
    /// Register a user of an application service, with the as_token in this file
    #[arg(long, value_name = "FILE", requires = "a_server", requires = "a_user", conflicts_with_all = ["password_stdin", "password_file", "token_file", "token_stdin", "email", "phone", "refresh_token", "guest", "upgrade_guest", "resume"])]
    pub(crate) appservice_token_file: Option<PathBuf>,
    /// Accept the server's terms
    #[arg(long)]
    pub(crate) accept_terms: bool,
    /// Register a guest
    #[arg(long)]
    pub(crate) guest: bool,
    /// Upgrade a stored guest to a user; the user ID stays the same
    #[arg(long, conflicts_with_all = ["server", "username", "guest", "resume", "method", "paste"])]
    pub(crate) upgrade_guest: bool,
    /// The guest, or with a list the administrator, like @17:example.org; without one, the default
    /// account
    #[arg(long, value_name = "USER_ID", requires = "with_account")]
    pub(crate) account: Option<String>,
    /// Register without signing in
    #[arg(long)]
    pub(crate) inhibit_login: bool,
    /// Get a token that expires, and one that renews it
    #[arg(long)]
    pub(crate) refresh_token: bool,
    /// The ID of this device; without one it is generated
    #[arg(long, value_name = "ID", conflicts_with = "guest")]
    pub(crate) device_id: Option<String>,
    /// The name of this device, for people
    #[arg(long, value_name = "NAME")]
    pub(crate) device_name: Option<String>,
    /// The method; web pages are opened in a browser
    #[arg(
        long,
        value_name = "METHOD",
        default_value = "auto",
        conflicts_with = "guest"
    )]
    pub(crate) method: RegisterMethod,
    #[command(flatten)]
    pub(crate) paste: Paste,
    /// Read the code that the server sent from a file
    #[arg(long, value_name = "FILE", requires = "resume")]
    pub(crate) code_file: Option<PathBuf>,
    /// Resume a registration; with --email or --phone the server sends another message
    #[arg(long, value_name = "ID", conflicts_with_all = ["server", "guest", "inhibit_login", "refresh_token", "device_id", "device_name", "method"])]
    pub(crate) resume: Option<String>,
    /// Print the requests instead of sending them, secrets masked
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) bulk: bulk::Bulk,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula login @alice:example.org\n  \
    matricula login alice --server https://matrix.example.org --password-file password.txt\n  \
    matricula login --server example.org --method device-code")]
pub(crate) struct Login {
    /// The user, like @alice:example.org; without one, the default account
    pub(crate) user: Option<String>,
    /// The homeserver, if the user ID does not name it
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Read the password from a file
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub(crate) password_file: Option<PathBuf>,
    /// Sign in as a user of an application service, with the as_token in this file
    #[arg(long, value_name = "FILE", requires = "user", conflicts_with_all = ["password_stdin", "password_file", "refresh_token"])]
    pub(crate) appservice_token_file: Option<PathBuf>,
    /// Get a token that expires, and one that renews it
    #[arg(long)]
    pub(crate) refresh_token: bool,
    /// The ID of a device whose session is replaced
    #[arg(long, value_name = "ID")]
    pub(crate) device_id: Option<String>,
    /// The name of this device, for people
    #[arg(long, value_name = "NAME")]
    pub(crate) device_name: Option<String>,
    /// The method; web pages are opened in a browser
    #[arg(long, value_name = "METHOD", default_value = "auto", conflicts_with_all = ["password_stdin", "password_file"])]
    pub(crate) method: LoginMethod,
    /// Ask an OAuth 2.0 server for the admin API of Synapse too, to use `matricula admin`
    #[arg(long)]
    pub(crate) admin: bool,
    #[command(flatten)]
    pub(crate) paste: Paste,
    /// Resume a sign-in
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "server", "password_stdin", "password_file", "refresh_token", "device_id", "device_name", "method", "admin"])]
    pub(crate) resume: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AccountArg {
    /// The account, like @alice:example.org or alice; without one, the default account
    #[arg(long, value_name = "USER_ID")]
    pub(crate) account: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Api {
    /// List the operations
    List(ApiList),
    /// Show the parameters of an operation
    Show(ApiShow),
    /// Call any operation
    Call(Box<ApiCall>),
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula api list\n  \
    matricula api list profile")]
pub(crate) struct ApiList {
    /// Only operations with this in their ID or path
    pub(crate) word: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Example:\n  matricula api show sendMessage")]
pub(crate) struct ApiShow {
    /// The operation's ID; with the API, like identity/getVersions, if it is not the client-server
    /// API's
    pub(crate) operation: String,
}

#[derive(Debug, clap::Args)]
#[command(
    before_help = "Examples:\n  \
        matricula api call getUserProfile userId=@alice:example.org\n  \
        matricula api call createRoom name='Book club' is_direct=false invite=@bob:example.org\n  \
        matricula api call sendMessage roomId='!a:example.org' eventType=m.room.message txnId=1 \\\n    \
            --json-body '{\"msgtype\": \"m.text\", \"body\": \"hi\"}'\n  \
        matricula api call uploadContent Content-Type=image/png --body-file cat.png\n  \
        printf %s \"$PASSWORD\" | matricula api call login --server https://matrix.example.org \\\n    \
            type=m.login.password password=@- \\\n    \
            identifier:='{\"type\": \"m.id.user\", \"user\": \"alice\"}'\n  \
        matricula api call identity/getVersions --server https://identity.example.org\n\n\
        matricula api list shows the operations, and matricula api show OPERATION what one takes.",
    group(ArgGroup::new("one_token").args(["token_file", "token_stdin"]))
)]
pub(crate) struct ApiCall {
    /// The operation's ID; with the API, like identity/getVersions, if it is not the client-server
    /// API's
    pub(crate) operation: String,
    /// Its parameters: NAME=TEXT, NAME:=JSON for a field of the body, NAME=@FILE for a secret,
    /// NAME=@- for a secret from standard input
    #[arg(value_name = "NAME=VALUE")]
    pub(crate) arguments: Vec<String>,
    /// The body: JSON, @FILE, or - for standard input; fields given by name are added to it
    #[arg(long, value_name = "JSON")]
    pub(crate) json_body: Option<String>,
    /// Send this file as the body, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "json_body")]
    pub(crate) body_file: Option<PathBuf>,
    /// Write the downloaded file to this path, or - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing output file
    #[arg(long, requires = "output")]
    pub(crate) overwrite: bool,
    /// The maximum size of the output file, like 500M or 2G
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = media::byte_size, requires = "output")]
    pub(crate) max_size: u64,
    /// The account, like @alice:example.org or alice; without one, the default account
    #[arg(long, value_name = "USER_ID", conflicts_with = "server")]
    pub(crate) account: Option<String>,
    /// Call it on this server instead of an account's, like https://matrix.example.org; no
    /// account's token is sent
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// Read the token for that server from a file
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) token_file: Option<PathBuf>,
    /// Read the token for that server from standard input
    #[arg(long, requires = "server")]
    pub(crate) token_stdin: bool,
    /// Print secrets of the response, such as tokens, instead of masking them
    #[arg(long)]
    pub(crate) show_secrets: bool,
    /// Print the request instead of sending it, secrets masked
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula completions bash > ~/.local/share/bash-completion/completions/matricula\n  \
    matricula completions zsh > ~/.zfunc/_matricula\n  \
    matricula completions fish > ~/.config/fish/completions/matricula.fish")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// An IP address, and a port if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    pub(crate) ip: IpAddr,
    pub(crate) port: Option<u16>,
}

fn listen_address(text: &str) -> Result<ListenAddress, String> {
    // A name may have several addresses, of which only this one is sure.
    let text = match text.strip_prefix("localhost") {
        Some(rest) => format!("127.0.0.1{rest}"),
        None => text.to_owned(),
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(ListenAddress {
            ip: address.ip(),
            port: Some(address.port()),
        });
    }
    let ip = text.trim_start_matches('[').trim_end_matches(']');
    let ip = ip.parse().map_err(|_| {
        "give HOST or HOST:PORT, where HOST is an IP address of this machine: 127.0.0.1:8008, \
         0.0.0.0 for all of them, or [::1]:8008"
            .to_owned()
    })?;
    Ok(ListenAddress { ip, port: None })
}

#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  \
    matricula homeserver\n  \
    matricula homeserver --port 8008 --directory ./try-it")]
pub(crate) struct Homeserver {
    /// The data directory; without one, the private homeserver's
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// The port on 127.0.0.1; without one, a free one
    #[arg(long, default_value = "0")]
    pub(crate) port: u16,
    /// Listen on this IP address instead, like 0.0.0.0 or 0.0.0.0:8008; other machines can then reach
    /// it
    #[arg(long, value_name = "HOST:PORT", value_parser = listen_address)]
    pub(crate) listen: Option<ListenAddress>,
    /// Let everyone register, even if other machines can reach it
    #[arg(long, requires = "listen")]
    pub(crate) allow_open_registration: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_address_is_host_and_port() {
        for (text, ip, port) in [
            ("0.0.0.0", "0.0.0.0", None),
            ("127.0.0.1:8008", "127.0.0.1", Some(8008)),
            ("localhost", "127.0.0.1", None),
            ("localhost:8008", "127.0.0.1", Some(8008)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::]:8008", "::", Some(8008)),
        ] {
            let ip = ip.parse().unwrap();
            assert_eq!(
                listen_address(text),
                Ok(ListenAddress { ip, port }),
                "{text}"
            );
        }
        for text in [
            "",
            "8008",
            ":8008",
            "example.org:8008",
            "0.0.0.0:",
            "0.0.0.0:x",
            "1.2.3",
        ] {
            let error = listen_address(text).unwrap_err();
            assert!(error.contains("HOST:PORT"), "{text}: {error}");
        }
    }

    #[test]
    fn definitions_are_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
