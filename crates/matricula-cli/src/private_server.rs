//! The private homeserver behind an account on this machine.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use matricula::core::ServerUrl;
use matricula_homeserver::{Config, ServerDir, ServerOptions};
use serde_json::{Value, json};

use crate::error::CommandError;

/// A private homeserver that can be reached: started here, or found running. One that was started
/// here stops when this is dropped.
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

    /// What is kept with an account so that its server is found again.
    pub(crate) fn data(&self) -> Value {
        json!({ "homeserver": self.directory })
    }

    /// Lets it finish what it is doing.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Opens the server in this directory on a free loopback port, making it if there is none. Where
/// another command is using it, that one is waited for.
pub(crate) async fn open_private(directory: &Path) -> Result<RunningServer, CommandError> {
    open(directory, options().publish_address(false)).await
}

/// Opens the server in this directory where it is told to listen, for every process to use.
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
    let server = ServerDir::open(directory, options, tokio::time::sleep).await?;
    Ok(RunningServer {
        directory: directory.to_owned(),
        server,
    })
}

/// What is kept with an account on `url`, if that is where the server in this directory listens.
pub(crate) fn data_of_running(directory: &Path, url: &ServerUrl) -> Option<Value> {
    let address = std::fs::read_to_string(directory.join("address")).ok()?;
    (address == url.as_str()).then(|| json!({ "homeserver": directory }))
}

/// Opens the server that an account's data names, if it names one.
pub(crate) async fn reopen(data: &Value) -> Result<Option<RunningServer>, CommandError> {
    let Some(directory) = data.get("homeserver").and_then(Value::as_str) else {
        return Ok(None);
    };
    let directory = Path::new(directory);
    // A new server in its place would know nothing of the account.
    if !directory.join("config.json").exists() {
        return Err(CommandError::other(format!(
            "the private homeserver of this account is gone from {}; bring the directory back, or \
             register anew",
            directory.display()
        )));
    }
    open_private(directory).await.map(Some)
}
