//! `matricula discover`: shows what a server offers.

mod table;
mod try_methods;

use matricula::{
    Session,
    auth::{Discovery, RegistrationOffer, ServerInfo, Warning},
};

use super::{Context, read_secret};
use crate::{args, error::CommandError, shell::shell_word, terminal::Terminal};
use try_methods::{Attempts, Guest, KnownAnswers};

pub(crate) async fn run(
    context: &Context<'_>,
    options: args::Discover,
) -> Result<(), CommandError> {
    let address = context.address(&options.server)?;
    let token = read_secret(false, options.token_file.as_deref(), "registration token")?;
    let mut discovery = Discovery::new(address)
        .registration(true)
        .password_policy(true);
    if let Some(session) = own_session(context, &options.server)? {
        discovery = discovery.session(session.account().credential());
    }
    let terminal = Terminal::new(context.output, context.no_input);
    let found = context.drive(&mut discovery, &terminal).await;
    if terminal.was_interrupted() {
        return Err(CommandError::Interrupted);
    }
    let server_facts = found.map_err(|error| table::failure(error, discovery.server_info()))?;
    let mut sheet = table::Table::of(&server_facts);
    if !options.try_ways {
        sheet.print(context.output);
        return in_trouble(&server_facts).map_or(Ok(()), Err);
    }
    let answers = KnownAnswers {
        token,
        accepts_terms: options.accept_terms,
    };
    let walks = try_methods::every_way(context, &server_facts, &answers).await?;
    let guest = try_methods::guest(context, &server_facts).await?;
    if guest.is_allowed() {
        sheet.warn(Warning::GuestsAllowed);
    }
    let end = verdict(&server_facts, &walks, &guest, context);
    sheet.add_tries(
        &walks,
        &guest,
        end.as_ref().map_or(0, CommandError::exit_code),
    );
    sheet.print(context.output);
    end.map_or(Ok(()), Err)
}

/// The stored session of the named user, to ask for capabilities.
fn own_session(context: &Context<'_>, user: &str) -> Result<Option<Session>, CommandError> {
    if !user.starts_with('@') {
        return Ok(None);
    }
    let account = context.home.accounts().account(Some(user))?;
    let account = account.filter(|account| account.access_token.is_some());
    Ok(account.map(|account| Session::new(account, context.runner.clone())))
}

/// The error of `--try`; `None` if everything works.
fn verdict(
    info: &ServerInfo,
    walks: &[Attempts],
    guest: &Guest,
    context: &Context<'_>,
) -> Option<CommandError> {
    let left_behind = walks.iter().find_map(Attempts::left_behind);
    let in_doubt = walks.iter().find_map(Attempts::in_doubt);
    let deactivate = left_behind.map(|user_id| {
        let user_id = shell_word(user_id.as_str());
        format!("account deactivate --account {user_id}")
    });
    let next = deactivate.or_else(|| in_doubt.map(|id| format!("register --resume {id}")));
    let next = next.map(|command| context.command(&command));
    let result = |exit_code, message: String| {
        Some(CommandError::Reported {
            message,
            exit_code,
            next,
        })
    };
    let server = &info.server;
    let failed = walks
        .iter()
        .filter(|try_methods| try_methods.has_failed())
        .count();
    if failed > 0 || guest.has_failed() {
        let ways = failed + usize::from(guest.has_failed());
        return result(
            1,
            format!("{ways} of the ways that were tried on {server} failed"),
        );
    }
    if walks.iter().any(Attempts::was_tried) {
        return None;
    }
    if !walks.is_empty() {
        return result(
            6,
            format!("every way to register on {server} needs a person"),
        );
    }
    match &info.registration {
        Some(RegistrationOffer::Closed { message }) if !message.is_empty() => {
            let words = format!("{server} does not let people register: {message:?}");
            result(7, words)
        }
        Some(RegistrationOffer::Unknown { message }) => in_trouble(info).or_else(|| {
            let words = format!("{server} did not say how to register: {message}");
            result(1, words)
        }),
        _ => result(7, format!("{server} does not let people register")),
    }
}

/// The error of a server that offers no way to register, perhaps because its OAuth 2.0 server is in trouble.
fn in_trouble(info: &ServerInfo) -> Option<CommandError> {
    let what = info.oauth_trouble.as_ref()?;
    if !info.registration_methods().is_empty() {
        return None;
    }
    let server = &info.server;
    Some(CommandError::Reported {
        message: format!(
            "the OAuth 2.0 server of {server} is in trouble ({what}); try again later"
        ),
        exit_code: 3,
        next: None,
    })
}
