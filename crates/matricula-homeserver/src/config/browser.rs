//! How people come in through a browser: OAuth 2.0 and single sign-on.

use matricula_core::{Secret, ServerUrl};
use serde::{Deserialize, Serialize};

use super::is_opaque;

/// An [OAuth 2.0] authorization server on the same port, with pages to sign in and up on.
///
/// It asks who signs up what [`Config::flows`](crate::Config::flows) ask: a registration token, the
/// terms. Of several it takes the first without an email address, telephone number or captcha; where
/// each has one of those, nobody signs up here. Access tokens live for
/// [`Config::access_token_lifetime`](crate::Config::access_token_lifetime), or else five minutes.
///
/// [OAuth 2.0]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OAuth {
    /// Whether Matrix's own ways to sign in and up go on beside it.
    pub mode: OAuthMode,
    /// The homeserver that lets this one sign its users in.
    #[serde(default)]
    pub delegation: Option<Delegation>,
}

impl OAuth {
    /// Beside `/login` and `/register`.
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

/// What becomes of Matrix's own ways to sign in and up where there is OAuth 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OAuthMode {
    /// They stay.
    Beside,
    /// They answer as on a Synapse that delegates: `/register` is forbidden, `/login` and its like
    /// are not recognized.
    Instead,
}

/// A Synapse that delegates to this server, as its `matrix_authentication_service`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Where that Synapse is told of users and devices. It is reached without encryption, and so has
    /// to be on this machine.
    pub homeserver: ServerUrl,
    /// What each of the two shows the other to be believed.
    #[serde(with = "matricula_core::secret::exposed")]
    pub secret: Secret,
}

impl Delegation {
    /// With both.
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
    /// Asks clients that know OAuth 2.0 to offer this way alone (`oauth_aware_preferred`).
    pub preferred: bool,
    /// The identity providers that it names. All lead to the same page.
    pub providers: Vec<IdentityProvider>,
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
}

/// One place to sign in at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// What clients call it: 1 to 255 of the characters `A-Z a-z 0-9 . _ ~ -`.
    pub id: String,
    /// What people call it.
    pub name: String,
}

impl IdentityProvider {
    pub(super) fn is_complete(&self) -> bool {
        is_opaque(&self.id, 255) && !self.name.is_empty()
    }
}
