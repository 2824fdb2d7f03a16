//! What a server's information means for a new user and for the server's administrators.

use std::fmt;

use matricula_api::uia::{Flow, Stage};

use super::{RegistrationOffer, ServerInfo, WellKnown};
use crate::uia::{KnownAnswers, choice};

/// A method to get an account.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RegistrationMethod {
    /// Registration with the stages of this flow.
    Register(Flow),
    /// Signing up on a page of the OAuth 2.0 server.
    OAuth {
        /// The OAuth 2.0 server.
        issuer: String,
        /// Whether its page can start with signing up.
        can_sign_up: bool,
    },
    /// Single sign-on, which makes the account.
    Sso,
}

impl fmt::Display for RegistrationMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(flow) if flow.stages.is_empty() => f.write_str("no stage"),
            Self::Register(flow) => {
                let stages: Vec<&str> = flow.stages.iter().map(Stage::as_str).collect();
                f.write_str(&stages.join(" → "))
            }
            Self::OAuth { .. } => f.write_str("OAuth 2.0"),
            Self::Sso => f.write_str("single sign-on"),
        }
    }
}

impl RegistrationMethod {
    /// What it asks of a person, in words.
    pub fn demands(&self) -> String {
        match self {
            Self::Register(flow) => choice::demands(flow, KnownAnswers::default()),
            Self::OAuth {
                issuer,
                can_sign_up,
            } => {
                let page = if *can_sign_up {
                    "signing up"
                } else {
                    "finding the way to sign up"
                };
                format!("{page} on the page of {issuer} in a browser")
            }
            Self::Sso => "single sign-on in a browser".to_owned(),
        }
    }
}

/// A finding that the server's administrators may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Any person or program can register.
    OpenRegistration,
    /// Guests are allowed. Only an attempt shows that.
    GuestsAllowed,
    /// Its name has no well-known document.
    NoWellKnown,
    /// It supports no version of the specification since 1.1.
    OldVersions,
    /// It is reached without encryption.
    PlainHttp,
}

impl Warning {
    /// A stable code for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::OpenRegistration => "open_registration",
            Self::GuestsAllowed => "guests_allowed",
            Self::NoWellKnown => "no_well_known",
            Self::OldVersions => "old_versions",
            Self::PlainHttp => "plain_http",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenRegistration => {
                "anyone, and any program, can register without verification: ask for an email \
                 address, a captcha or a token"
            }
            Self::GuestsAllowed => "guests are allowed: anyone can use it without an account",
            Self::NoWellKnown => {
                "its name has no well-known document: clients that do not guess ask for its address"
            }
            Self::OldVersions => {
                "it supports no version of the specification since 1.1: many clients cannot use it"
            }
            Self::PlainHttp => {
                "it is not encrypted: everyone on the way can read passwords and tokens"
            }
        })
    }
}

impl ServerInfo {
    /// All methods to get an account that the server mentions. Registration is among them only if
    /// [`Discovery::registration`] asked for it.
    ///
    /// [`Discovery::registration`]: crate::Discovery::registration
    pub fn registration_methods(&self) -> Vec<RegistrationMethod> {
        let mut methods = Vec::new();
        if let Some(RegistrationOffer::Open(info)) = &self.registration {
            methods.extend(info.flows.iter().cloned().map(RegistrationMethod::Register));
        }
        let oauth = self.oauth.as_ref();
        let is_closed = oauth.is_some_and(super::OAuthOffer::is_sign_up_closed);
        if let Some(issuer) = self.oauth_issuer.as_ref().filter(|_| !is_closed) {
            methods.push(RegistrationMethod::OAuth {
                issuer: issuer.clone(),
                can_sign_up: oauth.is_some_and(super::OAuthOffer::can_sign_up),
            });
        }
        // Beside OAuth 2.0, single sign-on that is preferred is for clients that do not know OAuth 2.0. It
        // leads to the same page.
        let is_same_page = self.oauth_issuer.is_some() && self.prefers_sso();
        if self.offers("m.login.sso") && !is_same_page {
            methods.push(RegistrationMethod::Sso);
        }
        methods
    }

    /// Findings that the server's administrators may want to know.
    pub fn warnings(&self) -> Vec<Warning> {
        let is_open = |method: &RegistrationMethod| match method {
            RegistrationMethod::Register(flow) => flow
                .stages
                .iter()
                .all(|stage| matches!(stage, Stage::Dummy | Stage::Terms)),
            _ => false,
        };
        let is_new = |version: &String| version.starts_with("v1.") || version.starts_with("v2.");
        let lacks_name = matches!(
            self.well_known,
            WellKnown::Missing | WellKnown::GivenInstead { .. }
        );
        [
            (
                self.registration_methods().iter().any(is_open),
                Warning::OpenRegistration,
            ),
            (lacks_name, Warning::NoWellKnown),
            (!self.versions.iter().any(is_new), Warning::OldVersions),
            (
                !self.server.is_https() && !self.server.is_loopback(),
                Warning::PlainHttp,
            ),
        ]
        .into_iter()
        .filter_map(|(applies, warning)| applies.then_some(warning))
        .collect()
    }
}
