//! The configuration of a homeserver.

mod checks;
mod identity;
mod limits;
mod media;
mod oauth;
mod opaque_id;
mod passwords;
mod registration;
mod turn;

use std::{collections::BTreeMap, time::Duration};

use matricula_core::{Secret, ServerUrl};
use serde::{Deserialize, Serialize};

pub use identity::{ApplicationService, Captcha, Mail};
pub use limits::{Limit, Limits};
pub use media::Media;
pub use oauth::{Delegation, IdentityProvider, OAuth, OAuthMode, Sso};
pub use passwords::{PasswordCodes, PasswordPolicy};

pub(crate) use opaque_id::is_opaque;
pub use registration::{Document, Policy, Registration, RegistrationToken};
pub use turn::Turn;

/// The configuration of a homeserver.
///
/// The default is a server named `private.localhost` with open registration by one `m.login.dummy`
/// stage, and without rate limits. [`Server::start`](crate::Server::start) checks the configuration.
///
/// ```
/// # use matricula_homeserver::{Config, RegistrationToken};
/// let config = Config::default()
///     .flows([["m.login.registration_token"]])
///     .registration_token(RegistrationToken::new("let-me-in").uses_allowed(3));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The part of user ids after the colon. It cannot change once a database exists.
    pub server_name: String,
    /// The URL of the server, for `.well-known` and links; by default the address that it listens on.
    pub base_url: Option<ServerUrl>,
    /// Whether users may register. Guests are independent of it.
    pub registration: Registration,
    /// The flows of registration: each a list of
    /// [stages](https://spec.matrix.org/v1.19/client-server-api/#authentication-types). A stage that
    /// this server does not support is completed by a button on its fallback page.
    pub flows: Vec<Vec<String>>,
    /// Whether [guests](https://spec.matrix.org/v1.19/client-server-api/#guest-access) may register.
    pub guests: bool,
    /// The policies that `m.login.terms` requires, by policy id.
    pub policies: BTreeMap<String, Policy>,
    /// Registration tokens that exist at the start.
    pub registration_tokens: Vec<RegistrationToken>,
    /// The lifetime of access tokens; unlimited if absent.
    #[serde(rename = "access_token_lifetime_ms", with = "millis")]
    pub access_token_lifetime: Option<Duration>,
    /// The lifetime of refresh tokens; unlimited if absent.
    #[serde(rename = "refresh_token_lifetime_ms", with = "millis")]
    pub refresh_token_lifetime: Option<Duration>,
    /// Rate limits.
    pub limits: Limits,
    /// Limits of the content repository.
    pub media: Media,
    /// Prefixes of reserved usernames, as if an application service had them.
    pub exclusive_prefixes: Vec<String>,
    /// The rules for passwords.
    pub password_policy: PasswordPolicy,
    /// Registers `alice` as `alice-1`: clients must not assume that they get the requested name.
    pub rename_users: bool,
    /// The OAuth 2.0 authorization server; disabled if absent.
    pub oauth: Option<OAuth>,
    /// Single sign-on; disabled if absent.
    pub sso: Option<Sso>,
    /// Mail and text messages for validating third-party identifiers; disabled if absent.
    pub mail: Option<Mail>,
    /// The captcha of `m.login.recaptcha`; disabled if absent.
    pub captcha: Option<Captcha>,
    /// TURN servers for calls; without them clients get no credentials.
    pub turn: Option<Turn>,
    /// Application services.
    pub application_services: Vec<ApplicationService>,
    /// The secret for creating accounts, also of administrators; disabled if absent.
    #[serde(with = "matricula_core::secret::exposed")]
    pub registration_shared_secret: Option<Secret>,
    /// The localparts of administrators.
    pub admins: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server_name: "private.localhost".to_owned(),
            base_url: None,
            registration: Registration::default(),
            flows: vec![vec!["m.login.dummy".to_owned()]],
            guests: false,
            policies: BTreeMap::new(),
            registration_tokens: Vec::new(),
            access_token_lifetime: None,
            refresh_token_lifetime: None,
            limits: Limits::default(),
            media: Media::default(),
            exclusive_prefixes: Vec::new(),
            password_policy: PasswordPolicy::default(),
            rename_users: false,
            oauth: None,
            sso: None,
            mail: None,
            captcha: None,
            turn: None,
            application_services: Vec::new(),
            registration_shared_secret: None,
            admins: Vec::new(),
        }
    }
}

