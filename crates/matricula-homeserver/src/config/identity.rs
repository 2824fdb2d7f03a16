//! Mail, captcha, application services.

use matricula_core::{Secret, ServerUrl};
use serde::{Deserialize, Serialize};

use super::Config;

/// Mail for validating third-party identifiers, sent through an SMTP server.
///
/// With it the server checks the stages `m.login.email.identity` and, given a
/// [gateway](Mail::sms_gateway), `m.login.msisdn`. Without it a button completes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Mail {
    /// Host and port of the SMTP server. The connection has neither encryption nor authentication.
    pub smtp: String,
    /// The sender address.
    pub from: String,
    /// The domain of a gateway that turns mail to `441632960000@sms.example.org` into a text message.
    /// Without it telephone numbers cannot be validated.
    #[serde(default)]
    pub sms_gateway: Option<String>,
    /// The allowed domains of email addresses; all if empty.
    #[serde(default)]
    pub domains: Vec<String>,
}

impl Mail {
    /// Mail by the SMTP server at this host and port, from `homeserver@localhost`.
    pub fn new(smtp: impl Into<String>) -> Self {
        Self {
            smtp: smtp.into(),
            from: "homeserver@localhost".to_owned(),
            sms_gateway: None,
            domains: Vec::new(),
        }
    }

    /// Sets [`Mail::from`].
    #[must_use]
    pub fn from(mut self, from: impl Into<String>) -> Self {
        self.from = from.into();
        self
    }

    /// Sets [`Mail::sms_gateway`].
    #[must_use]
    pub fn sms_gateway(mut self, domain: impl Into<String>) -> Self {
        self.sms_gateway = Some(domain.into());
        self
    }

    /// Adds to [`Mail::domains`].
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domains.push(domain.into());
        self
    }

    pub(super) fn is_complete(&self) -> bool {
        let has_port = |it: &str| {
            it.rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        let is_plain = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_graphic());
        let mut domains = self.domains.iter().chain(&self.sms_gateway);
        has_port(&self.smtp)
            && is_plain(&self.from)
            && self.from.contains('@')
            && !self.from.contains(['<', '>'])
            && domains.all(|it| is_plain(it) && !it.contains(['@', '<', '>']))
    }
}

/// A captcha for tests: it accepts every response that begins with `ok`.
///
/// With it the server checks the stage `m.login.recaptcha`. Without it a button completes the stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Captcha {
    /// The public key that clients show the captcha with.
    pub public_key: String,
}

impl Captcha {
    /// A captcha with this public key.
    pub fn new(public_key: impl Into<String>) -> Self {
        let public_key = public_key.into();
        Self { public_key }
    }
}

/// An [application service](https://spec.matrix.org/v1.19/application-service-api/#registration),
/// as far as it registers users and acts as them. The server sends it no events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApplicationService {
    /// The id.
    pub id: String,
    /// Its access token (`as_token`).
    #[serde(rename = "as_token", with = "matricula_core::secret::exposed")]
    pub token: Secret,
    /// The localpart of its own user (`sender_localpart`).
    pub sender: String,
    /// Where it is sent events: an `http://` URL. Absent means that it is sent none.
    #[serde(default)]
    pub url: Option<ServerUrl>,
    /// The token with which this server identifies itself to it (`hs_token`).
    #[serde(rename = "hs_token", default, with = "matricula_core::secret::exposed")]
    pub server_token: Option<Secret>,
    /// Prefixes of the localparts in its exclusive namespace.
    #[serde(default)]
    pub user_prefixes: Vec<String>,
    /// Prefixes of the local names of the room aliases in its namespace.
    #[serde(default)]
    pub alias_prefixes: Vec<String>,
    /// Whether it manages the devices of its users
    /// ([MSC4190](https://github.com/matrix-org/matrix-spec-proposals/pull/4190)). It then cannot log
    /// in as them.
    #[serde(default)]
    pub manages_devices: bool,
}

impl ApplicationService {
    /// An application service without other users yet.
    pub fn new(id: impl Into<String>, token: impl Into<Secret>, sender: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            token: token.into(),
            sender: sender.into(),
            url: None,
            server_token: None,
            user_prefixes: Vec::new(),
            alias_prefixes: Vec::new(),
            manages_devices: false,
        }
    }

    /// Adds to [`ApplicationService::user_prefixes`].
    #[must_use]
    pub fn user_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.user_prefixes.push(prefix.into());
        self
    }

    /// Adds to [`ApplicationService::alias_prefixes`].
    #[must_use]
    pub fn alias_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.alias_prefixes.push(prefix.into());
        self
    }

    /// Sets [`ApplicationService::url`] and [`ApplicationService::server_token`].
    #[must_use]
    pub fn listens_at(mut self, url: ServerUrl, server_token: impl Into<Secret>) -> Self {
        self.url = Some(url);
        self.server_token = Some(server_token.into());
        self
    }

    /// Sets [`ApplicationService::manages_devices`].
    #[must_use]
    pub fn manages_devices(mut self, manages: bool) -> Self {
        self.manages_devices = manages;
        self
    }

    /// Whether a localpart is in the namespace of the service.
    pub(crate) fn owns(&self, localpart: &str) -> bool {
        let mut prefixes = self.user_prefixes.iter();
        localpart == self.sender || prefixes.any(|it| localpart.starts_with(it.as_str()))
    }

    /// Whether a room alias of this server is in the namespace of the service.
    pub(crate) fn owns_alias(&self, alias: &str) -> bool {
        let name = alias.strip_prefix('#').unwrap_or(alias);
        self.alias_prefixes
            .iter()
            .any(|it| name.starts_with(it.as_str()))
    }

    pub(super) fn is_complete(&self) -> bool {
        let texts = [&self.id, &self.sender]
            .into_iter()
            .chain(&self.user_prefixes)
            .chain(&self.alias_prefixes);
        let mut texts = texts.map(String::as_str);
        let token = self.server_token.as_ref();
        let is_reachable = self
            .url
            .as_ref()
            .is_none_or(|url| !url.is_https() && token.is_some_and(|it| !it.expose().is_empty()));
        !self.token.expose().is_empty()
            && is_reachable
            && texts.all(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_graphic()))
    }
}

impl Config {
    /// The application service with this token.
    pub(crate) fn service_by_token(&self, token: &str) -> Option<&ApplicationService> {
        let token = Secret::from(token);
        let mut services = self.application_services.iter();
        services.find(|it| it.token == token)
    }
}
