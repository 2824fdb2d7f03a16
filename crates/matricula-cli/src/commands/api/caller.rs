//! Who calls an operation: an account, or anyone with the address of a server.

use matricula::{
    Account,
    core::{Api, Auth, CredentialRef, Job, OperationAuth, Secret, ServerUrl},
};
use matricula_api::server::AnyEndpoint;

use super::{arguments, name, usage};
use crate::{
    args::ApiCall,
    commands::{Context, account_source, read_secret},
    error::CommandError,
    shell::shell_word,
};

/// The caller and its server.
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

    /// The job with its credential. The session of an account has the token; a token from the
    /// options goes to the runner, bound to the origin of the server.
    pub(super) fn authorize(
        &self,
        context: &Context<'_>,
        endpoint: &AnyEndpoint,
        options: &ApiCall,
        job: Job,
    ) -> Job {
        use OperationAuth as Wants;
        match (self, endpoint.operation.auth) {
            // Some servers require a token where the specification does not: it is sent if the
            // account was named.
            (Self::Account(_), Wants::None) if options.account.is_none() => job,
            // The operation takes only the token of an application service.
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

    /// The caller that the options choose: an account, or a server and a token.
    pub(super) fn chosen(
        context: &Context<'_>,
        endpoint: &AnyEndpoint,
        options: &ApiCall,
    ) -> Result<Self, CommandError> {
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
                _ => Ok(Self::Server(address.url().clone(), token)),
            };
        }
        let is_for_accounts =
            operation.api == Api::Client && operation.auth != OperationAuth::Appservice;
        if !is_for_accounts {
            let what = match operation.api {
                Api::Identity => "it is called on an identity server: name it",
                Api::Appservice => "it is called on an application service: name its address",
                Api::Push => "it is called on a push gateway: name it",
                _ => {
                    "it is called by an application service, not by an account: name the homeserver"
                }
            };
            let message = format!("{what} with --server URL");
            return Err(usage(context, endpoint, &message));
        }
        let account = account_source::account(context, options.account.as_deref())?;
        if operation.auth == OperationAuth::Required && account.access_token.is_none() {
            return Err(account_source::not_signed_in(context, &account));
        }
        Ok(Self::Account(Box::new(account)))
    }
}

fn token_of(endpoint: &AnyEndpoint) -> &'static str {
    match (endpoint.operation.auth, endpoint.operation.api) {
        (OperationAuth::Homeserver, _) => "the token of the homeserver",
        (OperationAuth::Appservice, _) => "the token of an application service",
        (_, Api::Identity) => "an access token of the identity server",
        _ => "an access token",
    }
}
