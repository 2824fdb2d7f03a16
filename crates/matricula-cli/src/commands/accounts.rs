//! `accounts` and `switch`: the stored accounts, and the default account.

use matricula::{auth::Account, runner::SystemClock};
use serde_json::{Value, json};

use super::{Context, account_output::account_json, account_source};
use crate::{
    args::accounts::{Accounts, AccountsCommand, Forget, Switch},
    error::CommandError,
    output::quoted,
    shell::shell_word,
    terminal::Terminal,
    text::columns,
};

pub(crate) fn run(context: &Context<'_>, options: Accounts) -> Result<(), CommandError> {
    match options.command {
        None => list(context),
        Some(AccountsCommand::Forget(options)) => forget(context, &options),
    }
}

fn list(context: &Context<'_>) -> Result<(), CommandError> {
    let store = context.home.accounts();
    let accounts = store.accounts()?;
    let default = store.default_account()?;
    let (mut rows, mut objects) = (Vec::new(), Vec::new());
    for account in &accounts {
        let is_default = default.as_deref() == Some(account.user_id.as_str());
        let mark = if is_default { '*' } else { ' ' };
        let user_id = quoted(account.user_id.as_str());
        rows.push([format!("{mark} {user_id}"), place(account), state(account)]);
        objects.push(object(account, is_default));
    }
    if accounts.is_empty() {
        context.output.say("no account is stored here yet");
        context.output.next(&context.command("register"));
        if !context.output.is_json() {
            return Ok(());
        }
    }
    let object = json!({ "schema_version": 1, "accounts": objects });
    context.output.result(&columns(&rows), &object);
    Ok(())
}

fn object(account: &Account, is_default: bool) -> Value {
    let mut object = account_json(account, &account.server);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("schema_version");
    }
    object["default"] = json!(is_default);
    object["private"] = json!(is_private(account));
    object
}

fn is_private(account: &Account) -> bool {
    account.data["homeserver"].is_string()
}

fn place(account: &Account) -> String {
    match account.data["homeserver"].as_str() {
        Some(directory) => format!("private, in {}", quoted(directory)),
        None => account.server.to_string(),
    }
}

fn state(account: &Account) -> String {
    if account.access_token.is_none() {
        return "not signed in".to_owned();
    }
    let left = match account.expires_at {
        None => return "signed in".to_owned(),
        Some(at) => at.since(SystemClock::now()).as_secs(),
    };
    match (left, account.refresh_token.is_some()) {
        (_, true) => "signed in, renewed when needed".to_owned(),
        (0, false) => "signed in, but the token has expired".to_owned(),
        (left, false) => format!("signed in, for {left} s more"),
    }
}

fn forget(context: &Context<'_>, options: &Forget) -> Result<(), CommandError> {
    let account = account_source::account(context, Some(&options.user_id))?;
    let user_id = &account.user_id;
    if account.access_token.is_some() && !options.with_secrets {
        return Err(CommandError::Explained {
            message: format!(
                "{user_id} is signed in: sign out first, or give --with-secrets to leave the session open on the server"
            ),
            exit_code: 1,
            details: json!({}),
            next: Some(context.command(&format!(
                "logout --account {}",
                shell_word(user_id.as_str())
            ))),
        });
    }
    if account.password.is_some() && !options.with_secrets {
        return Err(CommandError::other(format!(
            "the password of {user_id} was made here and is known nowhere else: give --with-secrets to lose it, and with it the account"
        )));
    }
    let store = context.home.accounts();
    let was_default = store.default_account()?;
    store.forget(user_id.as_str())?;
    let default = store.default_account()?;
    let object = json!({
        "schema_version": 1,
        "user_id": user_id,
        "forgotten": true,
        "default": default,
    });
    context
        .output
        .result(&format!("{user_id} is no longer stored here"), &object);
    if let Some(default) = default.filter(|_| was_default.as_deref() == Some(user_id.as_str())) {
        context
            .output
            .say(&format!("the default account is {default} now"));
    }
    Ok(())
}

pub(crate) async fn switch(context: &Context<'_>, options: &Switch) -> Result<(), CommandError> {
    let account = match &options.user_id {
        Some(name) => account_source::account(context, Some(name))?,
        None => chosen_account(context).await?,
    };
    let user_id = &account.user_id;
    context.home.accounts().set_default(user_id.as_str())?;
    context.output.result(
        &format!("{user_id} is used where no account is named"),
        &account_json(&account, &account.server),
    );
    let next = match account.access_token {
        Some(_) => "whoami",
        None => "login",
    };
    context.output.next(&context.command(next));
    Ok(())
}

/// The account that the person chooses from the list.
async fn chosen_account(context: &Context<'_>) -> Result<Account, CommandError> {
    let terminal = Terminal::new(context.output, context.no_input);
    // Fails if no account is stored.
    account_source::account(context, None)?;
    let mut accounts = context.home.accounts().accounts()?;
    if !terminal.has_person() {
        let ids: Vec<&str> = accounts.iter().map(|one| one.user_id.as_str()).collect();
        return Err(CommandError::Usage(format!(
            "name the account to switch to: {}",
            ids.join(", ")
        )));
    }
    let option = |account: &Account| format!("{}, {}", account.user_id, state(account));
    let options = accounts.iter().map(option).collect();
    let chosen = terminal.choose("Which account?".to_owned(), options);
    Ok(accounts.swap_remove(chosen.await?))
}
