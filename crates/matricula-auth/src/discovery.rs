//! Finds out what a server is and what it offers, before anything secret is sent to it.

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::{
        login::GetLoginFlows, oauth_server_metadata::GetAuthMetadata, registration::Register,
        versions::GetVersions, wellknown::GetWellknown,
    },
    uia::UiaInfo,
};
use matricula_job::{
    Cx, EffectId, Machine, Response, ServerUrl, Step, TransportError, TransportKind,
    scheduler::Outcome,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AuthError, Conversation, Effect, Event, Input, ServerAddress, address::is_web_page};

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerFacts {
    /// Where its API is.
    pub server: ServerUrl,
    /// The versions of the specification that it supports, in its own words.
    pub versions: Vec<String>,
    /// The ways to sign in through Matrix's own API; none where the server has no such API.
    pub login_flows: Vec<LoginFlow>,
    /// The OAuth 2.0 server that it delegates accounts to.
    pub oauth_issuer: Option<String>,
    /// Whether strangers can register; only where [`Discovery::with_registration`] asked for it.
    pub registration: Option<RegistrationOffer>,
}

/// One way to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoginFlow {
    /// Its type, such as `m.login.password`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether clients that know OAuth 2.0 must use this one alone.
    pub oauth_aware_preferred: bool,
}

/// What a server says to a stranger who wants to register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[non_exhaustive]
pub enum RegistrationOffer {
    /// These ways are open.
    Open(UiaInfo),
    /// It is closed, in the server's words.
    Closed {
        /// The server's words.
        message: String,
    },
    /// The server did not say.
    Unknown {
        /// What it said instead.
        message: String,
    },
}

impl ServerFacts {
    /// The facts of a server of which only the address is known.
    pub fn of(server: ServerUrl) -> Self {
        Self {
            server,
            versions: Vec::new(),
            login_flows: Vec::new(),
            oauth_issuer: None,
            registration: None,
        }
    }

    /// What the server offers, where it offers something but no sign-in by password.
    pub(crate) fn offers_instead_of_password(&self) -> Option<Vec<String>> {
        let mut offers: Vec<String> = self
            .login_flows
            .iter()
            .map(|flow| flow.kind.clone())
            .collect();
        if offers.iter().any(|kind| kind == "m.login.password") {
            return None;
        }
        offers.extend(
            self.oauth_issuer
                .iter()
                .map(|issuer| format!("OAuth 2.0 at {issuer}")),
        );
        (!offers.is_empty()).then_some(offers)
    }

    /// Whether the server wants its accounts to be made by single sign-on alone.
    pub(crate) fn prefers_sso(&self) -> bool {
        self.login_flows
            .iter()
            .any(|flow| flow.kind == "m.login.sso" && flow.oauth_aware_preferred)
    }
}

/// Asks a server for its well-known document, versions, ways to sign in, and OAuth 2.0 server.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#server-discovery>.
#[derive(Clone, Debug)]
pub struct Discovery {
    address: ServerAddress,
    facts: ServerFacts,
    probe_registration: bool,
    waiting_for: Vec<Question>,
}

/// The questions, each with the number of its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    WellKnown = 1,
    Versions,
    LoginFlows,
    AuthMetadata,
    Registration,
}

impl Discovery {
    /// Asks the server that a person named.
    pub fn new(address: ServerAddress) -> Self {
        let facts = ServerFacts::of(address.url().clone());
        Self {
            address,
            facts,
            probe_registration: false,
            waiting_for: Vec::new(),
        }
    }

    /// Asks also what a stranger who registers would be asked. Servers count that as an attempt.
    #[must_use]
    pub fn with_registration(mut self) -> Self {
        self.probe_registration = true;
        self
    }

    fn ask(&mut self, question: Question, step: &mut Step<Effect, Event<ServerFacts>>) {
        let server = &self.facts.server;
        let job = match question {
            Question::WellKnown => GetWellknown::default().job(server),
            Question::Versions => GetVersions::default().job(server),
            Question::LoginFlows => GetLoginFlows::default().job(server),
            Question::AuthMetadata => GetAuthMetadata::default().job(server),
            Question::Registration => Register::default().job(server),
        };
        self.waiting_for.push(question);
        step.effects
            .push(Effect::Send(EffectId(question as u64), Box::new(job)));
    }

    /// Clients that know OAuth 2.0 must not register where single sign-on is preferred.
    fn may_probe(&self) -> bool {
        self.probe_registration && !self.facts.prefers_sso()
    }

    fn ask_the_server(&mut self, step: &mut Step<Effect, Event<ServerFacts>>) {
        self.ask(Question::Versions, step);
        self.ask(Question::LoginFlows, step);
        self.ask(Question::AuthMetadata, step);
    }

    fn on_answer(&mut self, question: Question, outcome: Outcome) -> Result<(), AuthError> {
        let response = match outcome {
            Outcome::Done(response) => response,
            // Most servers have none, and say so in every way there is.
            Outcome::Failed(_) | Outcome::InDoubt(_) if question == Question::AuthMetadata => {
                return Ok(());
            }
            Outcome::Failed(error) | Outcome::InDoubt(error) => return Err(self.no_answer(error)),
            _ => return Err(AuthError::Cancelled),
        };
        match question {
            Question::WellKnown => self.on_well_known(&response),
            Question::Versions => self.on_versions(&response),
            Question::LoginFlows => self.on_login_flows(&response),
            Question::AuthMetadata => {
                self.on_auth_metadata(&response);
                Ok(())
            }
            Question::Registration => {
                self.on_registration(&response);
                Ok(())
            }
        }
    }

