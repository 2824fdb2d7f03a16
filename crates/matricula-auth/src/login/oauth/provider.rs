//! The endpoints and abilities of an OAuth 2.0 server, from its metadata.

use matricula_api::{
    client::oauth_server_metadata::GetAuthMetadataResponse,
    oauth::{AuthorizationPrompt, CodeChallenge, OAuthErrorCode, OAuthErrorResponse},
};
use matricula_core::ServerUrl;
use serde::{Deserialize, Serialize};

use crate::{ServerError, server_address::is_web_page};

/// The endpoints of an OAuth 2.0 server, and what it can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Provider {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) revocation_endpoint: String,
    pub(super) registration_endpoint: String,
    pub(super) device_authorization_endpoint: Option<String>,
    pub(super) account_management_uri: Option<String>,
    /// Whether its page can start with signing up.
    pub(super) can_sign_up: bool,
}

impl Provider {
    /// Reads the metadata that `server` has of its OAuth 2.0 server, if that can be used safely.
    pub(super) fn new(
        server: &ServerUrl,
        metadata: GetAuthMetadataResponse,
    ) -> Result<Self, ServerError> {
        let refuse = |what: String| ServerError::not_matrix(server, what);
        let methods = &metadata.code_challenge_methods_supported;
        if !methods.iter().any(|method| method == CodeChallenge::METHOD) {
            return Err(refuse(
                "its OAuth 2.0 server has no code challenge of S256".into(),
            ));
        }
        let addresses = [
            Some(&metadata.authorization_endpoint),
            Some(&metadata.token_endpoint),
            Some(&metadata.revocation_endpoint),
            Some(&metadata.registration_endpoint),
            metadata.device_authorization_endpoint.as_ref(),
        ];
        for address in addresses.into_iter().flatten() {
            check(server, address).map_err(|what| {
                refuse(format!("its OAuth 2.0 server's address {address:?} {what}"))
            })?;
        }
        let prompts = metadata.prompt_values_supported.unwrap_or_default();
        Ok(Self {
            issuer: metadata.issuer,
            authorization_endpoint: metadata.authorization_endpoint,
            token_endpoint: metadata.token_endpoint,
            revocation_endpoint: metadata.revocation_endpoint,
            registration_endpoint: metadata.registration_endpoint,
            device_authorization_endpoint: metadata.device_authorization_endpoint,
            account_management_uri: metadata
                .account_management_uri
                // It is opened in a browser.
                .filter(|address| is_web_page(address)),
            can_sign_up: prompts
                .iter()
                .any(|prompt| prompt == AuthorizationPrompt::Create.as_str()),
        })
    }
}

fn check(server: &ServerUrl, address: &str) -> Result<(), String> {
    let bare = address.split(['?', '#']).next().unwrap_or_default();
    let url: ServerUrl = bare
        .parse()
        .map_err(|error| format!("is not a valid URL: {error}"))?;
    if !url.is_https() && !url.is_loopback() {
        return Err("is not encrypted".into());
    }
    // A public server must not send requests into the person's own network.
    if url.is_private() && !server.is_private() {
        return Err("is a private one".into());
    }
    Ok(())
}

/// Whether a refusal may pass with time.
pub(super) fn is_transient(refusal: &OAuthErrorResponse) -> bool {
    matches!(
        refusal.code,
        OAuthErrorCode::ServerError | OAuthErrorCode::TemporarilyUnavailable
    ) || refusal.status.is_some_and(|status| status >= 500)
}
