//! What an [`OAuthLogin`](super::OAuthLogin) waits for, and what it has received by then.

use std::time::Duration;

use matricula_api::oauth::{DeviceAuthorization, TokenResponse};
use matricula_core::{Secret, Timestamp, secret::exposed};
use serde::{Deserialize, Serialize};

use crate::{
    Account, Progress,
    account::{expiry, renewal, usable},
};

/// How the person authorizes the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum GrantMethod {
    /// On a page, which leads back.
    Browser {
        redirect_uri: String,
        signs_up: bool,
    },
    /// On another device.
    DeviceCode,
}

impl GrantMethod {
    pub(super) fn browser(redirect_uri: String, signs_up: bool) -> Self {
        Self::Browser {
            redirect_uri,
            signs_up,
        }
    }
}

/// What it waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    New,
    GettingMetadata,
    /// Whether people can sign up now is asked of the OAuth 2.0 server itself.
    AskingIssuer,
    RegisteringClient,
    /// The client is registered again before a page that the person may have opened is shown again.
    RegisteringAgain {
        #[serde(with = "exposed")]
        state: Secret,
        #[serde(with = "exposed")]
        verifier: Secret,
    },
    /// It ended for now. It continues with a page, or with a device code.
    Authorizing,
    /// The person is on the page.
    OnPage {
        #[serde(with = "exposed")]
        state: Secret,
        #[serde(with = "exposed")]
        verifier: Secret,
    },
    Redeeming {
        #[serde(with = "exposed")]
        code: Secret,
        #[serde(with = "exposed")]
        verifier: Secret,
        /// Whether the same request was sent before and its response lost.
        is_replay: bool,
    },
    GettingDeviceCode,
    Waiting(DeviceWait),
    Polling(DeviceWait),
    AskingWho(Tokens),
    /// The device of the session gets its name.
    NamingDevice(Box<Account>),
}

impl Phase {
    /// Whether a request is in flight.
    pub(super) fn awaits_response(&self) -> bool {
        !matches!(
            self,
            Self::New | Self::Authorizing | Self::OnPage { .. } | Self::Waiting(_)
        )
    }
}

/// The tokens of the OAuth 2.0 server, before it is known whose they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tokens {
    #[serde(with = "exposed")]
    pub(super) access_token: Secret,
    #[serde(with = "exposed", default)]
    pub(super) refresh_token: Option<Secret>,
    pub(super) expires_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) renew_at: Option<Timestamp>,
}

impl Tokens {
    pub(super) fn new(now: Timestamp, response: TokenResponse) -> Self {
        Self {
            access_token: response.access_token,
            refresh_token: usable(response.refresh_token),
            expires_at: expiry(now, response.expires_in),
            renew_at: renewal(now, response.expires_in),
        }
    }

    /// Makes them the tokens of this account.
    pub(super) fn give_to(self, account: &mut Account) {
        account.access_token = Some(self.access_token);
        account.refresh_token = self.refresh_token;
        account.expires_at = self.expires_at;
        account.renew_at = self.renew_at;
    }
}

/// A device code, and when to poll next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DeviceWait {
    #[serde(with = "exposed")]
    pub(super) device_code: Secret,
    url: String,
    url_with_code: Option<String>,
    user_code: String,
    pub(super) expires_at: Timestamp,
    pub(super) interval: Duration,
    pub(super) polls: u32,
    /// Whether a response was lost, which may have had the tokens.
    pub(super) is_lost: bool,
}

impl DeviceWait {
    pub(super) fn new(now: Timestamp, response: DeviceAuthorization) -> Self {
        /// The longest lifetime of a code, whatever the server says.
        const MAX_LIFETIME: Duration = Duration::from_secs(3600);
        /// The lifetime of a code of which the server says none that can be read.
        const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);
        let lifetime = response.expires_in.unwrap_or(DEFAULT_LIFETIME);
        let interval = response.wait().max(Duration::from_secs(1));
        Self {
            device_code: response.device_code,
            url: response.verification_uri,
            url_with_code: response.verification_uri_complete,
            user_code: response.user_code,
            expires_at: now.plus(lifetime.min(MAX_LIFETIME)),
            interval,
            polls: 0,
            is_lost: false,
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress::DeviceCode {
            url: self.url.clone(),
            url_with_code: self.url_with_code.clone(),
            user_code: self.user_code.clone(),
            expires_at: self.expires_at,
        }
    }
}
