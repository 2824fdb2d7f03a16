//! The commands, one module each, and what they share.

mod account;
mod account_output;
mod account_source;
mod accounts;
mod admin;
mod api;
mod bulk;
mod definitions;
mod discover;
mod dry_run;
mod files;
mod homeserver;
mod keyring;
mod login;
mod media;
mod register;
mod resume;
mod session;

use std::{io::Read, path::Path};

use matricula::{
    DataDirs, Error, LoginBuilder, RegisterBuilder, Secret, ServerInfo,
    auth::{Conversation, Discovery, ServerAddress, ServerAddressError},
    runner::{HttpOptions, Runner},
};

use crate::{
    args::{Args, Command, Global},
    error::CommandError,
    keyring::announced,
    output::Output,
    shell::{program, shell_word},
    terminal::Terminal,
};

/// What all commands use.
pub(crate) struct Context<'a> {
    pub(crate) home: DataDirs,
    pub(crate) runner: Runner,
    pub(crate) output: Output,
    pub(crate) no_input: bool,
    pub(crate) global: &'a Global,
}

impl Context<'_> {
    /// The server that the command line names.
    pub(crate) fn address(&self, text: &str) -> Result<ServerAddress, CommandError> {
        let allowed = ServerAddress::with_plain_http(text);
        if self.global.allow_plain_http {
            return Ok(allowed?);
        }
        text.parse()
            .map_err(|error: ServerAddressError| match allowed {
                Ok(_) => CommandError::Usage(format!(
                    "{error}, or --allow-plain-http on a trusted network"
                )),
                Err(_) => error.into(),
            })
    }

    /// Runs a conversation to its end, stored in the account store.
    pub(crate) async fn drive<C>(
        &self,
        conversation: &mut C,
        terminal: &Terminal,
    ) -> Result<C::Output, Error>
    where
        C: Conversation,
        Error: From<C::Error>,
    {
        let (mut store, mut prompts) = (self.home.accounts(), terminal.clone());
        matricula::drive(conversation, &self.runner, &mut store, &mut prompts).await
    }

    /// Finds out what the server is and offers.
    pub(crate) async fn discover(
        &self,
        address: ServerAddress,
        needs_password_policy: bool,
        terminal: &Terminal,
    ) -> Result<ServerInfo, CommandError> {
        let mut discovery = Discovery::new(address).password_policy(needs_password_policy);
        let found = self.drive(&mut discovery, terminal).await;
        if terminal.was_interrupted() {
            return Err(CommandError::Interrupted);
        }
        Ok(found?)
    }

    /// A registration on this server.
    pub(crate) fn register<'a>(
        &self,
        server: ServerInfo,
        terminal: &Terminal,
    ) -> RegisterBuilder<'a> {
        matricula::register(server.server.as_str())
            .server_info(server)
            .runner(self.runner.clone())
            .store(self.home.accounts())
            .prompts(terminal.clone())
    }

    /// A login on this server.
    pub(crate) fn login<'a>(&self, server: ServerInfo, terminal: &Terminal) -> LoginBuilder<'a> {
        matricula::login(server.server.as_str())
            .server_info(server)
            .runner(self.runner.clone())
            .store(self.home.accounts())
            .prompts(terminal.clone())
    }

    /// A command line to type next, with the options that find the same accounts.
    pub(crate) fn command(&self, command: &str) -> String {
        let program = program();
        // The next command reads the environment too.
        let from_environment = std::env::var_os("MATRICULA_HOME");
        match &self.global.home {
            Some(home) if from_environment.is_none_or(|named| named != home.as_os_str()) => {
                let home = shell_word(&home.display().to_string());
                format!("{program} {command} --home {home}")
            }
            _ => format!("{program} {command}"),
        }
    }
}

pub(crate) async fn run(args: Args, output: &Output) -> Result<(), CommandError> {
    // These need no data directory.
    match &args.command {
        Command::Completions(options) => return definitions::print_completions(options.shell),
        #[cfg(feature = "man")]
        Command::Man { directory } => return definitions::write_man_pages(directory),
        _ => {}
    }
    let mut options = HttpOptions::default();
    options.timeout = args.global.timeout;
    options.allow_plain_http = args.global.allow_plain_http;
    options.connect_timeout = options.connect_timeout.min(args.global.timeout);
    if let Some(max) = args.command.max_file_size() {
        options.max_file_size = max;
    }
    let home = match &args.global.home {
        Some(dir) => DataDirs::at(dir)?,
        None => DataDirs::of_user()?,
    };
    let accounts = home.accounts().path();
    let context = Context {
        home: home.with_keyring(announced(args.global.keyring, accounts, *output)),
        runner: Runner::new(options),
        output: *output,
        no_input: args.global.no_input,
        global: &args.global,
    };
    match args.command {
        Command::Register(options) if options.bulk.is_wanted() => {
            bulk::run(&context, *options).await
        }
        Command::Register(options) => register::run(&context, *options).await,
        Command::Login(options) => login::run(&context, options).await,
        Command::Logout(options) => session::log_out(&context, options).await,
        Command::Accounts(options) => accounts::run(&context, options),
        Command::Switch(options) => accounts::switch(&context, &options).await,
        Command::Keyring(command) => keyring::run(&context, &command),
        Command::Whoami(options) => session::who_am_i(&context, options).await,
        Command::Refresh(options) => session::refresh(&context, options).await,
        Command::Account(command) => account::run(&context, command).await,
        Command::Media(command) => media::run(&context, command).await,
        Command::Discover(options) => discover::run(&context, options).await,
        Command::Admin(options) => admin::run(&context, options).await,
        Command::Api(options) => api::run(&context, options).await,
        Command::Homeserver(options) => homeserver::run(&context, options).await,
        Command::Completions(_) => Ok(()),
        #[cfg(feature = "man")]
        Command::Man { .. } => Ok(()),
    }
}

/// The name of a device: the given one, else this program's.
pub(crate) fn device_name(given: Option<&str>) -> Option<String> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => {
            let system = match std::env::consts::OS {
                "linux" => "Linux",
                "macos" => "macOS",
                "windows" => "Windows",
                other => other,
            };
            format!("matricula on {system}")
        }
    };
    Some(name)
}

/// A secret from standard input or a file, without the final line break.
pub(crate) fn read_secret(
    from_stdin: bool,
    file: Option<&Path>,
    what: &str,
) -> Result<Option<Secret>, CommandError> {
    // The maximum size in bytes, more than servers accept.
    const MAX_SIZE: u64 = 64 * 1024;
    let mut text = String::new();
    let read = match file {
        Some(path) => std::fs::File::open(path)
            .and_then(|file| file.take(MAX_SIZE).read_to_string(&mut text))
            .map_err(|error| {
                CommandError::Usage(format!("the {what} in {}: {error}", path.display()))
            }),
        None if from_stdin => std::io::stdin()
            .take(MAX_SIZE)
            .read_to_string(&mut text)
            .map_err(|error| CommandError::Usage(format!("the {what} on standard input: {error}"))),
        None => return Ok(None),
    };
    read?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        return Err(CommandError::Usage(format!(
            "the {what} is empty; give one, or leave the option out"
        )));
    }
    Ok(Some(Secret::from(secret)))
}
