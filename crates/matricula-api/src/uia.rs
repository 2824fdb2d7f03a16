//! User-interactive authentication: what a server asks for, and what a client sends back.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>.

use std::fmt;

use matricula_core::{Secret, lossy_json};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

pub use crate::identifier::UserIdentifier;
use crate::{
    Endpoint, ErrorCode, Extra, LenientList, Raw, SortedMap,
    codec::{self, Read, Reader, text_enum},
    object::object,
};

/// A request that may require user-interactive authentication: it is sent again with the data of a
/// stage.
pub trait UiaEndpoint: Endpoint {
    /// Adds the data of a stage to the request.
    #[must_use]
    fn with_auth(self, auth: AuthData) -> Self;
}

/// The body of a 401 response: the flows, and the progress of the session.
///
/// Lenient: servers send `null` for what is absent.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UiaInfo {
    /// The flows, each a list of stages. A flow with a stage that cannot be read is invalid: it cannot be
    /// completed.
    pub flows: LenientList<Flow>,
    /// The parameters of stages, by stage.
    pub params: SortedMap<Stage, Raw>,
    /// The session id, for every further [`AuthData`].
    pub session: Option<String>,
    /// The completed stages.
    pub completed: LenientList<Stage>,
    /// The error code of the last attempt at a stage.
    pub errcode: Option<ErrorCode>,
    /// The error message of the last attempt.
    pub error: Option<String>,
    /// Fields that the specification does not name.
    pub extra: Extra,
}

/// The body of any error response: possibly a request for authentication.
pub(crate) struct ErrorBody {
    pub(crate) info: UiaInfo,
    pub(crate) has_flows: bool,
}

impl Read for ErrorBody {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        let (mut flows, mut params, mut completed) = (None, None, None);
        let mut info = UiaInfo::default();
        let extra = &mut info.extra;
        from.object()?;
        while let Some(key) = from.key()? {
            match &*key {
                "flows" => flows = from.optional("flows", extra)?,
                "params" => params = from.optional("params", extra)?,
                "completed" => completed = from.optional("completed", extra)?,
                "session" => info.session = from.optional("session", extra)?,
                "errcode" => info.errcode = from.optional("errcode", extra)?,
                "error" => info.error = from.optional("error", extra)?,
                _ => extra.read(key, from)?,
            }
        }
        let has_flows = flows.is_some();
        info.flows = flows.unwrap_or_default();
        info.params = params.unwrap_or_default();
        info.completed = completed.unwrap_or_default();
        Ok(Self { info, has_flows })
    }
}

impl<'de> Deserialize<'de> for UiaInfo {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        codec::deserialize(from).map(|ErrorBody { info, .. }| info)
    }
}

impl Serialize for UiaInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let extra = &self.extra;
        codec::list_entry(&mut map, "flows", &self.flows, self.flows.is_empty(), extra)?;
        codec::list_entry(
            &mut map,
            "params",
            &self.params,
            self.params.is_empty(),
            extra,
        )?;
        codec::entry(&mut map, "session", self.session.as_ref())?;
        let has_completed = !self.completed.is_empty() || !self.completed.invalid().is_empty();
        let completed = Some(&self.completed).filter(|_| has_completed);
        codec::entry(&mut map, "completed", completed)?;
        codec::entry(&mut map, "errcode", self.errcode.as_ref())?;
        codec::entry(&mut map, "error", self.error.as_ref())?;
        let set = [
            ("flows", !self.flows.is_empty()),
            ("params", !self.params.is_empty()),
            ("completed", has_completed),
            ("session", self.session.is_some()),
            ("errcode", self.errcode.is_some()),
            ("error", self.error.is_some()),
        ];
        codec::extra(&mut map, extra, &set)?;
        map.end()
    }
}

impl UiaInfo {
    /// Reads the body of a 401 response.
    ///
    /// # Errors
    /// If a field has the wrong type.
    pub fn from_json(body: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(body)
    }

    /// What the server says about the last attempt at a stage; `None` if it says nothing. It may be empty:
    /// an error code without words.
    ///
    /// [Palpo](https://github.com/palpo-im/palpo) writes the words to `message` and the code to `kind`.
    pub fn refusal(&self) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let words = self.error.clone();
        let words = words.or_else(|| self.extra.get("message").and_then(text));
        words.or_else(|| self.code().map(|_| String::new()))
    }

    /// The error code of the last attempt, where the server writes it.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        let other = || self.extra.get("kind")?.get("errcode")?.as_str();
        self.errcode.clone().or_else(|| other().map(Into::into))
    }

    /// The documents to accept in the stage `m.login.terms`; empty if there are none.
    pub fn policies(&self) -> Vec<Policy> {
        let Some(Value::Object(policies)) = self.param(&Stage::Terms, "policies") else {
            return Vec::new();
        };
        policies
            .iter()
            .filter_map(|(id, policy)| Policy::from_json(id, policy))
            .collect()
    }

    /// The public key for the stage `m.login.recaptcha`.
    pub fn recaptcha_public_key(&self) -> Option<String> {
        text(self.param(&Stage::Recaptcha, "public_key")?)
    }

    /// The page to approve the stage `m.oauth`. Chosen by the server: check the scheme before
    /// opening it.
    pub fn oauth_url(&self) -> Option<String> {
        text(self.param(&Stage::OAuth, "url")?)
    }

    fn param(&self, stage: &Stage, name: &str) -> Option<Value> {
        match lossy_json(self.params.get(stage.as_str())?.json())? {
            Value::Object(mut params) => params.remove(name),
            _ => None,
        }
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A flow: all its stages must be completed.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Flow {
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// Fields that the specification does not name.
    pub extra: Extra,
}

impl Flow {
    /// A flow of these stages.
    pub fn new(stages: impl IntoIterator<Item = Stage>) -> Self {
        Self {
            stages: stages.into_iter().collect(),
            extra: Extra::new(),
        }
    }
}

impl Read for Flow {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        let mut flow = Self::default();
        from.object()?;
        while let Some(key) = from.key()? {
            match &*key {
                // Without one of its stages it would be another flow.
                "stages" => flow.stages = from.field("stages")?.unwrap_or_default(),
                _ => flow.extra.read(key, from)?,
            }
        }
        Ok(flow)
    }
}

