//! `account deactivate`.

use matricula::{Session, auth::Deactivation};
use serde_json::json;

use super::{Context, account_source, dry_run, print_done, run_conversation};
use crate::{args::account::Deactivate, error::CommandError, terminal::Terminal};

pub(crate) async fn run(context: &Context<'_>, options: Deactivate) -> Result<(), CommandError> {
    let authentication = &options.authentication;
    let account = authentication.of.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let mut deactivation = Deactivation::new(&session.account());
    if options.erase {
        deactivation = deactivation.erase(true);
    }
    if let Some(password) = authentication.password()? {
        deactivation = deactivation.password(password);
    }
    if let Some(session) = &authentication.resume {
        deactivation = deactivation.uia_session(session);
    }
    if authentication.dry_run {
        return dry_run::conversation(context, &mut deactivation);
    }
    let mut terminal = Terminal::new(context.output, context.no_input);
    // The account page asks for confirmation itself.
    if session.account().oauth.is_none() {
        make_sure(context, &session, &options, &terminal).await?;
    }
    let command = match options.erase {
        true => "deactivate --erase",
        false => "deactivate",
    };
    run_conversation(context, &session, &mut deactivation, &mut terminal, command).await?;
    let words = format!("{} is closed for good", session.account().user_id);
    let object = json!({ "deactivated": true, "erase": options.erase });
    print_done(context, &session, &words, object);
    Ok(())
}

/// Warns, and asks for confirmation.
async fn make_sure(
    context: &Context<'_>,
    session: &Session,
    options: &Deactivate,
    terminal: &Terminal,
) -> Result<(), CommandError> {
    let account = session.account();
    let messages = match options.erase {
        true => "the server is asked to hide its messages from users who join a room later",
        false => "its messages stay where they are (--erase asks to hide them)",
    };
    let lines = [
        format!(
            "this is about to close {} on {} for good; then:",
            account.user_id, account.server
        ),
        "  it can no longer be signed in to, and every device is signed out".to_owned(),
        "  it leaves its rooms, and its email addresses and phone numbers are removed".to_owned(),
        "  its name cannot be registered again".to_owned(),
        format!("  {messages}"),
        format!(
            "  its entry in {} is removed",
            context.home.accounts().path().display()
        ),
    ];
    for line in lines {
        context.output.warn(&line);
    }
    if options.yes {
        return Ok(());
    }
    if !terminal.has_person() {
        return Err(CommandError::Usage(
            "say that you are sure with --yes; nothing was done".into(),
        ));
    }
    match terminal.confirm("Close it for good?").await? {
        true => Ok(()),
        false => Err(CommandError::other("nothing was done")),
    }
}
