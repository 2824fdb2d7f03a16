//! Account management pages.

use matricula_core::{Api, Method, Operation};

use super::{EndpointUrlError, authorization, endpoint_url::EndpointUrl};
use crate::UserId;
pub use crate::client::oauth_server_metadata::AccountManagementAction as AccountAction;

/// The page for [account management] in a browser.
///
/// [account management]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountPage {
    /// The requested action: one of `account_management_actions_supported` in the metadata.
    pub action: Option<AccountAction>,
    /// The device that the action applies to.
    pub device_id: Option<String>,
    /// The user. [Proposed]; servers without support ignore it.
    ///
    /// [Proposed]: https://github.com/matrix-org/matrix-spec-proposals/pull/4198
    pub login_hint: Option<String>,
}

impl AccountPage {
    /// The operation; its URL is `account_management_uri` in the metadata.
    pub const OPERATION: Operation = Operation::new(
        Api::Client,
        "oauthAccountManagement",
        Method::Get,
        "{account_management_uri}",
    )
    .with_since("1.18");

    /// Sets `action`.
    #[must_use]
    pub fn action(mut self, action: AccountAction) -> Self {
        self.action = Some(action);
        self
    }

    /// Sets `device_id`.
    #[must_use]
    pub fn device_id(mut self, device_id: impl Into<String>) -> Self {
        self.device_id = Some(device_id.into());
        self
    }

    /// Sets `login_hint` to this user.
    #[must_use]
    pub fn login_hint(mut self, user: &UserId) -> Self {
        self.login_hint = Some(authorization::login_hint(user));
        self
    }

    /// The URL to open, based on `account_management_uri` of the metadata.
    ///
    /// # Errors
    /// If that is not a valid URL of an authorization server.
    pub fn url(&self, account_management_uri: &str) -> Result<String, EndpointUrlError> {
        let pairs = [
            ("action", self.action.as_ref().map(AccountAction::as_str)),
            ("device_id", self.device_id.as_deref()),
            ("login_hint", self.login_hint.as_deref()),
        ];
        let pairs = pairs.into_iter();
        let given = pairs.filter_map(|(name, value)| Some((name, value?)));
        Ok(EndpointUrl::parse(account_management_uri)?.with_query(given))
    }
}
