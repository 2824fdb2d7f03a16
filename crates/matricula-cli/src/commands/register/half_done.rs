//! Registrations and sign-ins that wait for a person: told of, gone on with, and how they end.

use matricula::{
    Error,
    api::uia::Stage,
    auth::{Account, AuthError, PendingAuth, RegistrationOptions},
    drive,
};
use serde_json::json;

use super::super::{Context, login};
use crate::{
    browser::PageOpener, error::CommandError, output::link, private_server, terminal::Terminal,
};

/// What a crash or Ctrl-C cut off is not forgotten, nor gone on with unasked.
pub(crate) fn tell(context: &Context<'_>) -> Result<(), CommandError> {
    for half_done in context.home.accounts().all_half_done()? {
        let (what, command) = match half_done.signs_up() {
            true => ("registration", "register"),
            false => ("sign-in", "login"),
        };
        let command = context.command(&format!("{command} --resume {}", half_done.id()));
        context.output.say(&format!(
            "a {what} on {} is half done: {command}",
            half_done.server()
        ));
    }
    Ok(())
}

/// Goes on with what waits under this id.
pub(crate) async fn resume(
    context: &Context<'_>,
    id: &str,
    answers: RegistrationOptions,
    paste: bool,
    mut terminal: Terminal,
) -> Result<(), CommandError> {
    let mut half_done = find(context, id)?;
    // Runs until the end of this function.
    let opened = private_server::reopen(half_done.data()).await?;
    if let PendingAuth::Registration(registration) = half_done {
        let mut registration = registration.answers(answers);
        if let Some(opened) = &opened {
            registration = registration.move_to(opened.url().clone());
        }
        half_done = PendingAuth::Registration(Box::new(registration));
    }
    if let Some(before) = half_done.redirect_uri().map(str::to_owned) {
        // To go on with it is to ask for its page.
        let may_open = !context.no_input;
        let (pages, back) = PageOpener::open(context.output, paste, may_open, Some(&before)).await;
        terminal.set_pages(pages);
        half_done = half_done.replace_redirect_uri(back);
    }
    finish(context, half_done, terminal).await
}

/// Brings it to its end, and tells what came of it.
pub(crate) async fn finish(
    context: &Context<'_>,
    mut half_done: PendingAuth,
    mut terminal: Terminal,
) -> Result<(), CommandError> {
    let mut accounts = context.home.accounts();
    let account = drive(
        &mut half_done,
        &context.runner,
        &mut accounts,
        &mut terminal,
    )
    .await;
    let account = end(context, &terminal, Some(&half_done), account)?;
    match half_done.signs_up() {
        true => super::tell(context, &terminal, half_done.server(), &account),
        false => login::tell(context, &account),
    }
}

fn find(context: &Context<'_>, id: &str) -> Result<PendingAuth, CommandError> {
    let accounts = context.home.accounts();
    if let Some(half_done) = accounts.half_done(id)? {
        return Ok(half_done);
    }
    let waiting: Vec<String> = accounts
        .all_half_done()?
        .iter()
        .map(|one| one.id().to_owned())
        .collect();
    Err(CommandError::Usage(match waiting.is_empty() {
        true => format!("no registration {id} waits here, nor any other"),
        false => format!(
            "no registration {id} waits here; these do: {}",
            waiting.join(", ")
        ),
    }))
}

/// The account; or the failure, with how to go on if what failed is kept.
pub(crate) fn end(
    context: &Context<'_>,
    terminal: &Terminal,
    half_done: Option<&PendingAuth>,
    account: Result<Account, Error>,
) -> Result<Account, CommandError> {
    if terminal.was_interrupted() {
        return Err(CommandError::Interrupted);
    }
    account.map_err(|error| match half_done {
        Some(half_done) => kept(context, half_done, error),
        None => error.into(),
    })
}

fn kept(context: &Context<'_>, half_done: &PendingAuth, error: Error) -> CommandError {
    let id = half_done.id();
    if !matches!(context.home.accounts().half_done(id), Ok(Some(_))) {
        return error.into();
    }
    let command = match half_done.signs_up() {
        true => "register",
        false => "login",
    };
    let (stage, answer) = missing(&error, half_done);
    let url = match (&error, half_done) {
        (Error::Auth(AuthError::BrowserNeeded { url, .. }), _) => {
            let page = link(url.expose());
            if let (Some(page), false) = (&page, context.output.is_json()) {
                context.output.say_in_full(&format!("the page:\n  {page}"));
            }
            page
        }
        (_, PendingAuth::Registration(registration)) => stage
            .as_ref()
            .map(|stage| registration.fallback_page(stage)),
        _ => None,
    };
    CommandError::Resumable {
        error: Box::new(error),
        details: json!({
            "resume": id,
            "session": half_done.session(),
            "url": url,
            "stage": stage,
        }),
        next: context.command(&format!("{command} --resume {id}{answer}")),
    }
}

/// What it waits for, and the option that gives it.
fn missing(error: &Error, half_done: &PendingAuth) -> (Option<Stage>, &'static str) {
    let Error::Auth(error) = error else {
        return (None, "");
    };
    match error {
        AuthError::TokenNeeded { .. } => (Some(Stage::RegistrationToken), " --token-file FILE"),
        AuthError::AddressNeeded { stage, .. } => {
            let answer = match stage {
                Stage::Msisdn => " --phone COUNTRY:NUMBER",
                _ => " --email ADDRESS",
            };
            (Some(stage.clone()), answer)
        }
        AuthError::AddressNotProved { stage, .. } => {
            let answer = match stage {
                Stage::Msisdn => " --code-file FILE",
                _ => "",
            };
            (Some(stage.clone()), answer)
        }
        AuthError::TermsNotAccepted { .. } => (Some(Stage::Terms), " --accept-terms"),
        AuthError::StagesNotSupported(missing) => (missing.stages.first().cloned(), ""),
        AuthError::BrowserNeeded { .. } => (half_done.stage(), ""),
        _ => (None, ""),
    }
}
