//! How this program is known to an OAuth 2.0 server: introduced once, kept for each server.

use matricula_api::oauth::{ApplicationType, ClientMetadata, ClientRegistration, GrantType};
use matricula_core::{Secret, ServerUrl, Timestamp, WriteBatch, secret::exposed};
use serde::{Deserialize, Serialize};

use super::provider::Provider;
use crate::{AuthError, account::tables};

/// What an OAuth 2.0 server named this program. Kept in [`tables::OAUTH_CLIENTS`], and to be given
/// to the next [`OAuthLogin`](crate::OAuthLogin) at the same server.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#client-registration>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OAuthClient {
    /// The server that named it.
    pub issuer: String,
    /// Its name there.
    pub client_id: String,
    /// The secret that some servers give even to who asked for none.
    #[serde(with = "exposed", default)]
    pub client_secret: Option<Secret>,
    /// When the secret ends.
    pub secret_expires_at: Option<Timestamp>,
    /// What the program said of itself.
    pub metadata: ClientMetadata,
}

impl OAuthClient {
    /// Reads a client back that was stored.
    ///
    /// # Errors
    /// Where the text was not written here.
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    pub(super) fn named(
        provider: &Provider,
        metadata: ClientMetadata,
        answer: ClientRegistration,
    ) -> Self {
        let ends = answer.client_secret_expires_at.filter(|ends| *ends != 0);
        Self {
            issuer: provider.issuer.clone(),
            client_id: answer.client_id,
            client_secret: answer.client_secret,
            secret_expires_at: ends.map(|ends| Timestamp::from_millis(ends.saturating_mul(1000))),
            metadata,
        }
    }

    /// Whether it will do where `wanted` would be said today.
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

    pub(super) fn put_into(&self, patch: &mut WriteBatch) {
        // Texts and numbers: this always has a JSON form.
        let json = serde_json::to_vec(self).unwrap_or_default();
        patch.put(tables::OAUTH_CLIENTS, self.issuer.clone(), json);
    }
}

/// What is said of a client that a browser is to lead back to `redirect_uri`.
pub(super) fn browser(
    about: &ClientMetadata,
    redirect_uri: &str,
    has_codes: bool,
) -> Result<ClientMetadata, AuthError> {
    let (kind, registered) = redirect(redirect_uri).ok_or_else(|| AuthError::RedirectAddress {
        address: redirect_uri.to_owned(),
    })?;
    let mut grants = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
    if has_codes && kind == ApplicationType::Native {
        // So that one client does for both ways.
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

/// What is said of a client that is let in from another device.
pub(super) fn device(about: &ClientMetadata) -> ClientMetadata {
    about
        .clone()
        .application_type(ApplicationType::Native)
        .grant_types(vec![GrantType::DeviceCode, GrantType::RefreshToken])
        .token_endpoint_auth_method("none")
}

/// Whether both are one address to a server that registers it.
pub(super) fn is_same_redirect(one: &str, other: &str) -> bool {
    one == other || redirect(one).is_some_and(|one| Some(one) == redirect(other))
}

/// The address as it is registered: on loopback without the port, which is another each time.
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
        // A scheme of the program's own is a domain name backwards.
        own if own.contains('.') => Some((ApplicationType::Native, address.to_owned())),
        _ => None,
    }
}
