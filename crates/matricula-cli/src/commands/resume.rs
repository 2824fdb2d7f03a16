//! Registrations and logins that wait for a person: listed, resumed, and finished.

use matricula::{
    Account, AuthError, AuthFlow, Error, RegistrationOptions,
    api::uia::Stage,
    auth::{BrowserError, OAuthLoginError, PendingAuth, ThreepidError, UiaError},
};
use serde_json::json;

use super::{Context, account_output};
use crate::{
    browser, error::CommandError, output::link, private_server, shell::shell_word,
    terminal::Terminal,
};

/// Prints the registrations and logins that were interrupted, each with the command that resumes it.
pub(crate) fn announce(context: &Context<'_>) -> Result<(), CommandError> {
    for pending in context.home.accounts().all_pending()? {
        let command = command_of(&pending);
        let what = if pending.signs_up() {
            "registration"
        } else {
            "sign-in"
        };
        let command = context.command(&format!("{command} --resume {}", pending.id()));
        context.output.say(&format!(
            "a {what} on {} is half done: {command}",
            pending.server()
        ));
    }
    Ok(())
}

fn command_of(pending: &PendingAuth) -> &'static str {
    if pending.signs_up() {
        "register"
    } else {
        "login"
    }
}

/// Resumes the registration or login of this ID.
pub(crate) async fn resume(
    context: &Context<'_>,
    id: &str,
    answers: RegistrationOptions,
    paste: bool,
    mut terminal: Terminal,
) -> Result<(), CommandError> {
    let pending = find(context, id)?;
    let (signs_up, before) = (
        pending.signs_up(),
        pending.redirect_uri().map(str::to_owned),
    );
    // A private server runs until the end of this function.
    let running = private_server::reopen(pending.data()).await?;
    let mut resume = matricula::resume(pending)
        .answers(answers)
        .runner(context.runner.clone())
        .store(context.home.accounts());
    if let Some(running) = &running {
        resume = resume.server_url(running.url().clone());
    }
    if let Some(before) = before {
        // The person who resumes it asks for its page.
        let may_open = !context.no_input;
        let redirect_uri = terminal.open_pages(paste, may_open, Some(&before)).await;
        resume = resume.redirect_uri(browser::about(), redirect_uri);
    }
    let mut flow = resume.prompts(terminal.clone()).start().await?;
    let account = finish(context, &mut flow, &terminal).await?;
    if signs_up {
        account_output::print_registered(context, &terminal, &flow.server().server, &account)
    } else {
        account_output::print_signed_in(context, &account)
    }
}

/// Runs a registration or login to its end. An error of one that is stored, and Ctrl-C, say how to
/// resume it.
pub(crate) async fn finish(
    context: &Context<'_>,
    flow: &mut AuthFlow<'_>,
    terminal: &Terminal,
) -> Result<Account, CommandError> {
    let result = tokio::select! {
        biased;
        result = flow.run() => Some(result),
        _ = tokio::signal::ctrl_c() => None,
    };
    match (
        result.filter(|_| !terminal.was_interrupted()),
        flow.pending(),
    ) {
        (Some(Ok(account)), _) => Ok(account),
        (Some(Err(error)), _) if is_sign_up_closed(&error) => {
            let server = shell_word(flow.server().server.as_str());
            let next = format!("login --server {server} --method oauth");
            Err(CommandError::Resumable {
                error: Box::new(error),
                details: json!({}),
                next: context.command(&next),
            })
        }
        (Some(Err(error)), Some(pending)) => Err(resumable(context, pending, error)),
        (Some(Err(error)), None) => Err(error.into()),
        (None, Some(pending)) => Err(interrupted(context, pending)),
        (None, None) => Err(CommandError::Interrupted),
    }
}

/// The error after Ctrl-C.
fn interrupted(context: &Context<'_>, pending: &PendingAuth) -> CommandError {
    let id = pending.id();
    if !is_stored(context, id) {
        return CommandError::Interrupted;
    }
    let command = command_of(pending);
    CommandError::interrupted(
        json!({ "resume": id }),
        context.command(&format!("{command} --resume {id}")),
    )
}

fn is_stored(context: &Context<'_>, id: &str) -> bool {
    matches!(context.home.accounts().pending(id), Ok(Some(_)))
}

fn is_sign_up_closed(error: &Error) -> bool {
    matches!(
        error,
        Error::Auth(AuthError::OAuth(OAuthLoginError::SignUpClosed { .. }))
    )
}

fn find(context: &Context<'_>, id: &str) -> Result<PendingAuth, CommandError> {
    let accounts = context.home.accounts();
    if let Some(pending) = accounts.pending(id)? {
        return Ok(pending);
    }
    let waiting: Vec<String> = accounts
        .all_pending()?
        .iter()
        .map(|one| one.id().to_owned())
        .collect();
    Err(CommandError::Usage(if waiting.is_empty() {
        format!("no registration {id} waits here, nor any other")
    } else {
        format!(
            "no registration {id} waits here; these do: {}",
            waiting.join(", ")
        )
    }))
}

fn resumable(context: &Context<'_>, pending: &PendingAuth, error: Error) -> CommandError {
    let id = pending.id();
    if !is_stored(context, id) {
        return error.into();
    }
    let command = command_of(pending);
    let (stage, answer) = missing(&error, pending);
    let url = match (&error, pending) {
        (Error::Auth(AuthError::Browser(BrowserError::BrowserNeeded { url, .. })), _) => {
            let page = link(url.expose());
            if let (Some(page), false) = (&page, context.output.is_json()) {
                context
                    .output
                    .say_in_full(&["the page:".to_owned(), format!("  {page}")]);
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
            "session": pending.uia_session(),
            "url": url,
            "stage": stage,
        }),
        next: context.command(&format!("{command} --resume {id}{answer}")),
    }
}

/// The stage that waits for the person, and the option that answers it.
fn missing(error: &Error, pending: &PendingAuth) -> (Option<Stage>, &'static str) {
    let Error::Auth(error) = error else {
        return (None, "");
    };
    match error {
        AuthError::Uia(UiaError::TokenNeeded { .. } | UiaError::TokenWrong { .. }) => {
            (Some(Stage::RegistrationToken), " --token-file FILE")
        }
        AuthError::Threepid(ThreepidError::AddressNeeded { stage, .. }) => {
            let answer = match stage {
                Stage::Msisdn => " --phone COUNTRY:NUMBER",
                _ => " --email ADDRESS",
            };
            (Some(stage.clone()), answer)
        }
        AuthError::Threepid(ThreepidError::AddressNotValidated { stage, .. }) => {
            let answer = match stage {
                Stage::Msisdn => " --code-file FILE",
                _ => "",
            };
            (Some(stage.clone()), answer)
        }
        AuthError::Uia(UiaError::TermsNotAccepted { .. }) => {
            (Some(Stage::Terms), " --accept-terms")
        }
        AuthError::Uia(UiaError::StagesNotSupported(missing)) => {
            (missing.stages.first().cloned(), "")
        }
        AuthError::Browser(BrowserError::BrowserNeeded { .. }) => (pending.stage(), ""),
        _ => (None, ""),
    }
}
