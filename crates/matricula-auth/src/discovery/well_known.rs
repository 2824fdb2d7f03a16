//! What the well-known document of a server name says, and what the specification says to do then.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#well-known-uris>.

use matricula_api::{Endpoint, client::wellknown::GetWellknown};
use matricula_core::{Response, ServerUrl};
use serde::{Deserialize, Serialize};

/// How the address of a server was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[non_exhaustive]
pub enum WellKnown {
    /// It was given.
    #[default]
    NotAsked,
    /// The document of the server's name leads there.
    Found,
    /// There is no document (`IGNORE` in the specification's terms): the name itself was taken.
    Missing,
    /// There is none, or one that is no good (`FAIL_PROMPT`): the person gave the address.
    GivenInstead {
        /// What was wrong.
        why: String,
    },
}

/// What the specification says to do with the answer to a look-up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It names these servers.
    Use(Document),
    /// `IGNORE`: look in another way.
    Ignore,
    /// `FAIL_PROMPT`: say that it failed, and ask the person.
    FailPrompt(String),
    /// `FAIL_ERROR`: there is a document, and no server that it leads to can be used. Nobody guesses
    /// further.
    FailError(String),
}

/// What the document says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) homeserver: ServerUrl,
    pub(super) identity_server: Option<ServerUrl>,
}

/// Reads the answer that the server of this name gave.
pub(super) fn read(name: &ServerUrl, response: &Response) -> Verdict {
    match response.status_code() {
        404 => return Verdict::Ignore,
        200 => {}
        status => {
            return Verdict::FailPrompt(format!("its document cannot be read: status {status}"));
        }
    }
    let document = match GetWellknown::read(response) {
        Ok(document) => document,
        Err(error) => return Verdict::FailPrompt(error.to_string()),
    };
    let homeserver = match usable(name, &document.homeserver.base_url) {
        Ok(server) => server,
        Err(why) => return Verdict::FailError(why),
    };
    let identity_server = document.identity_server;
    match identity_server.map(|named| usable(name, &named.base_url)) {
        None => Verdict::Use(Document {
            homeserver,
            identity_server: None,
        }),
        Some(Ok(identity_server)) => Verdict::Use(Document {
            homeserver,
            identity_server: Some(identity_server),
        }),
        Some(Err(why)) => Verdict::FailError(format!("of its identity server, {why}")),
    }
}

fn usable(name: &ServerUrl, base_url: &str) -> Result<ServerUrl, String> {
    let server: ServerUrl = base_url.parse().map_err(|error| format!("{error}"))?;
    if !server.is_https() {
        return Err(format!(
            "its document leads to {server}, which is not encrypted"
        ));
    }
    // A public name must not send anyone into their own network.
    if server.is_private() && !name.is_private() {
        return Err(format!("its document leads to {server}, a private address"));
    }
    Ok(server)
}