impl Config {
    /// Sets [`Config::server_name`].
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = name.into();
        self
    }

    /// Sets [`Config::base_url`].
    #[must_use]
    pub fn base_url(mut self, url: ServerUrl) -> Self {
        self.base_url = Some(url);
        self
    }

    /// Sets [`Config::registration`].
    #[must_use]
    pub fn registration(mut self, registration: Registration) -> Self {
        self.registration = registration;
        self
    }

    /// Sets [`Config::flows`].
    #[must_use]
    pub fn flows<Flow, Stage>(mut self, flows: impl IntoIterator<Item = Flow>) -> Self
    where
        Flow: IntoIterator<Item = Stage>,
        Stage: Into<String>,
    {
        self.flows = flows
            .into_iter()
            .map(|flow| flow.into_iter().map(Into::into).collect())
            .collect();
        self
    }

    /// Sets [`Config::guests`].
    #[must_use]
    pub fn guests(mut self, allowed: bool) -> Self {
        self.guests = allowed;
        self
    }

    /// Adds to [`Config::policies`].
    #[must_use]
    pub fn policy(mut self, id: impl Into<String>, policy: Policy) -> Self {
        self.policies.insert(id.into(), policy);
        self
    }

    /// Adds to [`Config::registration_tokens`].
    #[must_use]
    pub fn registration_token(mut self, token: RegistrationToken) -> Self {
        self.registration_tokens.push(token);
        self
    }

    /// Sets [`Config::access_token_lifetime`].
    #[must_use]
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_token_lifetime = Some(lifetime);
        self
    }

    /// Sets [`Config::refresh_token_lifetime`].
    #[must_use]
    pub fn refresh_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_token_lifetime = Some(lifetime);
        self
    }

    /// Sets [`Config::limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`Config::media`].
    #[must_use]
    pub fn media(mut self, media: Media) -> Self {
        self.media = media;
        self
    }

    /// Adds to [`Config::exclusive_prefixes`].
    #[must_use]
    pub fn exclusive_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.exclusive_prefixes.push(prefix.into());
        self
    }

    /// Sets [`Config::password_policy`].
    #[must_use]
    pub fn password_policy(mut self, policy: PasswordPolicy) -> Self {
        self.password_policy = policy;
        self
    }

    /// Sets [`Config::rename_users`].
    #[must_use]
    pub fn rename_users(mut self, rename: bool) -> Self {
        self.rename_users = rename;
        self
    }

    /// Sets [`Config::oauth`].
    #[must_use]
    pub fn oauth(mut self, oauth: OAuth) -> Self {
        self.oauth = Some(oauth);
        self
    }

    /// Sets [`Config::sso`].
    #[must_use]
    pub fn sso(mut self, sso: Sso) -> Self {
        self.sso = Some(sso);
        self
    }

    /// Sets [`Config::mail`].
    #[must_use]
    pub fn mail(mut self, messages: Mail) -> Self {
        self.mail = Some(messages);
        self
    }

    /// Sets [`Config::captcha`].
    #[must_use]
    pub fn captcha(mut self, captcha: Captcha) -> Self {
        self.captcha = Some(captcha);
        self
    }

    /// Sets [`Config::turn`].
    #[must_use]
    pub fn turn(mut self, turn: Turn) -> Self {
        self.turn = Some(turn);
        self
    }

    /// Adds to [`Config::application_services`].
    #[must_use]
    pub fn application_service(mut self, service: ApplicationService) -> Self {
        self.application_services.push(service);
        self
    }

    /// Sets [`Config::registration_shared_secret`].
    #[must_use]
    pub fn registration_shared_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.registration_shared_secret = Some(secret.into());
        self
    }

    /// Adds to [`Config::admins`].
    #[must_use]
    pub fn admin(mut self, localpart: impl Into<String>) -> Self {
        self.admins.push(localpart.into());
        self
    }

    /// Whether OAuth 2.0 replaces the other ways to sign in.
    pub(crate) fn is_oauth_only(&self) -> bool {
        let mode = self.oauth.as_ref().map(|oauth| oauth.mode);
        mode == Some(OAuthMode::Instead)
    }
}

pub(crate) const REGISTRATION_TOKEN: &str = "m.login.registration_token";
pub(crate) const TERMS: &str = "m.login.terms";

/// Serializes durations as milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration
            .map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let millis = Option::deserialize(deserializer)?;
        Ok(millis.map(Duration::from_millis))
    }
}
