//! An account and its session, as they are stored, and the options of a new session.

use std::time::Duration;

use matricula_api::{
    UserId,
    client::{
        login::{Login as LoginRequest, LoginResponse},
        refresh::RefreshResponse,
        registration::RegisterResponse,
    },
};
use matricula_core::{
    CredentialRef, Entropy, Secret, ServerUrl, Timestamp, WriteBatch, secret::exposed,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{OAuthSession, conversation::to_json, random};

/// The tables that conversations write to. All of them belong in a secret store.
pub mod tables {
    /// [`Account`](crate::Account)s by user id, as JSON.
    pub const ACCOUNTS: &str = "accounts";
    /// Unfinished [`Registration`](crate::Registration)s by their id, as JSON.
    pub const REGISTRATIONS: &str = "registrations";
    /// [`PendingPassword`](crate::PendingPassword)s by user id, as JSON.
    pub const PASSWORD_CHANGES: &str = "password_changes";
    /// [`PendingThreepid`](crate::PendingThreepid)s by account and address, as JSON.
    pub const THREEPID_ADDITIONS: &str = "address_additions";
    /// Unfinished [`OAuthLogin`](crate::OAuthLogin)s by their id, as JSON.
    pub const OAUTH_LOGINS: &str = "oauth_logins";
    /// Unfinished [`SsoLogin`](crate::SsoLogin)s by their id, as JSON.
    pub const SSO_LOGINS: &str = "sso_logins";
    /// [`OAuthClient`](crate::OAuthClient)s by issuer, as JSON.
    pub const OAUTH_CLIENTS: &str = "oauth_clients";
}

/// An account, and its session if it has one.
///
/// Serialising it writes its secrets in clear text: that is for a secret store only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// The user.
    pub user_id: UserId,
    /// The homeserver.
    pub server: ServerUrl,
    /// The device of the session; `None` without a session.
    pub device_id: Option<String>,
    /// The access token; `None` if the account was made without signing in.
    #[serde(with = "exposed", default)]
    pub access_token: Option<Secret>,
    /// The refresh token.
    #[serde(with = "exposed", default)]
    pub refresh_token: Option<Secret>,
    /// When the access token expires; `None` if the server gave no lifetime.
    pub expires_at: Option<Timestamp>,
    /// When to renew the access token, some time before it expires.
    #[serde(default)]
    pub renew_at: Option<Timestamp>,
    /// The refresh token before this one. A server accepts it until a token of the new pair is used.
    /// It is the last resort if an abandoned request arrived late and the pair was replaced again.
    #[serde(with = "exposed", default)]
    pub previous_refresh_token: Option<Secret>,
    /// The password, if it was generated here, so that the person does not know it.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// Whether this is a guest account.
    #[serde(default)]
    pub is_guest: bool,
    /// Where its tokens are renewed and revoked, if an OAuth 2.0 server issued them.
    #[serde(default)]
    pub oauth: Option<OAuthSession>,
    /// The caller's [data](DeviceOptions::data).
    #[serde(default)]
    pub data: Value,
}

impl Account {
    /// Reads back a stored account.
    ///
    /// # Errors
    /// If the text was not written by [`Account`].
    pub fn from_stored(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// An account without a session.
    pub fn without_session(user_id: UserId, server: ServerUrl, data: Value) -> Self {
        Self {
            user_id,
            server,
            device_id: None,
            access_token: None,
            refresh_token: None,
            expires_at: None,
            renew_at: None,
            previous_refresh_token: None,
            password: None,
            is_guest: false,
            oauth: None,
            data,
        }
    }

    /// An account with the session that a login at `now` returned.
    pub fn from_login(
        server: &ServerUrl,
        now: Timestamp,
        response: LoginResponse,
        data: Value,
    ) -> Self {
        let mut account = Self::without_session(response.user_id, server.clone(), data);
        account.device_id = Some(response.device_id).filter(|id| !id.is_empty());
        let lifetime = response.expires_in_ms;
        account.set_tokens(now, response.access_token, response.refresh_token, lifetime);
        account
    }

    /// An account as a registration at `now` returned it, with a session if the response has one.
    pub fn from_registration(
        server: &ServerUrl,
        now: Timestamp,
        response: RegisterResponse,
        data: Value,
    ) -> Self {
        let mut account = Self::without_session(response.user_id, server.clone(), data);
        account.device_id = response.device_id.filter(|id| !id.is_empty());
        if let Some(token) = usable(response.access_token) {
            let lifetime = response.expires_in_ms;
            account.set_tokens(now, token, response.refresh_token, lifetime);
        }
        account
    }

    /// The name of the session's credential: one for each user and device.
    pub fn credential(&self) -> CredentialRef {
        let device = self.device_id.as_deref().unwrap_or_default();
        CredentialRef::new(format!("{}/{device}", self.user_id))
    }

    /// Replaces the tokens by those of a refresh at `now`. A refresh token that the server did not
    /// replace stays.
    pub fn renew(&mut self, now: Timestamp, response: RefreshResponse) {
        let lifetime = response.expires_in_ms;
        self.set_tokens(now, response.access_token, response.refresh_token, lifetime);
    }

    /// Replaces the tokens by those received at `now`; `lifetime` is the access token's. The refresh token
    /// stays if the server sends none, or an empty one.
    pub fn set_tokens(
        &mut self,
        now: Timestamp,
        access: Secret,
        refresh: Option<Secret>,
        lifetime: Option<Duration>,
    ) {
        self.access_token = Some(access);
        self.expires_at = expiry(now, lifetime);
        self.renew_at = renewal(now, lifetime);
        let refresh = usable(refresh);
        if refresh.is_some() && refresh != self.refresh_token {
            self.previous_refresh_token = self.refresh_token.take();
            self.refresh_token = refresh;
        }
    }

    /// Whether the access token is to be renewed now, and there is a refresh token for that.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.refresh_token.is_some()
            && self
                .renew_at
                .or(self.expires_at)
                .is_some_and(|at| at <= now)
    }

