//! The server of a run, with the credentials to create accounts there.

use matricula::{
    Session,
    auth::{Discovery, PasswordPolicy, ServerAddress, ServerInfo, is_same_server},
    bulk::{AdminCredentials, NewRow, Route, RowError, RunInfo, check_rows},
    core::{Secret, scheduler::SchedulerConfig},
    runner::Runner,
};

use super::super::{Context, account_source, read_secret};
use crate::{
    args::Register, error::CommandError, private_server::RunningServer, terminal::Terminal,
};

/// A server where a run can create accounts.
pub(super) struct OpenServer {
    pub(super) credentials: AdminCredentials,
    /// The administrator's session, by the route `admin`.
    pub(super) session: Option<Session>,
    pub(super) password_policy: Option<PasswordPolicy>,
    /// Keeps a private homeserver running.
    _running: Option<RunningServer>,
}

impl OpenServer {
    /// The part of user ids after the colon, if it is known.
    pub(super) fn server_name(&self) -> Option<String> {
        let session = self.session.as_ref()?;
        Some(session.account().user_id.server_name().to_owned())
    }

    pub(super) fn check_rows(&self, rows: &[NewRow]) -> Vec<RowError> {
        check_rows(
            rows,
            self.credentials.route(),
            self.password_policy.as_ref(),
        )
    }

    /// The runner of a run: it waits longer for rate limits than that of other commands.
    pub(super) fn runner(&self, context: &Context<'_>) -> Result<Runner, CommandError> {
        let mut config = SchedulerConfig::default();
        config.max_rate_limit_wait = SchedulerConfig::patient().max_rate_limit_wait;
        Ok(context.runner.to_builder().scheduler(config).build()?)
    }
}

/// Opens the server of the options, or of the run that is resumed.
pub(super) async fn open_server(
    context: &Context<'_>,
    options: &Register,
    info: Option<&RunInfo>,
) -> Result<OpenServer, CommandError> {
    let route = match (info, options.bulk.route) {
        (Some(info), Some(other)) if info.route != other => {
            let text = format!(
                "the run uses the route {}, which cannot be changed",
                info.route
            );
            return Err(CommandError::Usage(text));
        }
        (Some(info), _) => info.route,
        (None, route) => route.unwrap_or(Route::Admin),
    };
    if route == Route::Admin {
        return open_as_administrator(context, options, info).await;
    }
    let address = match (info, &options.server) {
        (Some(info), _) => ServerAddress::Url(info.server.clone()),
        (None, Some(server)) => context.address(server)?,
        (None, None) => {
            let text =
                format!("the route {route} needs a server: matricula register SERVER --from …");
            return Err(CommandError::Usage(text));
        }
    };
    let secret = route_secret(options, route)?;
    let server = Box::new(discover(context, address).await?);
    let password_policy = server.password_policy.clone();
    let credentials = match route {
        Route::Token => AdminCredentials::Token {
            server,
            token: secret,
            accept_terms: options.accept_terms,
        },
        Route::SharedSecret => AdminCredentials::SharedSecret { server, secret },
        _ => AdminCredentials::Appservice {
            server,
            token: secret,
        },
    };
    Ok(OpenServer {
        credentials,
        session: None,
        password_policy,
        _running: None,
    })
}

/// The secret or token of a route, from its file.
fn route_secret(options: &Register, route: Route) -> Result<Secret, CommandError> {
    let (file, what, option) = match route {
        Route::Token => (&options.token_file, "registration token", "--token-file"),
        Route::SharedSecret => (
            &options.bulk.shared_secret_file,
            "shared secret",
            "--shared-secret-file",
        ),
        _ => (
            &options.appservice_token_file,
            "application service's token",
            "--appservice-token-file",
        ),
    };
    let missing = || CommandError::Usage(format!("the route {route} needs {option} FILE"));
    read_secret(false, file.as_deref(), what)?.ok_or_else(missing)
}

/// Opens the server of the administrator's account.
pub(super) async fn open_as_administrator(
    context: &Context<'_>,
    options: &Register,
    info: Option<&RunInfo>,
) -> Result<OpenServer, CommandError> {
    let (session, running) = account_source::open(context, options.account.as_deref()).await?;
    let account = session.account();
    let server_name = account.user_id.server_name();
    if let Some(server) = &options.server
        && !is_same_server(server, server_name)
        && context.address(server)?.url() != &account.server
    {
        let text = format!(
            "{} is an administrator of {server_name}, and cannot create users of {server}; name an \
             administrator there with --account, or use another --route",
            account.user_id
        );
        return Err(CommandError::Usage(text));
    }
    if let Some(expected) = info.and_then(|info| info.server_name.as_deref())
        && expected != server_name
    {
        let text = format!("the run is on {expected}; name an administrator there with --account");
        return Err(CommandError::Usage(text));
    }
    let server = discover(context, ServerAddress::Url(account.server.clone())).await?;
    Ok(OpenServer {
        credentials: AdminCredentials::Admin(Box::new(account)),
        session: Some(session),
        password_policy: server.password_policy,
        _running: running,
    })
}

async fn discover(
    context: &Context<'_>,
    address: ServerAddress,
) -> Result<ServerInfo, CommandError> {
    let mut discovery = Discovery::new(address).password_policy(true);
    let terminal = Terminal::new(context.output, true);
    Ok(context.drive(&mut discovery, &terminal).await?)
}