impl<'de> Deserialize<'de> for Flow {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        codec::deserialize(from)
    }
}

impl Serialize for Flow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("stages", &self.stages)?;
        codec::extra(&mut map, &self.extra, &[])?;
        map.end()
    }
}

text_enum! {
    /// A stage of user-interactive authentication.
    pub enum Stage {
        /// No action.
        Dummy = "m.login.dummy",
        /// A registration token from the server's administrators.
        RegistrationToken = "m.login.registration_token",
        /// Acceptance of terms.
        Terms = "m.login.terms",
        /// The account's password.
        Password = "m.login.password",
        /// A captcha.
        Recaptcha = "m.login.recaptcha",
        /// Validation of an email address.
        EmailIdentity = "m.login.email.identity",
        /// Validation of a phone number.
        Msisdn = "m.login.msisdn",
        /// Single sign-on.
        Sso = "m.login.sso",
        /// Approval in the account's OAuth 2.0 server.
        OAuth = "m.oauth",
    }
}

/// A document of the stage `m.login.terms`, in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Policy {
    /// The id of the document.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its title, in English if possible.
    pub name: String,
    /// Its URL. Chosen by the server: check the scheme before opening it.
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

/// The field `auth` of a request: the data of a stage.
///
/// `Debug` shows only the stage, because the rest may be secret.
#[derive(Clone, Default, PartialEq)]
pub struct AuthData {
    /// The stage; absent if it was completed out of band.
    pub stage: Option<Stage>,
    /// The session of [`UiaInfo::session`].
    pub session: Option<String>,
    /// For `m.login.registration_token`.
    pub token: Option<Secret>,
    /// For `m.login.password`.
    pub password: Option<Secret>,
    /// For `m.login.recaptcha`: the response of the captcha.
    pub response: Option<Secret>,
    /// For `m.login.password`: the user.
    pub identifier: Option<UserIdentifier>,
    /// For `m.login.email.identity` and `m.login.msisdn`: the validation session.
    pub threepid_creds: Option<ThreepidCreds>,
    /// Fields that the specification does not name.
    pub extra: Extra,
}

impl Read for AuthData {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        let mut auth = Self::default();
        from.object()?;
        while let Some(key) = from.key()? {
            match &*key {
                "type" => auth.stage = from.field("type")?,
                "session" => auth.session = from.field("session")?,
                "token" => auth.token = from.field("token")?,
                "password" => auth.password = from.field("password")?,
                "response" => auth.response = from.field("response")?,
                "identifier" => auth.identifier = from.field("identifier")?,
                "threepid_creds" => auth.threepid_creds = from.field("threepid_creds")?,
                _ => auth.extra.read(key, from)?,
            }
        }
        Ok(auth)
    }
}

impl<'de> Deserialize<'de> for AuthData {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        codec::deserialize(from)
    }
}

impl Serialize for AuthData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let secrets = [
            ("token", &self.token),
            ("password", &self.password),
            ("response", &self.response),
        ];
        codec::entry(&mut map, "type", self.stage.as_ref())?;
        codec::entry(&mut map, "session", self.session.as_ref())?;
        for (name, secret) in secrets {
            codec::entry(&mut map, name, secret.as_ref().map(codec::Exposed).as_ref())?;
        }
        codec::entry(&mut map, "identifier", self.identifier.as_ref())?;
        codec::entry(&mut map, "threepid_creds", self.threepid_creds.as_ref())?;
        codec::extra(&mut map, &self.extra, &[])?;
        map.end()
    }
}

object! {
    /// A validation session of an email address or phone number.
    pub struct ThreepidCreds {
        required {
            /// The session id.
            sid: String = "sid" as text,
            /// The secret that the client generated for the session.
            client_secret: Secret = "client_secret" as secret,
        }
        optional {
            /// The identity server, if it sent the code.
            id_server: String = "id_server" as text,
            /// The token for that identity server.
            id_access_token: Secret = "id_access_token" as secret,
        }
    }
}

impl AuthData {
    /// Starts or continues `stage`.
    pub fn stage(stage: Stage, session: Option<String>) -> Self {
        Self {
            stage: Some(stage),
            session,
            ..Self::default()
        }
    }

    /// Asks for the state of the session, after a stage was completed out of band.
    pub fn completed_out_of_band(session: String) -> Self {
        Self {
            session: Some(session),
            ..Self::default()
        }
    }

    /// The data of the stage for a registration token.
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