    /// Whether the access token has expired by this clock.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Takes over the session of the same account that another process stored.
    pub(crate) fn adopt(&mut self, other: Self) {
        // The address may differ between processes. It is no part of the session.
        let (server, data) = (self.server.clone(), std::mem::take(&mut self.data));
        *self = Self {
            server,
            data,
            ..other
        };
    }

    /// Removes the tokens. The device id stays, so that the next login can continue the device.
    pub fn clear_tokens(&mut self) {
        self.access_token = None;
        self.refresh_token = None;
        self.previous_refresh_token = None;
        self.expires_at = None;
        self.renew_at = None;
        self.oauth = None;
    }

    /// Removes the session: its tokens and its device.
    pub fn end_session(&mut self) {
        self.clear_tokens();
        self.device_id = None;
    }

    /// Adds this account to what is to be stored.
    pub fn write_to(&self, writes: &mut WriteBatch) {
        writes.put(tables::ACCOUNTS, self.user_id.as_str(), to_json(self));
    }
}

/// The device of a new session, the kind of its tokens, and the caller's data. Part of every
/// conversation that ends in a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceOptions {
    /// The device id: an existing one is continued. `None`: a new one.
    #[serde(default)]
    pub device_id: Option<String>,
    /// The display name of the device.
    #[serde(default)]
    pub device_name: Option<String>,
    /// Whether to ask for an access token that expires and a refresh token that renews it. OAuth 2.0
    /// servers always give both.
    #[serde(default)]
    pub refresh_token: bool,
    /// Any data of the caller. It is stored with the conversation and then with the [`Account`].
    #[serde(default)]
    pub data: Value,
}

impl DeviceOptions {
    /// A new device without a name, and no data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`device_id`](Self::device_id).
    #[must_use]
    pub fn device_id(mut self, id: impl Into<String>) -> Self {
        self.device_id = Some(id.into());
        self
    }

    /// Sets [`device_name`](Self::device_name).
    #[must_use]
    pub fn device_name(mut self, name: impl Into<String>) -> Self {
        self.device_name = Some(name.into());
        self
    }

    /// Sets [`refresh_token`](Self::refresh_token).
    #[must_use]
    pub fn refresh_token(mut self, is_wanted: bool) -> Self {
        self.refresh_token = is_wanted;
        self
    }

    /// Sets [`data`](Self::data).
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Generates the device id if none is set. An id that is chosen here and stored before it is sent
    /// makes a repeated request harmless: it does not add a second device.
    pub(crate) fn generate_id(&mut self, entropy: &mut dyn Entropy) {
        self.device_id
            .get_or_insert_with(|| random::device_id(entropy));
    }

    /// Puts the device into a login request.
    pub(crate) fn apply(&self, mut request: LoginRequest) -> LoginRequest {
        request.device_id = self.device_id.clone();
        request.initial_device_display_name = self.device_name.clone();
        request.refresh_token = self.refresh_token.then_some(true);
        request
    }
}

/// The token, unless it is an empty one.
pub(crate) fn usable(token: Option<Secret>) -> Option<Secret> {
    token.filter(|token| !token.expose().trim().is_empty())
}

/// When a token expires that was received at `now`.
pub(crate) fn expiry(now: Timestamp, lifetime: Option<Duration>) -> Option<Timestamp> {
    Some(now.plus(lifetime?))
}

/// When to renew a token that was received at `now`: a tenth of its lifetime before it expires, at
/// most 60 s. So a token that lives for a second is not renewed with every request.
pub(crate) fn renewal(now: Timestamp, lifetime: Option<Duration>) -> Option<Timestamp> {
    const MAX_MARGIN: Duration = Duration::from_secs(60);
    let lifetime = lifetime?;
    Some(now.plus(lifetime - (lifetime / 10).min(MAX_MARGIN)))
}
