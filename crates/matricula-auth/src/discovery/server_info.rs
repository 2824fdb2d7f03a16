//! What a server says about itself, and how that was found out.

use matricula_api::{
    ErrorCode,
    client::capabilities::Capabilities,
    client::oauth_server_metadata::GetAuthMetadataResponse,
    oauth::{AccountPage, AuthorizationPrompt},
    uia::UiaInfo,
};
use matricula_core::{Method, ServerUrl};
use serde::{Deserialize, Serialize};

use super::{PasswordPolicy, WellKnown};
use crate::{
    server_address::{is_same_server, is_web_page},
    session::account_page,
};

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The base URL of its API.
    pub server: ServerUrl,
    /// How the base URL was found.
    #[serde(default)]
    pub well_known: WellKnown,
    /// The name of the server, the part of its user IDs after the colon, if its well-known document
    /// confirms it.
    #[serde(default)]
    pub server_name: Option<String>,
    /// The identity server that its well-known document names.
    #[serde(default)]
    pub identity_server: Option<ServerUrl>,
    /// The versions of the specification that it supports, as it lists them.
    pub versions: Vec<String>,
    /// The login flows of Matrix's own API; empty if the server has no such API.
    pub login_flows: Vec<LoginFlow>,
    /// The OAuth 2.0 server that it delegates accounts to.
    pub oauth_issuer: Option<String>,
    /// What that OAuth 2.0 server can do.
    #[serde(default)]
    pub oauth: Option<OAuthOffer>,
    /// Why the homeserver could not say whether it has an OAuth 2.0 server. If it refuses to register or
    /// sign in people itself, that server is probably in trouble.
    #[serde(default)]
    pub oauth_trouble: Option<String>,
    /// Whether and how the public can register, if [`Discovery::registration`] asked for it.
    ///
    /// [`Discovery::registration`]: crate::Discovery::registration
    pub registration: Option<RegistrationOffer>,
    /// The password policy, if [`Discovery::password_policy`] asked for it and the server has one.
    ///
    /// [`Discovery::password_policy`]: crate::Discovery::password_policy
    #[serde(default)]
    pub password_policy: Option<PasswordPolicy>,
    /// The capabilities of the account that [`Discovery::session`] named.
    ///
    /// [`Discovery::session`]: crate::Discovery::session
    #[serde(default)]
    pub capabilities: Option<Capabilities>,
    /// Every request that was made, in order.
    #[serde(default)]
    pub tried: Vec<Probe>,
}

/// A login flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoginFlow {
    /// Its type, such as `m.login.password`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether clients that know OAuth 2.0 must use this one alone.
    pub oauth_aware_preferred: bool,
    /// The identity providers of single sign-on, if the server lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_providers: Vec<IdentityProvider>,
}

/// An identity provider of single sign-on.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#definition-mloginsso-flow-schema>.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IdentityProvider {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
}

/// What the OAuth 2.0 server of a homeserver can do, by its metadata.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1auth_metadata>.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OAuthOffer {
    /// The prompts that its page supports, such as `create`; empty if it does not list them.
    pub prompts: Vec<String>,
    /// The supported grants, such as `authorization_code`.
    pub grants: Vec<String>,
    /// The account management page.
    pub account_management: Option<String>,
    /// The actions that the page supports.
    pub account_actions: Vec<String>,
}

impl OAuthOffer {
    /// What this metadata says.
    pub fn of(metadata: &GetAuthMetadataResponse) -> Self {
        let prompts = metadata.prompt_values_supported.clone();
        let actions = metadata.account_management_actions_supported.as_ref();
        let names = actions.into_iter().flatten();
        Self {
            prompts: prompts.unwrap_or_default().into(),
            grants: metadata.grant_types_supported.to_vec(),
            account_management: metadata
                .account_management_uri
                .clone()
                // It is opened in a browser.
                .filter(|address| is_web_page(address)),
            account_actions: names.map(|action| action.as_str().to_owned()).collect(),
        }
    }

    /// Whether its page can start with signing up.
    pub fn can_sign_up(&self) -> bool {
        self.prompts
            .iter()
            .any(|prompt| prompt == AuthorizationPrompt::Create.as_str())
    }

    /// Whether it lists what its page can start with, and signing up is not listed.
    pub fn is_sign_up_closed(&self) -> bool {
        !self.prompts.is_empty() && !self.can_sign_up()
    }

    /// The address of a page of account management: see
    /// [`OAuthSession::account_page`](crate::OAuthSession::account_page).
    pub fn account_page(&self, page: &AccountPage) -> Option<String> {
        account_page(
            self.account_management.as_deref(),
            Some(&self.account_actions),
            page,
        )
    }
}

/// Whether the public can register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[non_exhaustive]
pub enum RegistrationOffer {
    /// With these flows.
    Open(UiaInfo),
    /// No.
    Closed {
        /// The server's message.
        message: String,
    },
    /// The server did not say so.
    Unknown {
        /// Its answer.
        message: String,
    },
}

/// One request of a discovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Probe {
    /// The operation, such as `getVersions`.
    pub operation: String,
    /// Its HTTP method.
    pub method: String,
    /// Its URL.
    pub url: String,
    /// The HTTP status; `None` without a response.
    pub status: Option<u16>,
    /// The Matrix error code, if the response had one.
    pub errcode: Option<ErrorCode>,
    /// Why it failed.
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
    /// A server of which only the base URL is known.
    pub fn of(server: ServerUrl) -> Self {
        Self {
            server,
            well_known: WellKnown::default(),
            server_name: None,
            identity_server: None,
            versions: Vec::new(),
            login_flows: Vec::new(),
            oauth_issuer: None,
            oauth: None,
            oauth_trouble: None,
            registration: None,
            password_policy: None,
            capabilities: None,
            tried: Vec::new(),
        }
    }

    /// Whether a user of the server may have this server name after the colon.
    pub fn may_be_named(&self, name: &str) -> bool {
        let known = self.server_name.as_deref();
        known.is_none_or(|known| is_same_server(known, name))
    }

    /// What the server offers instead of login with a password. `None` if it offers that, or nothing.
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

    /// Whether clients that know OAuth 2.0 must use single sign-on on this server.
    pub(crate) fn prefers_sso(&self) -> bool {
        self.login_flows
            .iter()
            .any(|flow| flow.kind == "m.login.sso" && flow.oauth_aware_preferred)
    }
}
