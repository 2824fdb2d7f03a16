//! What a homeserver allows and demands.

mod browser;
mod limits;
mod media;
mod passwords;
mod people;

use std::{collections::BTreeMap, time::Duration};

use matricula_api::ServerName;
use matricula_core::{Secret, ServerUrl, Timestamp};
use serde::{Deserialize, Serialize};

pub use browser::{Delegation, IdentityProvider, OAuth, OAuthMode, Sso};
pub use limits::{Limit, Limits};
pub use media::Media;
pub use passwords::{PasswordCodes, PasswordPolicy};
pub use people::{ApplicationService, Captcha, Mail};

use crate::Error;

/// What a homeserver allows and demands.
///
/// The default is an open server named `private.localhost` without limits, whose registration takes
/// one `m.login.dummy` stage.
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
    /// The part of each user id after the colon. Fixed once a database exists.
    pub server_name: String,
    /// Where clients reach this server, for `.well-known` and for links; if absent, the address
    /// that it listens on.
    pub base_url: Option<ServerUrl>,
    /// Whether people may register. It says nothing about guests.
    pub registration: Registration,
    /// The ways to register: each a list of
    /// [stages](https://spec.matrix.org/v1.19/client-server-api/#authentication-types). A stage that
    /// this server cannot do itself is stood in for by a page with a button.
    pub flows: Vec<Vec<String>>,
    /// Whether [guests](https://spec.matrix.org/v1.19/client-server-api/#guest-access) may register.
    pub guests: bool,
    /// What `m.login.terms` asks to accept, by policy id.
    pub policies: BTreeMap<String, Policy>,
    /// Registration tokens that exist from the start.
    pub registration_tokens: Vec<RegistrationToken>,
    /// How long an access token works; for ever if absent.
    #[serde(rename = "access_token_lifetime_ms", with = "millis")]
    pub access_token_lifetime: Option<Duration>,
    /// How long a refresh token works; for ever if absent.
    #[serde(rename = "refresh_token_lifetime_ms", with = "millis")]
    pub refresh_token_lifetime: Option<Duration>,
    /// How often one address may do what costs or tells something.
    pub limits: Limits,
    /// What files are kept.
    pub media: Media,
    /// Beginnings of usernames that are reserved, as if for an application service.
    pub exclusive_prefixes: Vec<String>,
    /// What a password must have.
    pub password_policy: PasswordPolicy,
    /// Register `alice` as `alice-1`: a client must not assume that it gets the name it asked for.
    pub rename_users: bool,
    /// Whether, and beside what, people sign in by OAuth 2.0; not at all if absent.
    pub oauth: Option<OAuth>,
    /// Whether people sign in on a page of this server, as if it were somebody else's; not if absent.
    pub sso: Option<Sso>,
    /// How people prove their addresses; not at all if absent.
    pub mail: Option<Mail>,
    /// What `m.login.recaptcha` asks; nothing if absent.
    pub captcha: Option<Captcha>,
    /// The programs that register users of their own.
    pub application_services: Vec<ApplicationService>,
    /// Whoever knows it makes accounts, administrators' too; nobody if absent.
    #[serde(with = "matricula_core::secret::exposed")]
    pub registration_shared_secret: Option<Secret>,
    /// The localparts of users who are administrators from the start.
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

    /// Whether the operations that OAuth 2.0 replaces are not to be had.
    pub(crate) fn is_oauth_only(&self) -> bool {
        let mode = self.oauth.as_ref().map(|oauth| oauth.mode);
        mode == Some(OAuthMode::Instead)
    }

    /// Whether somebody who knows nothing, and is verified by nobody, can make an account.
    pub fn is_open(&self) -> bool {
        let unverified = self
            .flows
            .iter()
            .any(|flow| !flow.iter().any(|stage| stage == REGISTRATION_TOKEN));
        self.guests || (self.registration == Registration::Open && unverified)
    }

    /// Says what is wrong with this configuration, if anything is.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let name = &self.server_name;
        // A user id has at most 255 bytes; some must be left for the localpart.
        if ServerName::try_from(name.as_str()).is_err() || name.len() > 200 {
            return invalid(format!(
                "{name:?} is not a server name of at most 200 bytes"
            ));
        }
        self.check_flows()?;
        for (id, policy) in &self.policies {
            if !is_opaque(id, 255) || !policy.is_complete() {
                return invalid(format!(
                    "the policy {id:?} needs a version and, in some language, a name and a text"
                ));
            }
        }
        let tokens = &self.registration_tokens;
        if !tokens.iter().all(|it| is_opaque(it.token.expose(), 64)) {
            return invalid(
                "a registration token has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -",
            );
        }
        let lifetimes = [self.access_token_lifetime, self.refresh_token_lifetime];
        if lifetimes.contains(&Some(Duration::ZERO)) {
            return invalid("a token must live for some time");
        }
        for limit in self.limits.all().into_iter().flatten() {
            if !limit.per_second.is_finite() || limit.per_second < 1e-6 || limit.burst == 0 {
                return invalid(format!("{limit:?} would let nothing through"));
            }
        }
        if self.media.max_size == 0 || self.media.max_pending_uploads == 0 {
            return invalid(
                "a server that takes no files at all is not configured by their bounds",
            );
        }
        if self.exclusive_prefixes.iter().any(String::is_empty) {
            return invalid("an empty reserved beginning would reserve every username");
        }
        self.check_oauth()?;
        self.check_identity()
    }

    fn check_identity(&self) -> Result<(), Error> {
        if self.mail.as_ref().is_some_and(|it| !it.is_complete()) {
            return invalid(
                "mail needs an SMTP server's host:port, a sender's address, and domains",
            );
        }
        let secret = self.registration_shared_secret.as_ref();
        if secret.is_some_and(|it| it.expose().is_empty()) {
            return invalid("an empty shared secret would let everybody register");
        }
        let services = &self.application_services;
        if !services.iter().all(ApplicationService::is_complete) {
            return invalid(
                "an application service has an id, a token, a sender, and users of its own",
            );
        }
        let is_twice = |(at, one): (usize, &ApplicationService)| {
            let mut others = services[..at].iter();
            others.any(|it| it.id == one.id || it.token == one.token)
        };
        if services.iter().enumerate().any(is_twice) {
            return invalid("two application services have the same id or token");
        }
        Ok(())
    }

    fn check_oauth(&self) -> Result<(), Error> {
        let delegation = self.oauth.as_ref().and_then(|it| it.delegation.as_ref());
        if delegation.is_some_and(|it| it.homeserver.is_https() || !it.homeserver.is_loopback()) {
            return invalid(
                "a homeserver that delegates to this one is at an http:// loopback address",
            );
        }
        let Some(sso) = &self.sso else {
            return Ok(());
        };
        if self.is_oauth_only() {
            return invalid(
                "single sign-on ends in /login, which OAuth 2.0 is to stand instead of",
            );
        }
        if !sso.providers.iter().all(IdentityProvider::is_complete) {
            return invalid("an identity provider has a name, and an id of A-Z a-z 0-9 . _ ~ -");
        }
        Ok(())
    }

    fn check_flows(&self) -> Result<(), Error> {
        if self.registration == Registration::Open && self.flows.is_empty() {
            return invalid("registration is open but has no flow; close it or add one");
        }
        for flow in &self.flows {
            if flow.is_empty() || !flow.iter().all(|stage| is_opaque(stage, 255)) {
                return invalid(format!("{flow:?} is not a flow: it needs names of stages"));
            }
            if flow.iter().any(|stage| stage == TERMS) && self.policies.is_empty() {
                return invalid(format!("{TERMS} needs a policy to accept; add one"));
            }
        }
        Ok(())
    }
}

