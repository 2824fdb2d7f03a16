//! What is kept of an account.

use std::time::Duration;

use matricula_api::{
    UserId,
    client::{login::LoginResponse, refresh::RefreshResponse},
};
use matricula_core::{
    CredentialRef, Entropy, Secret, ServerUrl, Timestamp, WriteBatch, secret::exposed,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::oauth::OAuthSession;

/// The tables that conversations write to. All of them belong in a secret store.
pub mod tables {
    /// [`Account`](crate::Account)s by user id, as JSON.
    pub const ACCOUNTS: &str = "accounts";
    /// Half-done [`Registration`](crate::Registration)s by their id, as JSON.
    pub const REGISTRATIONS: &str = "registrations";
    /// [`PendingPassword`](crate::PendingPassword)s by user id, as JSON.
    pub const PASSWORD_CHANGES: &str = "password_changes";
    /// [`PendingThreepid`](crate::PendingThreepid)es by account and address, as JSON.
    pub const THREEPID_ADDITIONS: &str = "address_additions";
    /// Half-done [`OAuthLogin`](crate::OAuthLogin)s by their id, as JSON.
    pub const OAUTH_LOGINS: &str = "oauth_logins";
    /// Half-done [`SsoLogin`](crate::SsoLogin)s by their id, as JSON.
    pub const SSO_LOGINS: &str = "sso_logins";
    /// [`OAuthClient`](crate::OAuthClient)s by issuer, as JSON.
    pub const OAUTH_CLIENTS: &str = "oauth_clients";
}

/// An account, and the session in it if there is one.
///
/// Serialising it writes its secrets in the clear: that is for a secret store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// Who.
    pub user_id: UserId,
    /// Where.
    pub server: ServerUrl,
    /// The device of this session; none without one.
    pub device_id: Option<String>,
    /// The session's token; none where the account was made without signing in.
    #[serde(with = "exposed", default)]
    pub access_token: Option<Secret>,
    /// What gets the next token.
    #[serde(with = "exposed", default)]
    pub refresh_token: Option<Secret>,
    /// When the token expires; none if the server named no time.
    pub expires_at: Option<Timestamp>,
    /// From when on the next token is to be got, before this one expires.
    #[serde(default)]
    pub renew_at: Option<Timestamp>,
    /// The refresh token before this one. A server takes it until it has seen a token of the pair that
    /// it was exchanged for: it is what is left where a request that was given up arrived late, and
    /// the pair was replaced again.
    #[serde(with = "exposed", default)]
    pub previous_refresh_token: Option<Secret>,
    /// The password, where it was made for the person and nobody else knows it.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// Whether it is a guest's.
    #[serde(default)]
    pub is_guest: bool,
    /// Where its tokens are renewed and given back, if an OAuth 2.0 server issued them.
    #[serde(default)]
    pub oauth: Option<OAuthSession>,
    /// What whoever began the conversation wanted kept with the account.
    #[serde(default)]
    pub data: Value,
}

impl Account {
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

    /// An account with the session that a sign-in at `now` returned.
    pub fn from_login(
        server: &ServerUrl,
        now: Timestamp,
        response: LoginResponse,
        data: Value,
    ) -> Self {
        let mut account = Self::without_session(response.user_id, server.clone(), data);
        account.device_id = Some(response.device_id).filter(|id| !id.is_empty());
        account.set_tokens(
            now,
            response.access_token,
            response.refresh_token,
            response.expires_in_ms,
        );
        account
    }

    /// The name of the session's credential: one for each user and device.
    pub fn credential(&self) -> CredentialRef {
        let device = self.device_id.as_deref().unwrap_or_default();
        CredentialRef::new(format!("{}/{device}", self.user_id))
    }

    /// Takes over what the server gave for the refresh token. One that it did not replace stays.
    pub fn renew(&mut self, now: Timestamp, answer: RefreshResponse) {
        let lifetime = answer.expires_in_ms;
        self.set_tokens(now, answer.access_token, answer.refresh_token, lifetime);
    }

    /// Takes over the tokens that were given at `now`, the access token for this long.
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
        if refresh.is_some() && refresh != self.refresh_token {
            self.previous_refresh_token = self.refresh_token.take();
            self.refresh_token = refresh;
        }
    }

    /// Whether it is time for the next token, and there is something to get it with.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.refresh_token.is_some()
            && self
                .renew_at
                .or(self.expires_at)
                .is_some_and(|at| at <= now)
    }

    /// Whether the token has expired, as far as this clock knows.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Takes over the session of the same account as another process left it.
    pub(crate) fn adopt(&mut self, other: Self) {
        // Where it is reached may be another address in each process, and is not a matter of the session.
        let (server, data) = (self.server.clone(), std::mem::take(&mut self.data));
        *self = Self {
            server,
            data,
            ..other
        };
    }

    /// Forgets the tokens and keeps the device: whoever signs in again takes its place, with all that
    /// is kept for it.
    pub fn clear_tokens(&mut self) {
        self.access_token = None;
        self.refresh_token = None;
        self.previous_refresh_token = None;
        self.expires_at = None;
        self.renew_at = None;
        self.oauth = None;
    }

    /// Forgets the session: its tokens and its device.
    pub fn end_session(&mut self) {
        self.clear_tokens();
        self.device_id = None;
    }

    /// Adds "keep this account" to what is to be stored.
    pub fn write_to(&self, patch: &mut WriteBatch) {
        // The parts are texts, numbers and flags: they always have a JSON form.
        let json = serde_json::to_vec(self).unwrap_or_default();
        patch.put(tables::ACCOUNTS, self.user_id.as_str(), json);
    }
}

/// An id for a new device, made here and not by the server, so that signing in after a lost answer does
/// not make a second one.
pub(crate) fn make_device_id(entropy: &mut dyn Entropy) -> String {
    entropy.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10)
}

/// When a token expires that was given at `now` for this long.
pub(crate) fn expiry(now: Timestamp, expires_in: Option<Duration>) -> Option<Timestamp> {
    Some(now.plus(expires_in?))
}

/// The longest time before its end at which a token is renewed.
const LONGEST_MARGIN: Duration = Duration::from_secs(60);

/// From when on a token is renewed that was given at `now` for this long: a tenth of its life before
/// its end, so that one that lives a second is not renewed with every request.
pub(crate) fn renewal(now: Timestamp, expires_in: Option<Duration>) -> Option<Timestamp> {
    let lifetime = expires_in?;
    Some(now.plus(lifetime - (lifetime / 10).min(LONGEST_MARGIN)))
}

/// Generates a password of `min_length` characters, but at least 24 (about 130 bits of entropy) and at
/// most 256. It satisfies usual password policies: lower and upper case letters, a digit, a symbol.
pub fn generate_password(entropy: &mut dyn Entropy, min_length: u64) -> Secret {
    const LENGTH: u64 = 24;
    // No server that is in earnest wants more.
    const LONGEST: u64 = 256;
    const SMALL: &[u8] = b"abcdefghijkmnopqrstuvwxyz";
    const CAPITAL: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
    const DIGITS: &[u8] = b"23456789";
    const SYMBOLS: &[u8] = b"-_.!=";
    let all = [SMALL, CAPITAL, DIGITS, SYMBOLS].concat();
    // Of each class one, then as many of all as make it strong.
    let mut password = entropy.text(SMALL, 1);
    password += &entropy.text(CAPITAL, 1);
    password += &entropy.text(DIGITS, 1);
    password += &entropy.text(SYMBOLS, 1);
    let rest = min_length.clamp(LENGTH, LONGEST) as usize - password.len();
    password += &entropy.text(&all, rest);
    Secret::from(password)
}
