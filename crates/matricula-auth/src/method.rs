//! The ways to an account, and which of them a server wants to be taken.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ServerInfo;

/// A way to make an account, or to sign in to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuthMethod {
    /// By Matrix's own API, with a password.
    Password,
    /// On a page of the [OAuth 2.0 server](https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api).
    OAuth,
    /// By [single sign-on](https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication),
    /// on a page.
    Sso,
    /// With a code that is typed into a page of the OAuth 2.0 server, on another device. Signs in,
    /// and makes no account.
    DeviceCode,
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "password",
            Self::OAuth => "OAuth 2.0",
            Self::Sso => "single sign-on",
            Self::DeviceCode => "device code",
        })
    }
}

impl ServerInfo {
    /// The way in which the server wants accounts to be made, and why this one.
    pub fn way_to_register(&self) -> (AuthMethod, String) {
        match self.delegated() {
            Some(way) => way,
            None if self.offers("m.login.sso") && !self.offers("m.login.password") => (
                AuthMethod::Sso,
                "the server lets people in by single sign-on, and not by password".to_owned(),
            ),
            None => (
                AuthMethod::Password,
                "the server has Matrix's own registration".to_owned(),
            ),
        }
    }

    /// The way in which the server wants people to sign in, and why this one.
    pub fn way_to_sign_in(&self) -> (AuthMethod, String) {
        match self.delegated() {
            Some(way) => way,
            None if self.offers("m.login.password") || self.login_flows.is_empty() => {
                let why = "the server lets people in by password".to_owned();
                (AuthMethod::Password, why)
            }
            None if self.oauth_issuer.is_some() => self.by_oauth("the server has no passwords"),
            None => (
                AuthMethod::Sso,
                "the server lets people in by single sign-on, and not by password".to_owned(),
            ),
        }
    }

    /// The way that leaves no other to be offered.
    fn delegated(&self) -> Option<(AuthMethod, String)> {
        if self.oauth_issuer.is_some() && (self.login_flows.is_empty() || self.prefers_sso()) {
            // Its single sign-on is for programs that do not know OAuth 2.0.
            return Some(self.by_oauth("the server leaves accounts to its OAuth 2.0 server"));
        }
        let why = "the server wants people to be let in by single sign-on alone";
        self.prefers_sso()
            .then(|| (AuthMethod::Sso, why.to_owned()))
    }

    fn by_oauth(&self, why: &str) -> (AuthMethod, String) {
        let issuer = self.oauth_issuer.as_deref().unwrap_or_default();
        (AuthMethod::OAuth, format!("{why}, {issuer}"))
    }

    /// Whether this is one of Matrix's own ways to sign in that the server offers.
    pub(crate) fn offers(&self, kind: &str) -> bool {
        self.login_flows.iter().any(|flow| flow.kind == kind)
    }
}
