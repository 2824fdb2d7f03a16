//! Signing in with a browser: OAuth 2.0 and single sign-on.

use matricula_core::{Secret, ServerUrl};
use serde::{Deserialize, Serialize};

use super::{Config, is_opaque};

/// An [OAuth 2.0] authorization server on the same port, with pages for signing in and signing up.
///
/// Its page for signing up uses the first of [`Config::flows`](crate::Config::flows) without email
/// address, telephone number and captcha; without such a flow people cannot sign up on it. Access
/// tokens live for [`Config::access_token_lifetime`](crate::Config::access_token_lifetime), or five
/// minutes by default.
///
/// [OAuth 2.0]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OAuth {
    /// Whether `/login` and `/register` stay available.
    pub mode: OAuthMode,
    /// The homeserver that delegates authentication to this one.
    #[serde(default)]
    pub delegation: Option<Delegation>,
}

impl OAuth {
    /// In addition to `/login` and `/register`.
    pub const fn beside() -> Self {
        Self {
            mode: OAuthMode::Beside,
            delegation: None,
        }
    }

    /// Instead of `/login` and `/register`.
    pub const fn instead() -> Self {
        Self {
            mode: OAuthMode::Instead,
            delegation: None,
        }
    }

    /// Sets [`OAuth::delegation`].
    #[must_use]
    pub fn delegation(mut self, delegation: Delegation) -> Self {
        self.delegation = Some(delegation);
        self
    }
}

/// What happens to `/login` and `/register` where OAuth 2.0 is enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OAuthMode {
    /// They stay available.
    Beside,
    /// They respond as on a Synapse that delegates: `/register` is forbidden, `/login` and similar
    /// operations are not recognized.
    Instead,
}

/// A Synapse that delegates to this server, as its `matrix_authentication_service`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// The URL of that Synapse, for provisioning calls. They are not encrypted, so it must be a
    /// loopback address.
    pub homeserver: ServerUrl,
    /// The shared secret with which both authenticate to each other.
    #[serde(with = "matricula_core::secret::exposed")]
    pub secret: Secret,
}

impl Delegation {
    /// A delegation with this shared secret.
    pub fn new(homeserver: ServerUrl, secret: impl Into<Secret>) -> Self {
        let secret = secret.into();
        Self { homeserver, secret }
    }
}

/// [Single sign-on]: `m.login.sso`, on a page of this server that plays the identity provider.
///
/// [Single sign-on]: https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Sso {
    /// Asks clients that support OAuth 2.0 to offer only this flow (`oauth_aware_preferred`).
    pub preferred: bool,
    /// The identity providers. All lead to the same page.
    pub providers: Vec<IdentityProvider>,
    /// Schemes of clients, such as `element`, that the browser may be redirected to in addition to
    /// `http`, `https` and schemes with a dot, such as `com.example.app`.
    pub redirect_schemes: Vec<String>,
}

impl Sso {
    /// Sets [`Sso::preferred`].
    #[must_use]
    pub fn preferred(mut self, preferred: bool) -> Self {
        self.preferred = preferred;
        self
    }

    /// Adds to [`Sso::providers`].
    #[must_use]
    pub fn provider(mut self, id: impl Into<String>, name: impl Into<String>) -> Self {
        let (id, name) = (id.into(), name.into());
        self.providers.push(IdentityProvider { id, name });
        self
    }

    /// Adds to [`Sso::redirect_schemes`].
    #[must_use]
    pub fn redirect_scheme(mut self, scheme: impl Into<String>) -> Self {
        self.redirect_schemes.push(scheme.into());
        self
    }
}

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// The id: 1 to 255 of the characters `A-Z a-z 0-9 . _ ~ -`.
    pub id: String,
    /// The name for people.
    pub name: String,
}

impl IdentityProvider {
    pub(super) fn is_complete(&self) -> bool {
        is_opaque(&self.id, 255) && !self.name.is_empty()
    }
}

impl Config {
    /// The homeserver that delegates authentication to this one, if any.
    pub(crate) fn delegation(&self) -> Option<&Delegation> {
        self.oauth.as_ref()?.delegation.as_ref()
    }
}
