//! `matricula api call`: any operation, with any account or against any server.

use std::{io::IsTerminal, path::PathBuf};

use matricula::{
    PromptHandler,
    auth::Account,
    core::{
        Api, Auth, Body, CredentialRef, FileRef, Job, OperationAuth, ResponseFormat, Secret,
        ServerUrl, scheduler::Event,
    },
};
use matricula_api::server::AnyEndpoint;
use serde_json::{Value, json};

use super::{
    argument_error,
    arguments::{self, Arguments},
    find, full_name, name,
    response::{self, Answer},
};
use crate::{
    args::ApiCall,
    commands::{
        Context,
        account_source::{self, not_signed_in},
        dry_run, read_secret,
    },
    error::CommandError,
    shell::shell_word,
    terminal::Terminal,
};

pub(super) async fn run(context: &Context<'_>, options: ApiCall) -> Result<(), CommandError> {
    let endpoint = find(&options.operation)?;
    let arguments = Arguments::read(context, endpoint, &options)?;
    // What is typed wrongly is told before it is looked where the request would go.
    let is_download = arguments.are_for_a_download(context, endpoint)?;
    let output = output(context, &options, is_download)?;
    let caller = caller(context, endpoint, &options)?;
    if options.dry_run {
        let job = arguments.job(context, endpoint, caller.server())?;
        print_request(context, &caller.authorize(context, endpoint, &options, job));
        return Ok(());
    }
    // The address of a private homeserver is another each time, and known once it runs.
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
    let sent = match &caller {
        Caller::Account(account) => {
            let session = account_source::in_account(context, (**account).clone());
            session.send(job, watch).await
        }
        Caller::Server(..) => matricula::send(&context.runner, job, watch).await,
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
        Err(error) => Err(argument_error::explain(context, endpoint, &caller, error)),
    }
}

/// Who calls, and where.
pub(super) enum Caller {
    Account(Box<Account>),
    Server(ServerUrl, Option<Secret>),
}

impl Caller {
    pub(super) fn server(&self) -> &ServerUrl {
        match self {
            Self::Account(account) => &account.server,
            Self::Server(url, _) => url,
        }
    }

    /// The job with the name of the token that it takes. An account's session knows the token; one that
    /// was given is handed to the runner, bound to this server's origin.
    fn authorize(
        &self,
        context: &Context<'_>,
        endpoint: &AnyEndpoint,
        options: &ApiCall,
        job: Job,
    ) -> Job {
        use OperationAuth as Wants;
        match (self, endpoint.operation.auth) {
            // Some servers want a token where the specification does not: who names the account
            // means its token.
            (Self::Account(_), Wants::None) if options.account.is_none() => job,
            // An account's token is not what it takes.
            (Self::Account(_), Wants::AppserviceOptional) => job,
            (Self::Account(account), wants) => {
                let credential = account.credential();
                match wants {
                    Wants::Optional | Wants::None => job.with_auth(Auth::Optional(credential)),
                    _ => job.with_auth(Auth::Required(credential)),
                }
            }
            (Self::Server(_, None), _) => job,
            (Self::Server(url, Some(token)), _) => {
                let credential = CredentialRef::new("given");
                let credentials = context.runner.credentials();
                credentials.insert(credential.clone(), url.clone(), token.clone());
                job.with_auth(Auth::Required(credential))
            }
        }
    }
}

fn caller(
    context: &Context<'_>,
    endpoint: &AnyEndpoint,
    options: &ApiCall,
) -> Result<Caller, CommandError> {
    let operation = &endpoint.operation;
    let called = name(operation);
    if let Some(server) = &options.server {
        let address = context.address(server)?;
        let token = read_secret(options.token_stdin, options.token_file.as_deref(), "token")?;
        return match (operation.auth, &token) {
            (
                OperationAuth::Required | OperationAuth::Appservice | OperationAuth::Homeserver,
                None,
            ) => Err(CommandError::NotSignedIn {
                message: format!("{called} takes {}", token_of(endpoint)),
                next: context.command(&format!(
                    "{} --server {} --token-file FILE",
                    arguments::example(endpoint),
                    shell_word(server)
                )),
            }),
            _ => Ok(Caller::Server(address.url().clone(), token)),
        };
    }
    let is_for_accounts =
        operation.api == Api::Client && operation.auth != OperationAuth::Appservice;
    if !is_for_accounts {
        let what = match operation.api {
            Api::Identity => "it is called on an identity server: name it",
            Api::Appservice => "it is called on an application service: name its address",
            Api::Push => "it is called on a push gateway: name it",
            _ => "it is called by an application service, not by an account: name the homeserver",
        };
        let message = format!("{what} with --server URL");
        return Err(argument_error::usage(context, endpoint, &message));
    }
    let account = account_source::account(context, options.account.as_deref())?;
    if operation.auth == OperationAuth::Required && account.access_token.is_none() {
        return Err(not_signed_in(context, &account));
    }
    Ok(Caller::Account(Box::new(account)))
}

fn token_of(endpoint: &AnyEndpoint) -> &'static str {
    match (endpoint.operation.auth, endpoint.operation.api) {
        (OperationAuth::Homeserver, _) => "the token of the homeserver",
        (OperationAuth::Appservice, _) => "the token of an application service",
        (_, Api::Identity) => "an access token of the identity server",
        _ => "an access token",
    }
}

/// Where a download goes; `None` is standard output.
fn output(
    context: &Context<'_>,
    options: &ApiCall,
    is_download: bool,
) -> Result<Option<PathBuf>, CommandError> {
    match &options.output {
        Some(_) if !is_download => Err(CommandError::Usage(format!(
            "{} downloads no file: leave --output out",
            options.operation
        ))),
        Some(file) => Ok(Some(file.clone())),
        None if !is_download || options.dry_run => Ok(None),
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

/// Prints what would be sent.
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
    context.output.result(&lines.join("\n"), &object);
    context.output.say("nothing was sent");
}

/// The operation's name in an object for programs.
pub(super) fn object(endpoint: &AnyEndpoint) -> Value {
    json!({ "schema_version": 1, "operation": full_name(&endpoint.operation) })
}