    fn no_answer(&self, error: TransportError) -> AuthError {
        let server = self.facts.server.clone();
        match error.kind {
            TransportKind::TooLarge | TransportKind::Redirect | TransportKind::Cut => {
                AuthError::NotMatrix {
                    server,
                    what: error.to_string(),
                }
            }
            _ => AuthError::Unreachable { server, error },
        }
    }

    fn on_well_known(&mut self, response: &Response) -> Result<(), AuthError> {
        // "IGNORE" in the specification's terms: there is no such document, so the name is the server.
        if response.status_code() == 404 {
            return Ok(());
        }
        let refuse = |what: String| AuthError::WellKnown {
            server: self.address.url().clone(),
            what,
        };
        let document = GetWellknown::read(response).map_err(|error| refuse(error.to_string()))?;
        let base_url = document.homeserver.base_url;
        let server: ServerUrl = base_url
            .parse()
            .map_err(|error| refuse(format!("{error}")))?;
        if !server.is_https() {
            return Err(refuse(format!(
                "its document leads to {server}, which is not encrypted"
            )));
        }
        // A public name must not send anyone into their own network.
        if server.is_private() {
            return Err(refuse(format!(
                "its document leads to {server}, a private address"
            )));
        }
        self.facts.server = server;
        Ok(())
    }

    fn on_versions(&mut self, response: &Response) -> Result<(), AuthError> {
        match GetVersions::read(response) {
            Ok(versions) => {
                self.facts.versions = versions.versions;
                Ok(())
            }
            Err(error) => Err(match AuthError::from_api(&self.facts.server, error) {
                AuthError::Refused { server, error } => AuthError::NotMatrix {
                    server,
                    what: format!("asked for its versions, it says {error}"),
                },
                other => other,
            }),
        }
    }

    fn on_login_flows(&mut self, response: &Response) -> Result<(), AuthError> {
        if response.success() {
            self.facts.login_flows = login_flows(response.json_body().unwrap_or_default());
            return Ok(());
        }
        match GetLoginFlows::read(response) {
            // No such API: the server delegates to OAuth 2.0.
            Ok(_) | Err(ApiError::Matrix(_)) => Ok(()),
            Err(error) => Err(AuthError::from_api(&self.facts.server, error)),
        }
    }

    fn on_auth_metadata(&mut self, response: &Response) {
        self.facts.oauth_issuer = GetAuthMetadata::read(response)
            .ok()
            .map(|metadata| metadata.issuer.to_string())
            // A person is sent there.
            .filter(|issuer| is_web_page(issuer));
    }

    fn on_registration(&mut self, response: &Response) {
        self.facts.registration = Some(match Register::read(response) {
            Err(ApiError::Uia(info)) => RegistrationOffer::Open(*info),
            Err(ApiError::Matrix(error))
                if matches!(error.code, ErrorCode::Forbidden | ErrorCode::Unrecognized) =>
            {
                RegistrationOffer::Closed {
                    message: error.message,
                }
            }
            Err(error) => RegistrationOffer::Unknown {
                message: error.to_string(),
            },
            Ok(_) => RegistrationOffer::Unknown {
                message: "it registers without any authentication".into(),
            },
        });
    }
}

/// Read leniently: a flow of a shape nobody knows must not hide the others.
fn login_flows(body: Value) -> Vec<LoginFlow> {
    let flows = body
        .get("flows")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let read = |flow: Value| {
        Some(LoginFlow {
            kind: flow.get("type")?.as_str()?.to_owned(),
            oauth_aware_preferred: flow.get("oauth_aware_preferred") == Some(&Value::Bool(true)),
        })
    };
    flows.into_iter().filter_map(read).collect()
}

impl Machine for Discovery {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<ServerFacts>;

    fn step(&mut self, _: &mut Cx<'_>, input: Input) -> Step<Effect, Event<ServerFacts>> {
        let mut step = Step::default();
        let (id, outcome) = match input {
            Input::Start => {
                match self.address {
                    ServerAddress::Name(_) => self.ask(Question::WellKnown, &mut step),
                    ServerAddress::Url(_) => self.ask_the_server(&mut step),
                }
                return step;
            }
            Input::Outcome(id, outcome) => (id, outcome),
            _ => return step,
        };
        let Some(at) = self
            .waiting_for
            .iter()
            .position(|question| *question as u64 == id.0)
        else {
            return step;
        };
        let question = self.waiting_for.swap_remove(at);
        if let Err(error) = self.on_answer(question, outcome) {
            self.waiting_for.clear();
            step.events.push(Event::Finished(Err(error)));
        } else if question == Question::WellKnown {
            self.ask_the_server(&mut step);
        } else if question == Question::LoginFlows && self.may_probe() {
            self.ask(Question::Registration, &mut step);
        } else if self.waiting_for.is_empty() {
            step.events.push(Event::Finished(Ok(self.facts.clone())));
        }
        step
    }
}

impl Conversation for Discovery {
    type Output = ServerFacts;
}
