//! The account that a login is for: from the command line, the store, or the person.

use matricula::{Account, ServerAddress, UserId};

use crate::{
    args,
    commands::{Context, account_source},
    error::CommandError,
    private_server::RunningServer,
    terminal::Terminal,
};

/// The account that a login is for.
pub(super) struct Wanted {
    /// The user, a user ID or its localpart; `None` if a page asks for it.
    pub(super) user: Option<String>,
    /// The server, if it was named.
    server: Option<String>,
    /// The stored accounts that may be meant.
    pub(super) stored: Vec<Account>,
}

impl Wanted {
    fn of(account: Account) -> Self {
        Self {
            user: Some(account.user_id.to_string()),
            server: None,
            stored: vec![account],
        }
    }

    /// Starts the server of a private account.
    pub(super) async fn reach(mut self) -> Result<(Self, Option<RunningServer>), CommandError> {
        if self.server.is_some() {
            return Ok((self, None));
        }
        let Some(account) = self.stored.pop() else {
            return Ok((self, None));
        };
        let (account, running) = account_source::reach(account).await?;
        self.stored.push(account);
        Ok((self, running))
    }

    /// Where the server is.
    pub(super) fn address(&self, context: &Context<'_>) -> Result<ServerAddress, CommandError> {
        let (server, user) = (self.server.as_deref(), self.user.as_deref());
        account_source::address(context, server, user, self.stored.first())
    }
}

/// Chooses the account. Without a name it is the default account, unless the person wants another one.
pub(super) async fn choose(
    context: &Context<'_>,
    terminal: &Terminal,
    options: &args::Login,
    needs_page: bool,
) -> Result<Wanted, CommandError> {
    let mut server = options.server.clone();
    let user = match &options.user {
        Some(user) => as_typed(user),
        None if needs_page && server.is_some() => {
            return Ok(Wanted {
                user: None,
                server,
                stored: Vec::new(),
            });
        }
        None => {
            let default = match server {
                Some(_) => None,
                None => context.home.accounts().account(None)?,
            };
            if let Some(account) = default
                && is_meant(terminal, &account).await?
            {
                return Ok(Wanted::of(account));
            }
            ask_for_user(context, terminal, server.is_some()).await?
        }
    };
    let mut stored = context.home.accounts().accounts_named(&user)?;
    let is_id = user.starts_with('@');
    if server.is_none() && !is_id {
        match stored.len() {
            0 => server = Some(ask_for_server(context, terminal, &user).await?),
            1 => {}
            _ if !terminal.has_person() => return Err(account_source::ambiguous(&user, &stored)),
            _ => {
                let ids = stored.iter().map(|one| one.user_id.to_string()).collect();
                let chosen = terminal.choose("Which account?".to_owned(), ids).await?;
                stored = vec![stored.swap_remove(chosen)];
            }
        }
        if let (None, Some(account)) = (&server, stored.pop()) {
            return Ok(Wanted::of(account));
        }
    }
    Ok(Wanted {
        user: Some(user),
        server,
        stored,
    })
}

/// A user ID, with an `@`, or a name, without one, however it was typed.
fn as_typed(user: &str) -> String {
    let name = user.trim().trim_start_matches('@');
    match name.contains(':') {
        true => format!("@{name}"),
        false => name.to_owned(),
    }
}

/// Whether a login without a name is for the default account. It is, unless that is signed in and the
/// person wants another one.
async fn is_meant(terminal: &Terminal, account: &Account) -> Result<bool, CommandError> {
    if !terminal.has_person() || account.access_token.is_none() {
        return Ok(true);
    }
    let user_id = &account.user_id;
    let question = format!("You are signed in as {user_id}.");
    let again = format!("Sign in as {user_id} again");
    let options = vec![again, "Sign in to another account".to_owned()];
    Ok(terminal.choose(question, options).await? == 0)
}

async fn ask_for_user(
    context: &Context<'_>,
    terminal: &Terminal,
    has_server: bool,
) -> Result<String, CommandError> {
    if !terminal.has_person() {
        return Err(CommandError::Usage(
            "say who signs in, like @alice:example.org".into(),
        ));
    }
    let (question, example) = match has_server {
        true => ("Your user name there:", "alice"),
        false => ("Your user ID:", "@alice:example.org"),
    };
    loop {
        let user = as_typed(&terminal.line(question, example).await?);
        let is_name = !user.is_empty() && !user.contains([' ', '@', ':', '/']);
        if is_name || user.parse::<UserId>().is_ok() {
            return Ok(user);
        }
        context.output.warn(&format!(
            "{user:?} is not a user: type a user ID like @alice:example.org, or only the name in it"
        ));
    }
}

async fn ask_for_server(
    context: &Context<'_>,
    terminal: &Terminal,
    user: &str,
) -> Result<String, CommandError> {
    if !terminal.has_person() {
        // The error names the options.
        account_source::address(context, None, Some(user), None)?;
    }
    loop {
        let server = terminal.line("Your homeserver:", "example.org").await?;
        match context.address(&server) {
            Ok(_) => return Ok(server),
            Err(error) => context.output.warn(&error.message()),
        }
    }
}
