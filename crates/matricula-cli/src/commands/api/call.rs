//! `matricula api call`: calls any operation, with any account or on any server.

use std::{io::IsTerminal, path::PathBuf};

use matricula::{
    PromptHandler, Session,
    core::{Auth, Body, FileRef, Job, ResponseFormat, scheduler::Event},
};
use serde_json::json;

use super::{
    arguments::Arguments,
    call_error,
    caller::Caller,
    find,
    response::{self, Answer},
};
use crate::{
    args::ApiCall,
    commands::{
        Context, account_source, dry_run,
        files::{self, DiskFiles},
    },
    error::CommandError,
    terminal::Terminal,
};

pub(super) async fn run(context: &Context<'_>, options: ApiCall) -> Result<(), CommandError> {
    let endpoint = find(&options.operation)?;
    let arguments = Arguments::read(context, endpoint, &options)?;
    // Mistakes in the arguments are reported before the server is chosen.
    let is_download = arguments.are_for_a_download(context, endpoint)?;
    let output = output(context, &options, is_download)?;
    let caller = Caller::chosen(context, endpoint, &options)?;
    if options.dry_run {
        let job = arguments.job(context, endpoint, caller.server())?;
        print_request(context, &caller.authorize(context, endpoint, &options, job));
        return Ok(());
    }
    // A private homeserver has another address with each start.
    let (caller, _opened) = match caller {
        Caller::Account(account) => {
            let (account, opened) = account_source::reach(*account).await?;
            (Caller::Account(Box::new(account)), opened)
        }
        named => (named, None),
    };
    let job = arguments.job(context, endpoint, caller.server())?;
    let job = with_output(caller.authorize(context, endpoint, &options, job), output);
    let mut terminal = Terminal::new(context.output, context.no_input);
    let watch = |event: &Event| {
        if let Event::Waiting {
            until, reason: why, ..
        } = event
        {
            terminal.waiting(*until, why);
        }
    };
    let files = DiskFiles {
        may_replace: options.overwrite,
    };
    let runner = context.runner.to_builder().files(files).build()?;
    let sent = match &caller {
        Caller::Account(account) => {
            let accounts = context.home.accounts();
            let session = Session::new((**account).clone(), runner).store(accounts);
            session.send_watched(job, watch).await
        }
        Caller::Server(..) => matricula::send_watched(&runner, job, watch).await,
    };
    let answer = sent.and_then(|response| {
        Ok(Answer {
            status: response.status_code(),
            reply: endpoint.read(&response)?,
            is_download,
        })
    });
    match answer {
        Ok(answer) => {
            response::print(context, endpoint, &options, &answer);
            Ok(())
        }
        Err(error) => Err(call_error::explain(context, endpoint, &caller, error)),
    }
}

/// Where a download goes; `None` is standard output.
fn output(
    context: &Context<'_>,
    options: &ApiCall,
    is_download: bool,
) -> Result<Option<PathBuf>, CommandError> {
    if !is_download {
        return match &options.output {
            Some(_) => Err(CommandError::Usage(format!(
                "{} downloads no file: leave --output out",
                options.operation
            ))),
            None => Ok(None),
        };
    }
    match &options.output {
        Some(file) if !files::is_stream(file) => {
            files::check_target(file, options.overwrite)?;
            Ok(Some(file.clone()))
        }
        _ if options.dry_run => Ok(None),
        Some(_) => {
            files::check_stdout(context.output, std::io::stdout().is_terminal())?;
            Ok(None)
        }
        None if context.output.is_json() || std::io::stdout().is_terminal() => {
            Err(CommandError::Usage(format!(
                "{} downloads a file: say where to, with --output FILE",
                options.operation
            )))
        }
        None => Ok(None),
    }
}

fn with_output(job: Job, output: Option<PathBuf>) -> Job {
    match output {
        Some(file) => job.with_response_format(ResponseFormat::File(FileRef::new(file))),
        None => job,
    }
}

/// Prints the request without sending it.
fn print_request(context: &Context<'_>, job: &Job) {
    let mut headers: Vec<(&str, &str)> = Vec::new();
    if *job.auth() != Auth::None {
        headers.push(("Authorization", "Bearer ***"));
    }
    let own = job.request_headers().iter();
    headers.extend(own.map(|(name, value)| (name.as_ref(), value.as_str())));
    let mut object = dry_run::describe(job);
    object["schema_version"] = json!(1);
    object["headers"] = json!(headers);
    let mut lines = vec![dry_run::words(job)];
    lines.extend(
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    if let Body::File(file) = job.request_body() {
        object["body_file"] = json!(file.path);
    }
    context.output.result(&lines, &object);
    context.output.say("nothing was sent");
}
