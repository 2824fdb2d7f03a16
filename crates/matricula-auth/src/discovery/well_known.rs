//! The well-known document of a server name, and what the specification says to do with it.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#well-known-uris>.

use matricula_api::{Endpoint, client::wellknown::GetWellknown};
use matricula_core::{Response, ServerUrl};
use serde::{Deserialize, Serialize};

/// How the address of a server was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[non_exhaustive]
pub enum WellKnown {
    /// The address was given.
    #[default]
    NotAsked,
    /// The well-known document names it.
    Found,
    /// There is no document (the specification's `IGNORE`): the name itself is used.
    Missing,
    /// The document is missing or invalid (`FAIL_PROMPT`): the person gave the address.
    GivenInstead {
        /// What was wrong.
        why: String,
    },
}

/// The result of a lookup, in the specification's terms.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// The document names these servers.
    Use(Document),
    /// `IGNORE`: there is no document.
    Ignore,
    /// `FAIL_PROMPT`: report the failure, and ask the person.
    FailPrompt(String),
    /// `FAIL_ERROR`: the document names a server that cannot be used. The discovery ends.
    FailError(String),
}

/// The servers of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) homeserver: ServerUrl,
    pub(super) identity_server: Option<ServerUrl>,
}

/// Reads the response of the server with this name.
pub(super) fn read(name: &ServerUrl, response: &Response) -> Lookup {
    match response.status_code() {
        404 => return Lookup::Ignore,
        200 => {}
        status => {
            return Lookup::FailPrompt(format!("its document cannot be read: status {status}"));
        }
    }
    let document = match GetWellknown::read(response) {
        Ok(document) => document,
        Err(error) => return Lookup::FailPrompt(error.to_string()),
    };
    let homeserver = match usable(name, &document.homeserver.base_url) {
        Ok(server) => server,
        Err(why) => return Lookup::FailError(why),
    };
    // The specification ends the discovery if the identity server cannot be used. Here nothing needs one.
    let identity_server = document.identity_server;
    let identity_server = identity_server.and_then(|named| usable(name, &named.base_url).ok());
    Lookup::Use(Document {
        homeserver,
        identity_server,
    })
}

fn usable(name: &ServerUrl, base_url: &str) -> Result<ServerUrl, String> {
    let server: ServerUrl = base_url.parse().map_err(|error| format!("{error}"))?;
    if !server.is_https() {
        return Err(format!(
            "its document leads to {server}, which is not encrypted"
        ));
    }
    // A public name must not send requests into the person's own network.
    if server.is_private() && !name.is_private() {
        return Err(format!("its document leads to {server}, a private address"));
    }
    Ok(server)
}
