//! How a homeserver finds out who people are: by their addresses, by a captcha.

use serde::{Deserialize, Serialize};

/// How this server sends what proves an address: by handing mail to an SMTP server.
///
/// With it the stages `m.login.email.identity` and, given a [gateway](Mail::sms_gateway),
/// `m.login.msisdn` are checked; without it they are stood in for like any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Mail {
    /// Host and port of the SMTP server. It is spoken to without encryption or password, as one on
    /// this machine is.
    pub smtp: String,
    /// Whom mail is from.
    pub from: String,
    /// The domain that turns mail to a telephone number, as in `441632960000@sms.example.org`, into
    /// a text message. Without it nobody proves a telephone number.
    #[serde(default)]
    pub sms_gateway: Option<String>,
    /// The domains whose addresses may be proved; all of them if empty.
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

/// A captcha without anybody behind it, for tests: it takes each answer that begins with `ok`.
///
/// With it the stage `m.login.recaptcha` is checked; without it it is stood in for like any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Captcha {
    /// What a client shows the captcha with.
    pub public_key: String,
}

impl Captcha {
    /// With this key.
    pub fn new(public_key: impl Into<String>) -> Self {
        let public_key = public_key.into();
        Self { public_key }
    }
}

/// An [application service](https://spec.matrix.org/v1.19/application-service-api/#registration),
/// as far as it registers users and acts as them. Nothing is sent to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApplicationService {
    /// Names it.
    pub id: String,
    /// What it shows to be believed.
    #[serde(rename = "as_token", with = "matricula_core::secret::exposed")]
    pub token: matricula_core::Secret,
    /// The localpart of the user that it is itself.
    pub sender: String,
    /// The beginnings of the localparts that are its own, and nobody else's.
    #[serde(default)]
    pub user_prefixes: Vec<String>,
    /// Whether it manages its users' devices itself, as
    /// [MSC4190](https://github.com/matrix-org/matrix-spec-proposals/pull/4190) lets it: then it
    /// cannot sign in as them.
    #[serde(default)]
    pub manages_devices: bool,
}

impl ApplicationService {
    /// With its own user, and no others yet.
    pub fn new(
        id: impl Into<String>,
        token: impl Into<matricula_core::Secret>,
        sender: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            token: token.into(),
            sender: sender.into(),
            user_prefixes: Vec::new(),
            manages_devices: false,
        }
    }

    /// Adds to [`ApplicationService::user_prefixes`].
    #[must_use]
    pub fn user_prefix(mut self, beginning: impl Into<String>) -> Self {
        self.user_prefixes.push(beginning.into());
        self
    }

    /// Sets [`ApplicationService::manages_devices`].
    #[must_use]
    pub fn manages_devices(mut self, manages: bool) -> Self {
        self.manages_devices = manages;
        self
    }

    /// Whether a localpart is the service's own.
    pub(crate) fn owns(&self, localpart: &str) -> bool {
        let mut beginnings = self.user_prefixes.iter();
        localpart == self.sender || beginnings.any(|it| localpart.starts_with(it.as_str()))
    }

    pub(super) fn is_complete(&self) -> bool {
        let texts = [&self.id, &self.sender]
            .into_iter()
            .chain(&self.user_prefixes);
        let mut texts = texts.map(String::as_str);
        !self.token.expose().is_empty()
            && texts.all(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_graphic()))
    }
}
