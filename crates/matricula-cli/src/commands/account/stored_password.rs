//! `account password --show` and `--to-file`: the password that is stored with an account.

use std::io::IsTerminal;

use matricula::{Account, Secret};
use serde_json::json;

use super::print_done_for;
use crate::{
    args::account::Password,
    commands::{Context, account_source},
    error::CommandError,
    private_file,
    shell::shell_word,
    terminal::Terminal,
};

pub(super) async fn run(context: &Context<'_>, options: &Password) -> Result<(), CommandError> {
    let name = options.authentication.of.account.as_deref();
    let account = account_source::account(context, name)?;
    let user_id = &account.user_id;
    let password = stored(context, &account)?;
    if let Some(file) = &options.to_file {
        let text = format!("{}\n", password.expose());
        private_file::write(file, text.as_bytes(), options.overwrite)?;
        let words = format!(
            "the password of {user_id} is in {}, which only you can read",
            file.display()
        );
        print_done_for(context, &account, &words, json!({ "file": file }));
        return Ok(());
    }
    let terminal = Terminal::new(context.output, context.no_input);
    if terminal.has_person() && std::io::stdout().is_terminal() {
        context.output.say(&format!(
            "this shows the password of {user_id} on this screen"
        ));
        if !terminal.confirm("Show it?").await? {
            return Err(CommandError::other("nothing was shown"));
        }
    }
    let object = json!({ "password": password.expose() });
    print_done_for(context, &account, password.expose(), object);
    Ok(())
}

/// The stored password.
fn stored(context: &Context<'_>, account: &Account) -> Result<Secret, CommandError> {
    let user_id = &account.user_id;
    if context.home.accounts().pending_password(user_id)?.is_some() {
        context.output.warn(&format!(
            "a change of the password of {user_id} is unfinished: it may have another one already; to \
             finish it: {}",
            context.command(&format!(
                "account password --account {}",
                shell_word(user_id.as_str())
            ))
        ));
    }
    account.password.clone().ok_or_else(|| {
        let why = match (account.is_guest, account.oauth.is_some()) {
            (true, _) => "it is a guest, which has none",
            (_, true) => "it signs in on a page of its server",
            _ => "it was not generated here, so you chose it",
        };
        CommandError::other(format!("no password of {user_id} is stored here: {why}"))
    })
}
