//! User-interactive authentication: what a server asks for, and what a client sends back.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>.

use std::fmt;

use matricula_job::{Secret, secret::exposed};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{ErrorCode, wire::text_enum};

/// What a server asks for with a 401: the flows on offer, and how far this session has come.
///
/// Lenient: servers send `null` for what is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UiaInfo {
    /// The ways through, each a list of stages.
    #[serde(default, deserialize_with = "null_as_default")]
    pub flows: Vec<Flow>,
    /// What single stages need to be shown or known, by stage.
    #[serde(default, deserialize_with = "null_as_default")]
    pub params: Map<String, Value>,
    /// Names this authentication; goes into every further [`AuthData`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The stages done already.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub completed: Vec<Stage>,
    /// Why the last attempt at a stage failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errcode: Option<ErrorCode>,
    /// The same in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl UiaInfo {
    /// Reads the body of a 401.
    ///
    /// # Errors
    /// Where a field has the wrong type.
    pub fn from_json(body: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(body)
    }

    /// The documents that the `m.login.terms` stage asks to accept; empty where it names none.
    pub fn policies(&self) -> Vec<Policy> {
        let policies = self
            .params
            .get(Stage::Terms.as_str())
            .and_then(|terms| terms.get("policies"));
        let Some(Value::Object(policies)) = policies else {
            return Vec::new();
        };
        policies
            .iter()
            .filter_map(|(id, policy)| Policy::from_json(id, policy))
            .collect()
    }
}

fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// One way through: all its stages are to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// What is to be done, in order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub stages: Vec<Stage>,
}

text_enum! {
    /// One thing to be done to authenticate.
    pub enum Stage {
        /// Nothing.
        Dummy = "m.login.dummy",
        /// A token that the server's administrators hand out.
        RegistrationToken = "m.login.registration_token",
        /// Accepting documents.
        Terms = "m.login.terms",
        /// The account's password.
        Password = "m.login.password",
        /// A captcha.
        Recaptcha = "m.login.recaptcha",
        /// Proving an email address.
        EmailIdentity = "m.login.email.identity",
        /// Proving a phone number.
        Msisdn = "m.login.msisdn",
        /// Signing in elsewhere.
        Sso = "m.login.sso",
        /// Approval in the account's OAuth 2.0 server.
        OAuth = "m.oauth",
    }
}

/// A document that the `m.login.terms` stage asks to accept, in one of its languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Policy {
    /// The server's name for the document.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its title, in English where there is an English one.
    pub name: String,
    /// Where it can be read. The server's word: check the scheme before opening it.
    pub url: String,
}

impl Policy {
    fn from_json(id: &str, policy: &Value) -> Option<Self> {
        let translations = policy.as_object()?;
        // Some servers write `en_US` for `en-US`.
        let is_english = |language: &str| language.split(['-', '_']).next() == Some("en");
        let document = translations
            .iter()
            .find(|(language, document)| is_english(language) && document.is_object())
            .or_else(|| {
                translations
                    .iter()
                    .find(|(_, document)| document.is_object())
            })?
            .1;
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self {
            id: id.to_owned(),
            version: text(policy.get("version")),
            name: text(document.get("name")),
            url: text(document.get("url")),
        })
    }
}

/// What a client sends in `auth` to do a stage.
///
/// Its `Debug` shows the stage alone: the rest may be secret.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuthData {
    /// The stage; none where it was completed out of band.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The session that [`UiaInfo::session`] named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// For `m.login.registration_token`.
    #[serde(with = "exposed", default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// For `m.login.password`.
    #[serde(with = "exposed", default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// For `m.login.recaptcha`: what the captcha answered.
    #[serde(with = "exposed", default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Secret>,
    /// For `m.login.password`: who authenticates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Value>,
    /// For `m.login.email.identity` and `m.login.msisdn`: the validation session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threepid_creds: Option<Value>,
}

impl AuthData {
    /// Begins or goes on with `stage`.
    pub fn stage(stage: Stage, session: Option<String>) -> Self {
        Self {
            stage: Some(stage),
            session,
            ..Self::default()
        }
    }

    /// Asks how far the session has come, after a stage was completed out of band.
    pub fn completed_elsewhere(session: String) -> Self {
        Self {
            session: Some(session),
            ..Self::default()
        }
    }

    /// Gives a registration token.
    pub fn registration_token(token: Secret, session: Option<String>) -> Self {
        Self {
            token: Some(token),
            ..Self::stage(Stage::RegistrationToken, session)
        }
    }
}

impl fmt::Debug for AuthData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthData")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
