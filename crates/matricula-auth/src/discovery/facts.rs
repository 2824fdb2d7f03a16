//! What a server says about itself, and how it was found out.

use matricula_api::{
    ErrorCode, client::capabilities::Capabilities,
    client::oauth_server_metadata::GetAuthMetadataResponse, oauth::AuthorizationPrompt,
    uia::UiaInfo,
};
use matricula_core::{Method, ServerUrl};
use serde::{Deserialize, Serialize};

use super::{PasswordPolicy, WellKnown};
use crate::address::is_web_page;

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Where its API is.
    pub server: ServerUrl,
    /// How that was found out.
    #[serde(default)]
    pub well_known: WellKnown,
    /// The identity server that its well-known document names.
    #[serde(default)]
    pub identity_server: Option<ServerUrl>,
    /// The versions of the specification that it supports, in its own words.
    pub versions: Vec<String>,
    /// The ways to sign in through Matrix's own API; none where the server has no such API.
    pub login_flows: Vec<LoginFlow>,
    /// The OAuth 2.0 server that it delegates accounts to.
    pub oauth_issuer: Option<String>,
    /// What that OAuth 2.0 server can do.
    #[serde(default)]
    pub oauth: Option<OAuthOffer>,
    /// Whether strangers can register; only where [`Discovery::with_registration`] asked for it.
    ///
    /// [`Discovery::with_registration`]: crate::Discovery::with_registration
    pub registration: Option<RegistrationOffer>,
    /// What passwords must have; only where [`Discovery::with_password_policy`] asked for it, and
    /// the server tells.
    ///
    /// [`Discovery::with_password_policy`]: crate::Discovery::with_password_policy
    #[serde(default)]
    pub password_policy: Option<PasswordPolicy>,
    /// What the account may do whose session [`Discovery::with_session`] named.
    ///
    /// [`Discovery::with_session`]: crate::Discovery::with_session
    #[serde(default)]
    pub capabilities: Option<Capabilities>,
    /// Every request that was made to find this out, in order.
    #[serde(default)]
    pub tried: Vec<Probe>,
}

/// One way to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoginFlow {
    /// Its type, such as `m.login.password`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether clients that know OAuth 2.0 must use this one alone.
    pub oauth_aware_preferred: bool,
    /// Where single sign-on lets people in, as far as the server names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_providers: Vec<IdentityProvider>,
}

/// Where people are let in by single sign-on.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#definition-mloginsso-flow-schema>.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IdentityProvider {
    /// What the server knows it by.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

/// What the OAuth 2.0 server of a homeserver can do, in its own words.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1auth_metadata>.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OAuthOffer {
    /// What its page can be told to begin with, such as `create`; empty where it does not say.
    pub prompts: Vec<String>,
    /// The grants that it gives tokens for, such as `authorization_code`.
    pub grants: Vec<String>,
    /// Where people look after their accounts, in a browser.
    pub account_management: Option<String>,
    /// What they can do there.
    pub account_actions: Vec<String>,
}

impl OAuthOffer {
    pub(super) fn of(metadata: GetAuthMetadataResponse) -> Self {
        let actions = metadata.account_management_actions_supported;
        Self {
            prompts: metadata.prompt_values_supported.unwrap_or_default(),
            grants: metadata.grant_types_supported,
            account_management: metadata
                .account_management_uri
                // A person is sent there.
                .filter(|address| is_web_page(address)),
            account_actions: actions
                .unwrap_or_default()
                .iter()
                .map(|action| action.as_str().to_owned())
                .collect(),
        }
    }

    /// Whether its page can begin with signing up.
    pub fn can_sign_up(&self) -> bool {
        self.prompts
            .iter()
            .any(|prompt| prompt == AuthorizationPrompt::Create.as_str())
    }
}

/// What a server says to a stranger who wants to register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[non_exhaustive]
pub enum RegistrationOffer {
    /// These ways are open.
    Open(UiaInfo),
    /// It is closed, in the server's words.
    Closed {
        /// The server's words.
        message: String,
    },
    /// The server did not say.
    Unknown {
        /// What it said instead.
        message: String,
    },
}

/// One request that was made to find something out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Probe {
    /// The operation, such as `getVersions`.
    pub operation: String,
    /// Its HTTP method.
    pub method: String,
    /// Where the request went.
    pub url: String,
    /// The HTTP status of the answer; none where none came.
    pub status: Option<u16>,
    /// Matrix's code for what was wrong, where the answer had one.
    pub errcode: Option<ErrorCode>,
    /// Why nothing, or nothing good, came of it.
    pub error: Option<String>,
}

impl Probe {
    pub(super) fn new(operation: &str, method: Method, url: &str) -> Self {
        Self {
            operation: operation.to_owned(),
            method: method.to_string(),
            url: url.to_owned(),
            status: None,
            errcode: None,
            error: None,
        }
    }
}

impl ServerInfo {
    /// The facts of a server of which only the address is known.
    pub fn of(server: ServerUrl) -> Self {
        Self {
            server,
            well_known: WellKnown::default(),
            identity_server: None,
            versions: Vec::new(),
            login_flows: Vec::new(),
            oauth_issuer: None,
            oauth: None,
            registration: None,
            password_policy: None,
            capabilities: None,
            tried: Vec::new(),
        }
    }

    /// What the server offers, where it offers something but no sign-in by password.
    pub(crate) fn offers_instead_of_password(&self) -> Option<Vec<String>> {
        let mut offers: Vec<String> = self
            .login_flows
            .iter()
            .map(|flow| flow.kind.clone())
            .collect();
        if offers.iter().any(|kind| kind == "m.login.password") {
            return None;
        }
        offers.extend(
            self.oauth_issuer
                .iter()
                .map(|issuer| format!("OAuth 2.0 at {issuer}")),
        );
        (!offers.is_empty()).then_some(offers)
    }

    /// Whether the server wants its accounts to be made by single sign-on alone.
    pub(crate) fn prefers_sso(&self) -> bool {
        self.login_flows
            .iter()
            .any(|flow| flow.kind == "m.login.sso" && flow.oauth_aware_preferred)
    }
}
