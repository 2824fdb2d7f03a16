//! The private homeserver of an account on this machine.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use matricula::core::ServerUrl;
use matricula_homeserver::{Config, ServerDir, ServerOptions};
use serde_json::{Value, json};

use crate::error::CommandError;

/// A private homeserver that runs in this process or another one. A server of this process stops
/// when this is dropped.
#[derive(Debug)]
pub(crate) struct RunningServer {
    directory: PathBuf,
    server: ServerDir,
}

impl RunningServer {
    pub(crate) fn url(&self) -> &ServerUrl {
        self.server.url()
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn server_name(&self) -> &str {
        self.server.server_name()
    }

    /// Whether it runs in this process.
    pub(crate) fn is_here(&self) -> bool {
        self.server.is_local()
    }

    /// The data that is stored with an account, to find its server again.
    pub(crate) fn data(&self) -> Value {
        json!({ "homeserver": self.directory })
    }

    /// Stops it gracefully.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Opens the server in this directory on a free loopback port; creates it if necessary. If another
/// command uses it, waits for that command.
pub(crate) async fn open_private(directory: &Path) -> Result<RunningServer, CommandError> {
    open(directory, options().publish_address(false)).await
}

/// Opens the server in this directory on this address, for all processes.
pub(crate) async fn open_at(
    directory: &Path,
    address: SocketAddr,
    allow_open_registration: bool,
) -> Result<RunningServer, CommandError> {
    let mut options = options().listen(address);
    if !address.ip().is_loopback() {
        options = options.allow_remote(true);
    }
    if allow_open_registration {
        options = options.allow_open_registration(true);
    }
    open(directory, options).await
}

fn options() -> ServerOptions {
    ServerOptions::new(Config::default().guests(true))
}

async fn open(directory: &Path, options: ServerOptions) -> Result<RunningServer, CommandError> {
    matricula::check_directory(directory)?;
    let server = ServerDir::open(directory, options, tokio::time::sleep).await?;
    Ok(RunningServer {
        directory: directory.to_owned(),
        server,
    })
}

/// The data to store with an account on `url`, if the server in this directory listens there.
pub(crate) fn data_of_running(directory: &Path, url: &ServerUrl) -> Option<Value> {
    let address = std::fs::read_to_string(directory.join("address")).ok()?;
    (address == url.as_str()).then(|| json!({ "homeserver": directory }))
}

/// Opens the server that the data of an account names, if any.
pub(crate) async fn reopen(data: &Value) -> Result<Option<RunningServer>, CommandError> {
    let Some(directory) = data.get("homeserver").and_then(Value::as_str) else {
        return Ok(None);
    };
    let directory = Path::new(directory);
    // A new server would not have the account.
    if !directory.join("config.json").exists() {
        return Err(CommandError::other(format!(
            "the private homeserver of this account is gone from {}; bring the directory back, or \
             register again",
            directory.display()
        )));
    }
    open_private(directory).await.map(Some)
}
