//! The registration of this client with an OAuth 2.0 server: made once, and stored for each server.

use matricula_api::oauth::{ApplicationType, ClientMetadata, ClientRegistration, GrantType};
use matricula_core::{Secret, ServerUrl, Timestamp, WriteBatch, secret::exposed};
use serde::{Deserialize, Serialize};

use super::provider::Provider;
use crate::{OAuthLoginError, account::tables, conversation::to_json};

/// A registered client of an OAuth 2.0 server. Stored in [`tables::OAUTH_CLIENTS`]; give it to the next
/// [`OAuthLogin`](crate::OAuthLogin) at the same server.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#client-registration>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OAuthClient {
    /// The server.
    pub issuer: String,
    /// Its client id there.
    pub client_id: String,
    /// The client secret. Some servers issue one without being asked.
    #[serde(with = "exposed", default)]
    pub client_secret: Option<Secret>,
    /// When the secret expires.
    pub secret_expires_at: Option<Timestamp>,
    /// The metadata that it was registered with.
    pub metadata: ClientMetadata,
}

impl OAuthClient {
    /// Reads back a stored client.
    ///
    /// # Errors
    /// If the text was not written by [`OAuthClient`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    pub(super) fn new(
        provider: &Provider,
        metadata: ClientMetadata,
        response: ClientRegistration,
    ) -> Self {
        let ends = response.client_secret_expires_at.filter(|ends| *ends != 0);
        Self {
            issuer: provider.issuer.clone(),
            client_id: response.client_id,
            client_secret: response.client_secret.filter(|secret| !secret.is_empty()),
            secret_expires_at: ends.map(|ends| Timestamp::from_millis(ends.saturating_mul(1000))),
            metadata,
        }
    }

    /// Whether it can be used where this metadata is wanted.
    pub(super) fn fits(&self, now: Timestamp, issuer: &str, wanted: &ClientMetadata) -> bool {
        let holds = |known: &Option<Vec<_>>, wanted: &Option<Vec<_>>| {
            let known = known.as_deref().unwrap_or_default();
            let wanted = wanted.as_deref().unwrap_or_default();
            wanted.iter().all(|one| known.contains(one))
        };
        let (known, names) = (&self.metadata, |grants: &Option<Vec<GrantType>>| {
            let grants = grants.iter().flatten();
            Some(grants.map(|grant| grant.as_str().to_owned()).collect())
        });
        self.issuer == issuer
            && self.secret_expires_at.is_none_or(|ends| now < ends)
            && known.client_uri == wanted.client_uri
            && holds(&known.redirect_uris, &wanted.redirect_uris)
            && holds(&names(&known.grant_types), &names(&wanted.grant_types))
    }

    /// Adds this client to what is to be stored.
    pub(super) fn write_to(&self, writes: &mut WriteBatch) {
        writes.put(tables::OAUTH_CLIENTS, self.issuer.clone(), to_json(self));
    }
}

/// The metadata of a client with this redirect URI.
pub(super) fn browser(
    about: &ClientMetadata,
    redirect_uri: &str,
    has_codes: bool,
) -> Result<ClientMetadata, OAuthLoginError> {
    let (kind, registered) =
        redirect(redirect_uri).ok_or_else(|| OAuthLoginError::RedirectAddress {
            address: redirect_uri.to_owned(),
        })?;
    let mut grants = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
    if has_codes && kind == ApplicationType::Native {
        // So that one client serves both grants.
        grants.push(GrantType::DeviceCode);
    }
    Ok(about
        .clone()
        .application_type(kind)
        .redirect_uris(vec![registered])
        .response_types(vec!["code".to_owned()])
        .grant_types(grants)
        .token_endpoint_auth_method("none"))
}

/// The metadata of a client that uses device codes.
pub(super) fn device(about: &ClientMetadata) -> ClientMetadata {
    about
        .clone()
        .application_type(ApplicationType::Native)
        .grant_types(vec![GrantType::DeviceCode, GrantType::RefreshToken])
        .token_endpoint_auth_method("none")
}

/// Whether a server that has registered one of the addresses accepts the other.
pub(super) fn is_same_redirect(one: &str, other: &str) -> bool {
    one == other || redirect(one).is_some_and(|one| Some(one) == redirect(other))
}

/// The address as it is registered: a loopback address without its port, which differs each time.
fn redirect(address: &str) -> Option<(ApplicationType, String)> {
    let (scheme, rest) = address.split_once(':')?;
    if address.contains('#') || rest.is_empty() {
        return None;
    }
    match scheme {
        "https" => Some((ApplicationType::Web, address.to_owned())),
        "http" => {
            let bare = address.split('?').next().unwrap_or_default();
            let url: ServerUrl = bare.parse().ok()?;
            let rest = rest.strip_prefix("//")?;
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = match authority.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
                _ => authority,
            };
            let registered = format!("http://{host}{path}");
            url.is_loopback()
                .then_some((ApplicationType::Native, registered))
        }
        // A private-use scheme is a reversed domain name.
        own if own.contains('.') => Some((ApplicationType::Native, address.to_owned())),
        _ => None,
    }
}
