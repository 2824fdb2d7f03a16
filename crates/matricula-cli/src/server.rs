//! The private homeserver behind an account on this machine.

use std::path::{Path, PathBuf};

use matricula::job::ServerUrl;
use serde_json::{Value, json};

use crate::failure::Failure;

/// A private homeserver that can be reached: started here, or found running.
#[derive(Debug)]
pub(crate) struct Opened {
    directory: PathBuf,
    url: ServerUrl,
}

impl Opened {
    pub(crate) fn url(&self) -> &ServerUrl {
        &self.url
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is kept with an account so that its server is found again.
    pub(crate) fn data(&self) -> Value {
        json!({ "homeserver": self.directory })
    }
}

pub(crate) async fn open_private(_directory: &Path) -> Result<Opened, Failure> {
    Err(Failure::other("not yet"))
}

/// Opens the server that an account's data names, if it names one.
pub(crate) async fn reopen(data: &Value) -> Result<Option<Opened>, Failure> {
    match data.get("homeserver").and_then(Value::as_str) {
        Some(directory) => Ok(Some(open_private(Path::new(directory)).await?)),
        None => Ok(None),
    }
}
