//! The endpoints and abilities of an OAuth 2.0 server, from its metadata.

use matricula_api::{
    ApiError, ErrorCode,
    client::oauth_server_metadata::GetAuthMetadataResponse,
    oauth::{AuthorizationPrompt, CodeChallenge, OAuthErrorCode, OAuthErrorResponse},
};
use matricula_core::{Job, Method, Response, ServerUrl};
use serde::{Deserialize, Serialize};

use super::client::OAuthClient;
use crate::{OAuthLoginError, OAuthOffer, OAuthSession, ServerError};

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
    /// The actions of the page for account management.
    #[serde(default)]
    pub(super) account_actions: Vec<String>,
    /// Whether its page can start with signing up.
    pub(super) can_sign_up: bool,
    /// Whether it does not let the public sign up.
    #[serde(default)]
    pub(super) is_sign_up_closed: bool,
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
            &metadata.authorization_endpoint,
            &metadata.token_endpoint,
            &metadata.revocation_endpoint,
            &metadata.registration_endpoint,
        ];
        for address in addresses {
            check(server, address).map_err(|what| {
                refuse(format!("its OAuth 2.0 server's address {address:?} {what}"))
            })?;
        }
        let offer = OAuthOffer::of(&metadata);
        // A login in a browser does not need it.
        let device = metadata.device_authorization_endpoint;
        let device = device.filter(|address| check(server, address).is_ok());
        Ok(Self {
            issuer: metadata.issuer,
            authorization_endpoint: metadata.authorization_endpoint,
            token_endpoint: metadata.token_endpoint,
            revocation_endpoint: metadata.revocation_endpoint,
            registration_endpoint: metadata.registration_endpoint,
            device_authorization_endpoint: device,
            can_sign_up: offer.can_sign_up(),
            is_sign_up_closed: offer.is_sign_up_closed(),
            account_management_uri: offer.account_management,
            account_actions: offer.account_actions,
        })
    }

    /// The session that it gives to this client.
    pub(super) fn session(&self, client: &OAuthClient) -> OAuthSession {
        OAuthSession {
            issuer: self.issuer.clone(),
            client_id: client.client_id.clone(),
            client_secret: client.client_secret.clone(),
            token_endpoint: self.token_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            account_management_uri: self.account_management_uri.clone(),
            account_actions: Some(self.account_actions.clone()),
        }
    }

    /// The request for the metadata that the OAuth 2.0 server itself has: the homeserver's copy may be
    /// old. `None` if its address is not safe.
    pub(super) fn own_metadata(&self, server: &ServerUrl) -> Option<Job> {
        check(server, &self.issuer).ok()?;
        let issuer: ServerUrl = self.issuer.parse().ok()?;
        let path = "/.well-known/openid-configuration";
        Some(Job::new(&issuer, path, Method::Get, "oauthIssuerMetadata"))
    }

    /// Takes what that metadata says about signing up, if it says something.
    pub(super) fn read_own_metadata(&mut self, response: &Response) {
        let body = response.json_body().filter(|_| response.success());
        let body = body.filter(|body| body["issuer"] == self.issuer);
        let prompts = body
            .as_ref()
            .and_then(|body| body["prompt_values_supported"].as_array());
        let Some(prompts) = prompts.filter(|prompts| !prompts.is_empty()) else {
            return;
        };
        let create = AuthorizationPrompt::Create;
        self.can_sign_up = prompts.iter().any(|prompt| *prompt == create.as_str());
        self.is_sign_up_closed = !self.can_sign_up;
    }
}

/// Why a homeserver gives no metadata.
pub(super) fn metadata_error(server: &ServerUrl, status: u16, error: ApiError) -> OAuthLoginError {
    let is_unrecognized = match &error {
        ApiError::Matrix(error) => error.code == ErrorCode::Unrecognized,
        _ => false,
    };
    if is_unrecognized || matches!(status, 404 | 405 | 501) {
        let server = server.clone();
        return OAuthLoginError::NoOAuth { server };
    }
    match status {
        // The homeserver could not ask its OAuth 2.0 server.
        500.. => ServerError::unknown_oauth_unavailable(server, error).into(),
        _ => ServerError::from_api(server, error).into(),
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