fn invalid(what: impl Into<String>) -> Result<(), Error> {
    Err(Error::Config(what.into()))
}

pub(crate) const REGISTRATION_TOKEN: &str = "m.login.registration_token";
pub(crate) const TERMS: &str = "m.login.terms";

/// The [opaque identifier grammar](https://spec.matrix.org/v1.19/appendices/#opaque-identifiers).
pub(crate) fn is_opaque(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

/// Whether people may register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Registration {
    /// Whoever completes one of the flows.
    #[default]
    Open,
    /// Nobody.
    Closed,
}

/// A document that must be accepted to register, in one or more languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Which edition of the document this is.
    pub version: String,
    /// The document by language code.
    pub translations: BTreeMap<String, Document>,
}

impl Policy {
    /// A policy of this version, without text yet.
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            translations: BTreeMap::new(),
        }
    }

    /// Adds the document in one language, such as `en`.
    #[must_use]
    pub fn translation(
        mut self,
        language: impl Into<String>,
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let document = Document {
            name: name.into(),
            text: text.into(),
        };
        self.translations.insert(language.into(), document);
        self
    }

    fn is_complete(&self) -> bool {
        // In the answer, languages stand beside the key `version`.
        let languages = self.translations.keys();
        is_opaque(&self.version, 255)
            && !self.translations.is_empty()
            && languages
                .clone()
                .all(|language| is_opaque(language, 64) && language != "version")
            && self.translations.values().all(|it| !it.name.is_empty())
    }
}

/// A document in one language; this server shows it on a page of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What a person calls it.
    pub name: String,
    /// Its text; an empty line begins a paragraph.
    pub text: String,
}

/// A text that lets somebody register, shared outside Matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationToken {
    /// 1 to 64 of the characters `A-Z a-z 0-9 . _ ~ -`.
    #[serde(with = "matricula_core::secret::exposed")]
    pub token: Secret,
    /// How many accounts it makes at most; as many as wanted if absent.
    #[serde(default)]
    pub uses_allowed: Option<u32>,
    /// When it stops working; never if absent.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl RegistrationToken {
    /// A token for as many accounts as wanted, for ever.
    pub fn new(token: impl Into<Secret>) -> Self {
        Self {
            token: token.into(),
            uses_allowed: None,
            expires_at: None,
        }
    }

    /// At most this many accounts.
    #[must_use]
    pub fn uses_allowed(mut self, allowed: u32) -> Self {
        self.uses_allowed = Some(allowed);
        self
    }

    /// Until this moment.
    #[must_use]
    pub fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }
}

/// Durations as milliseconds.
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
