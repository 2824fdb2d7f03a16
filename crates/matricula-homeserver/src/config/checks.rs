//! Checks of a configuration.

use std::time::Duration;

use matricula_api::ServerName;

use super::{
    ApplicationService, Config, IdentityProvider, REGISTRATION_TOKEN, Registration, TERMS,
    is_opaque,
};
use crate::{Error, engine::may_allow};

impl Config {
    /// Whether strangers can create accounts without verification.
    pub fn is_open(&self) -> bool {
        let unverified = self
            .flows
            .iter()
            .any(|flow| !flow.iter().any(|stage| stage == REGISTRATION_TOKEN));
        self.guests || (self.registration == Registration::Open && unverified)
    }

    /// Rejects a configuration that contradicts itself or the specification.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let name = &self.server_name;
        // A user id has at most 255 bytes, including the localpart.
        if ServerName::try_from(name.as_str()).is_err() || name.len() > 200 {
            return invalid(format!(
                "{name:?} is not a server name of at most 200 bytes"
            ));
        }
        self.check_flows()?;
        for (id, policy) in &self.policies {
            if !is_opaque(id, 255) || !policy.is_complete() {
                return invalid(format!(
                    "the policy {id:?} needs a version, and a name and a text in some language"
                ));
            }
        }
        let tokens = &self.registration_tokens;
        if !tokens.iter().all(|it| is_opaque(it.token.expose(), 64)) {
            return invalid(
                "a registration token must have 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -",
            );
        }
        let lifetimes = [self.access_token_lifetime, self.refresh_token_lifetime];
        if lifetimes.contains(&Some(Duration::ZERO)) {
            return invalid("the lifetime of a token must not be zero");
        }
        for limit in self.limits.all().into_iter().flatten() {
            if !limit.per_second.is_finite() || limit.per_second < 1e-6 || limit.burst == 0 {
                return invalid(format!("{limit:?} would reject every request"));
            }
        }
        if self.media.max_size == 0 || self.media.max_pending_uploads == 0 {
            return invalid("the limits of media must not be zero");
        }
        if self.exclusive_prefixes.iter().any(String::is_empty) {
            return invalid("an empty exclusive prefix would reserve every username");
        }
        self.check_oauth()?;
        self.check_identity()
    }

    fn check_identity(&self) -> Result<(), Error> {
        if self.mail.as_ref().is_some_and(|it| !it.is_complete()) {
            return invalid(
                "mail needs the host:port of an SMTP server, a sender address, and valid domains",
            );
        }
        if self.turn.as_ref().is_some_and(|it| !it.is_complete()) {
            return invalid(
                "turn needs addresses that begin with turn: or turns:, a secret, and a lifetime",
            );
        }
        let secret = self.registration_shared_secret.as_ref();
        if secret.is_some_and(|it| it.expose().is_empty()) {
            return invalid("an empty shared secret would allow everybody to register");
        }
        let services = &self.application_services;
        if !services.iter().all(ApplicationService::is_complete) {
            return invalid(
                "an application service needs an id, a token, a sender, and valid prefixes; with a URL, \
                 which must be http://, it needs an hs_token",
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
            return invalid("the delegating homeserver must have an http:// loopback address");
        }
        let Some(sso) = &self.sso else {
            return Ok(());
        };
        if self.is_oauth_only() {
            return invalid("single sign-on needs /login, which OAuth 2.0 replaces in this mode");
        }
        if !sso.providers.iter().all(IdentityProvider::is_complete) {
            return invalid("an identity provider needs a name, and an id of A-Z a-z 0-9 . _ ~ -");
        }
        if let Some(scheme) = sso.redirect_schemes.iter().find(|it| !may_allow(it)) {
            return invalid(format!(
                "{scheme:?} cannot be a redirect scheme: name one that opens a client, in lower case"
            ));
        }
        Ok(())
    }

    fn check_flows(&self) -> Result<(), Error> {
        if self.registration == Registration::Open && self.flows.is_empty() {
            return invalid("registration is open but has no flow; close it or add a flow");
        }
        for flow in &self.flows {
            if flow.is_empty() || !flow.iter().all(|stage| is_opaque(stage, 255)) {
                return invalid(format!(
                    "{flow:?} is not a flow: it needs the names of stages"
                ));
            }
            if flow.iter().any(|stage| stage == TERMS) && self.policies.is_empty() {
                return invalid(format!("{TERMS} needs a policy; add one"));
            }
        }
        Ok(())
    }
}

fn invalid(what: impl Into<String>) -> Result<(), Error> {
    Err(Error::Config(what.into()))
}
