//! What opens the server for a run: an administrator's account, or a secret from a file.

use matricula::{
    Session,
    auth::{Discovery, PasswordPolicy, ServerAddress, ServerInfo},
    bulk::{About, AdminCredentials, NewRow, Route, RowError, row_errors},
    core::scheduler::SchedulerConfig,
    drive,
    runner::Runner,
};

use super::super::{Context, read_secret, session};
use crate::{args::Register, error::CommandError, private_server, terminal::Terminal};

/// A server that is open for a run.
pub(super) struct Opened {
    pub(super) access: AdminCredentials,
    /// The administrator's.
    pub(super) session: Option<Session>,
    pub(super) policy: Option<PasswordPolicy>,
    /// A private homeserver runs as long as this is there.
    _server: Option<private_server::RunningServer>,
}

impl Opened {
    /// The part of user ids after the colon, where it is known.
    pub(super) fn server_name(&self) -> Option<String> {
        let session = self.session.as_ref()?;
        Some(session.account().user_id.server_name().to_owned())
    }

    pub(super) fn faults(&self, rows: &[NewRow]) -> Vec<RowError> {
        row_errors(rows, self.access.route(), self.policy.as_ref())
    }

    /// What carries the requests. A server's pace may hold a run up for long.
    pub(super) fn runner(&self, context: &Context<'_>) -> Runner {
        let mut limits = SchedulerConfig::default();
        limits.max_rate_limit_wait = SchedulerConfig::patient().max_rate_limit_wait;
        context.runner.clone().with_limits(limits)
    }
}

/// Opens the server that the options name, or the one that the run is about.
pub(super) async fn open(
    context: &Context<'_>,
    options: &Register,
    about: Option<&About>,
) -> Result<Opened, CommandError> {
    let route = match (about, options.bulk.route) {
        (Some(about), Some(other)) if about.route != other => {
            let what = format!(
                "the run goes by the route {}, and cannot change it",
                about.route
            );
            return Err(CommandError::Usage(what));
        }
        (Some(about), _) => about.route,
        (None, Some(route)) => route,
        (None, None) => Route::Admin,
    };
    if route == Route::Admin {
        return as_administrator(context, options, about).await;
    }
    let address = match (about, &options.server) {
        (Some(about), _) => ServerAddress::Url(about.server.clone()),
        (None, Some(server)) => context.address(server)?,
        (None, None) => {
            let what =
                format!("the route {route} needs a server: matricula register SERVER --from …");
            return Err(CommandError::Usage(what));
        }
    };
    let secret = |file, what, option: &str| {
        let missing = || CommandError::Usage(format!("the route {route} needs {option} FILE"));
        read_secret(false, file, what)?.ok_or_else(missing)
    };
    let service = options.appservice_token_file.as_deref();
    let shared = options.bulk.shared_secret_file.as_deref();
    let token = match route {
        Route::Token => secret(
            options.token_file.as_deref(),
            "registration token",
            "--token-file",
        ),
        Route::SharedSecret => secret(shared, "shared secret", "--shared-secret-file"),
        _ => secret(
            service,
            "application service's token",
            "--appservice-token-file",
        ),
    }?;
    let facts = Box::new(discover(context, address).await?);
    let policy = facts.password_policy.clone();
    let access = match route {
        Route::Token => AdminCredentials::Token {
            facts,
            token,
            accept_terms: options.accept_terms,
        },
        Route::SharedSecret => AdminCredentials::SharedSecret {
            facts,
            secret: token,
        },
        _ => AdminCredentials::Appservice { facts, token },
    };
    Ok(Opened {
        access,
        session: None,
        policy,
        _server: None,
    })
}

/// The account of an administrator.
pub(super) async fn administrator(
    context: &Context<'_>,
    options: &Register,
) -> Result<Opened, CommandError> {
    as_administrator(context, options, None).await
}

async fn as_administrator(
    context: &Context<'_>,
    options: &Register,
    about: Option<&About>,
) -> Result<Opened, CommandError> {
    let (session, server) = session::open(context, options.account.as_deref()).await?;
    let account = session.account();
    let name = account.user_id.server_name();
    if let Some(server) = &options.server
        && server != name
        && context.address(server)?.url() != &account.server
    {
        let what = format!(
            "users of {server} are not made by {}, whose server is {name}; name an administrator \
             there with --account, or take another --route",
            account.user_id
        );
        return Err(CommandError::Usage(what));
    }
    if let Some(about) = about.and_then(|about| about.server_name.as_deref())
        && about != name
    {
        let what = format!("the run is on {about}; name an administrator there with --account");
        return Err(CommandError::Usage(what));
    }
    let facts = discover(context, ServerAddress::Url(account.server.clone())).await?;
    Ok(Opened {
        access: AdminCredentials::Admin(Box::new(account)),
        session: Some(session),
        policy: facts.password_policy,
        _server: server,
    })
}

async fn discover(
    context: &Context<'_>,
    address: ServerAddress,
) -> Result<ServerInfo, CommandError> {
    let mut discovery = Discovery::new(address).with_password_policy();
    let mut terminal = Terminal::new(context.output, true);
    let mut accounts = context.home.accounts();
    Ok(drive(
        &mut discovery,
        &context.runner,
        &mut accounts,
        &mut terminal,
    )
    .await?)
}
