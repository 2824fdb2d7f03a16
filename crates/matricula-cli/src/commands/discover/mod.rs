//! `matricula discover`: what a server is and offers.

mod facts;
mod walk;

use matricula::{
    Session,
    auth::{Discovery, RegistrationOffer, ServerInfo, Warning},
    drive,
};

use super::{Context, read_secret};
use crate::{args, failure::Failure, person::Terminal, report::shell_word};
use walk::{Answers, Guest, Walk};

pub(crate) async fn run(context: &Context<'_>, options: args::Discover) -> Result<(), Failure> {
    let address = context.address(&options.server)?;
    let token = read_secret(false, options.token_file.as_deref(), "registration token")?;
    let mut discovery = Discovery::new(address)
        .with_registration()
        .with_password_policy();
    if let Some(session) = own_session(context, &options.server)? {
        discovery = discovery.with_session(session.account().credential());
    }
    let mut terminal = Terminal::new(context.report, context.no_input);
    let found = drive(
        &mut discovery,
        &context.runner,
        &mut context.home.accounts(),
        &mut terminal,
    )
    .await;
    if terminal.was_interrupted {
        return Err(Failure::Interrupted);
    }
    let server_facts = found.map_err(|error| facts::failure(error, discovery.server_info()))?;
    let mut sheet = facts::Sheet::of(&server_facts);
    if !options.try_ways {
        sheet.print(context.report);
        return Ok(());
    }
    let answers = Answers {
        token,
        accepts_terms: options.accept_terms,
    };
    let walks = walk::every_way(context, &server_facts, &answers).await?;
    let guest = walk::guest(context, &server_facts).await?;
    if guest.is_allowed() {
        sheet.warn(Warning::GuestsAllowed);
    }
    let end = verdict(&server_facts, &walks, &guest, context);
    sheet.add_tries(&walks, &guest, end.as_ref().map_or(0, Failure::exit_code));
    sheet.print(context.report);
    end.map_or(Ok(()), Err)
}

/// The session here of the user who was named, to ask what they may do.
fn own_session(context: &Context<'_>, user: &str) -> Result<Option<Session>, Failure> {
    if !user.starts_with('@') {
        return Ok(None);
    }
    let account = context.home.accounts().account(Some(user))?;
    let account = account.filter(|account| account.access_token.is_some());
    Ok(account.map(|account| Session::new(account, context.runner.clone())))
}

/// How `--try` ends: `None` where everything that was tried works.
fn verdict(
    facts: &ServerInfo,
    walks: &[Walk],
    guest: &Guest,
    context: &Context<'_>,
) -> Option<Failure> {
    let left_behind = walks.iter().find_map(Walk::left_behind);
    let in_doubt = walks.iter().find_map(Walk::in_doubt);
    let deactivate = left_behind.map(|user_id| {
        let user_id = shell_word(user_id.as_str());
        format!("account deactivate --account {user_id}")
    });
    let next = deactivate.or_else(|| in_doubt.map(|id| format!("register --resume {id}")));
    let next = next.map(|command| context.command(&command));
    let result = |exit_code, message: String| {
        Some(Failure::Result {
            message,
            exit_code,
            next,
        })
    };
    let server = &facts.server;
    let failed = walks.iter().filter(|walk| walk.has_failed()).count();
    if failed > 0 || guest.has_failed() {
        let ways = failed + usize::from(guest.has_failed());
        return result(
            1,
            format!("{ways} of the ways that were tried on {server} failed"),
        );
    }
    if walks.iter().any(Walk::was_tried) {
        return None;
    }
    if !walks.is_empty() {
        return result(
            6,
            format!("every way to register on {server} needs a person"),
        );
    }
    match &facts.registration {
        Some(RegistrationOffer::Closed { message }) if !message.is_empty() => {
            let words = format!("{server} does not let people register: {message:?}");
            result(7, words)
        }
        Some(RegistrationOffer::Unknown { message }) => result(
            1,
            format!("{server} did not say how to register: {message}"),
        ),
        _ => result(7, format!("{server} does not let people register")),
    }
}
