//! `matricula media`: uploads and downloads files.

mod get;
mod progress;
mod put;

use matricula::{
    Error, PromptHandler, Session,
    api::{ApiError, ErrorCode},
    auth::Account,
    core::{Job, Response, TransportErrorKind, scheduler::Event},
    runner::FileStore,
};
use serde_json::json;

use super::{Context, account_source, dry_run};
use crate::{
    args::media::Media,
    error::{CommandError, exit_code},
    private_server::RunningServer,
    terminal::Terminal,
};

use progress::ProgressDisplay;
pub(crate) use put::Upload;

pub(crate) async fn run(context: &Context<'_>, command: Media) -> Result<(), CommandError> {
    match command {
        Media::Put(options) => put::run(context, options).await,
        Media::Get(options) => get::run(context, options).await,
    }
}

/// The account of this name, or the default account, if it is signed in.
pub(crate) fn account(
    context: &Context<'_>,
    user_id: Option<&str>,
) -> Result<Account, CommandError> {
    let account = account_source::account(context, user_id)?;
    match account.access_token {
        Some(_) => Ok(account),
        None => Err(account_source::not_signed_in(context, &account)),
    }
}

/// Prints requests of this account instead of sending them. The address of a private homeserver is
/// the last known one.
fn would_send(
    context: &Context<'_>,
    account: Account,
    jobs: impl FnOnce(&Session) -> Vec<Job>,
) -> Result<(), CommandError> {
    dry_run::show(
        context,
        &jobs(&account_source::in_account(context, account)),
    );
    Ok(())
}

/// A session that transfers one file and shows the progress.
struct Transfer<'a> {
    context: &'a Context<'a>,
    session: Session,
    display: ProgressDisplay,
    /// A private homeserver runs until this is dropped.
    opened: Option<RunningServer>,
}

impl<'a> Transfer<'a> {
    async fn new(
        context: &'a Context<'a>,
        account: Account,
        files: impl FileStore + 'static,
    ) -> Result<Self, CommandError> {
        let (account, opened) = account_source::reach(account).await?;
        let display = ProgressDisplay::new(context.output);
        let runner = display.watch(&context.runner, files)?;
        let session = Session::new(account, runner).store(context.home.accounts());
        Ok(Self {
            context,
            session,
            display,
            opened,
        })
    }

    /// Sends a job and prints what it waits for.
    async fn send(&self, job: Job) -> Result<Response, Error> {
        let mut terminal = Terminal::new(self.context.output, self.context.no_input);
        let watch = |event: &Event| {
            if let Event::Waiting {
                until, reason: why, ..
            } = event
            {
                self.display.aside(|| terminal.waiting(*until, why));
            }
        };
        self.session.send_watched(job, watch).await
    }

    /// Explains errors of the server and of the disk.
    fn explain(&self, error: Error, texts: &ErrorTexts<'_>) -> CommandError {
        let message = match &error {
            Error::Transport(at) | Error::InDoubt(at)
                if at.kind == TransportErrorKind::InvalidRequest =>
            {
                format!("{}; {}", at.message, texts.disk)
            }
            Error::Api(api) => match (status(api), code(api)) {
                (413, _) | (_, Some(ErrorCode::TooLarge)) => format!("{} ({api})", texts.too_large),
                (403, _) => format!("{} ({api})", texts.refused),
                (404, _) | (_, Some(ErrorCode::NotFound)) => format!("{} ({api})", texts.missing),
                _ => return self.ended(error),
            },
            _ => return self.ended(error),
        };
        let exit_code = match &error {
            Error::Api(api) if [403, 413].contains(&status(api)) => 7,
            _ => exit_code(&error),
        };
        CommandError::Explained {
            message,
            exit_code,
            details: json!({}),
            next: None,
        }
    }

    /// Whether the server has the same address the next time. A server of this process has not.
    fn stays_where_it_is(&self) -> bool {
        !self.opened.as_ref().is_some_and(RunningServer::is_here)
    }

    fn ended(&self, error: Error) -> CommandError {
        account_source::session_ended(self.context, &self.session.account(), error)
    }
}

/// The texts that explain an error.
struct ErrorTexts<'a> {
    too_large: &'a str,
    refused: &'a str,
    missing: &'a str,
    disk: &'a str,
}

fn status(error: &ApiError) -> u16 {
    match error {
        ApiError::Matrix(error) => error.status,
        ApiError::UnexpectedStatus { status } => *status,
        _ => 0,
    }
}

fn code(error: &ApiError) -> Option<ErrorCode> {
    match error {
        ApiError::Matrix(error) => Some(error.code.clone()),
        _ => None,
    }
}
