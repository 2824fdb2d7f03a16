//! `matricula account token`: writes a session's token for another program.

use matricula::auth::Account;
use serde_json::json;

use super::print_done_for;
use crate::{
    args::account::Token,
    commands::{Context, account_source},
    error::CommandError,
    private_file,
    shell::shell_word,
};

pub(super) fn run(context: &Context<'_>, options: &Token) -> Result<(), CommandError> {
    let account = account_source::account(context, options.of.account.as_deref())?;
    let Some(token) = &account.access_token else {
        return Err(account_source::not_signed_in(context, &account));
    };
    let user_id = &account.user_id;
    if account.refresh_token.is_some() {
        return Err(renewed(context, &account));
    }
    let object = json!({
        "schema_version": 1,
        "user_id": user_id,
        "server": account.server,
        "device_id": account.device_id,
        "access_token": token.expose(),
        "expires_at": account.expires_at,
    });
    let file = &options.to_file;
    let text = format!("{object:#}\n");
    private_file::write(file, text.as_bytes(), options.overwrite)?;
    if account.data["homeserver"].is_string() {
        context.output.warn(
            "its private homeserver is at another address each time, and only there while a command \
             uses it: keep it running with matricula homeserver --port PORT",
        );
    }
    let words = format!(
        "the token of {user_id} is in {}, which only you can read; it gives full access as {user_id} until it signs out",
        file.display()
    );
    print_done_for(
        context,
        &account,
        &words,
        json!({ "file": file, "expires_at": account.expires_at }),
    );
    Ok(())
}

/// Two programs that renew one session would invalidate each other's tokens.
fn renewed(context: &Context<'_>, account: &Account) -> CommandError {
    let user_id = &account.user_id;
    CommandError::Explained {
        message: format!(
            "the session of {user_id} is renewed here every now and then, and another program's copy of its token would end with that; give the other program a session of its own, in another home"
        ),
        exit_code: 1,
        details: json!({ "user_id": user_id }),
        next: Some(context.command(&format!(
            "login {} --home DIR",
            shell_word(user_id.as_str())
        ))),
    }
}
