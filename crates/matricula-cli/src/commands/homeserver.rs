//! `matricula homeserver`: runs the embedded homeserver until it is stopped.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;

use super::Context;
use crate::{args, error::CommandError, private_server, stdout};

pub(crate) async fn run(
    context: &Context<'_>,
    options: args::Homeserver,
) -> Result<(), CommandError> {
    let directory = match options.directory {
        Some(directory) => std::path::absolute(directory)?,
        None => context.home.private_homeserver(),
    };
    let (ip, port) = match options.listen {
        Some(listen) => (listen.ip, listen.port),
        None => (IpAddr::V4(Ipv4Addr::LOCALHOST), None),
    };
    if port.is_some() && options.port != 0 {
        let text = "the port is named twice: leave --port out, or the port in --listen";
        return Err(CommandError::Usage(text.into()));
    }
    let address = (ip, port.unwrap_or(options.port)).into();
    let opened =
        private_server::open_at(&directory, address, options.allow_open_registration).await?;
    if !opened.is_here() {
        let url = opened.url();
        return Err(CommandError::other(format!(
            "this homeserver is running already, at {url}; use it there, or stop it first"
        )));
    }
    context.output.warn(
        "this homeserver is for development, tests and offline use: no other server can reach it",
    );
    context.output.say(&format!(
        "its data is in {}; stop it with Ctrl-C",
        directory.display()
    ));
    context.output.result(
        &format!("listening at {}", opened.url()),
        &json!({
            "schema_version": 1,
            "url": opened.url(),
            "server_name": opened.server_name(),
            "directory": directory,
        }),
    );
    // Without its address, the server would be of no use.
    stdout::check()?;
    context
        .output
        .next(&context.command(&format!("register {}", opened.url())));
    stop_signal().await?;
    context.output.say("stopping");
    opened.stop().await;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn stop_signal() -> Result<(), CommandError> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}
