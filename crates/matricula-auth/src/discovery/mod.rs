//! Finds out what a server is and what it offers, before anything secret is sent to it.

mod facts;
mod password_policy;
mod ways;
mod well_known;

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::{
        capabilities::GetCapabilities, login::GetLoginFlows,
        oauth_server_metadata::GetAuthMetadata, registration::Register, versions::GetVersions,
        wellknown::GetWellknown,
    },
};
use matricula_core::{
    Auth, CredentialRef, EffectId, Job, Machine, Response, Step, StepContext, TransportError,
    TransportErrorKind, scheduler::Outcome,
};
use serde_json::Value;

pub use facts::{IdentityProvider, LoginFlow, OAuthOffer, Probe, RegistrationOffer, ServerInfo};
pub use password_policy::PasswordPolicy;
pub use ways::{RegistrationMethod, Warning};
pub use well_known::WellKnown;
use well_known::{Document, Verdict};

use crate::{
    Answer, AuthError, Conversation, Effect, Event, Input, Progress, Prompt, ServerAddress,
    address::is_web_page,
};

/// How often the person may give another address.
const MOST_TRIES: u32 = 5;

/// Asks a server for its well-known document, versions, ways to sign in, and OAuth 2.0 server; where
/// told to, for what it wants of strangers, of passwords, and lets an account do.
///
/// Where the well-known document is missing, the name itself is taken as the address. Where it is no
/// good, or the name itself is no homeserver, the person is [asked](Prompt::HomeserverUrl).
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#server-discovery>.
#[derive(Clone, Debug)]
pub struct Discovery {
    address: ServerAddress,
    facts: ServerInfo,
    probe_registration: bool,
    ask_password_policy: bool,
    session: Option<CredentialRef>,
    waiting_for: Vec<Waiting>,
    /// What the person is asked, and the error that it ends with where they have no answer.
    asking: Option<(EffectId, AuthError)>,
    tries: u32,
    last_effect: u64,
}

/// A request on its way.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: EffectId,
    request: Request,
    /// Which of [`ServerInfo::tried`] it is.
    attempt: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    WellKnown,
    Versions,
    LoginFlows,
    AuthMetadata,
    Registration,
    PasswordPolicy,
    Capabilities,
}

type Turn = Step<Effect, Event<ServerInfo>>;

impl Discovery {
    /// Asks the server that a person named.
    pub fn new(address: ServerAddress) -> Self {
        let facts = ServerInfo::of(address.url().clone());
        Self {
            address,
            facts,
            probe_registration: false,
            ask_password_policy: false,
            session: None,
            waiting_for: Vec::new(),
            asking: None,
            tries: 0,
            last_effect: 0,
        }
    }

    /// Asks also what a stranger who registers would be asked. Servers count that as an attempt.
    #[must_use]
    pub fn with_registration(mut self) -> Self {
        self.probe_registration = true;
        self
    }

    /// Asks also what passwords must have. Only Synapse tells.
    #[must_use]
    pub fn with_password_policy(mut self) -> Self {
        self.ask_password_policy = true;
        self
    }

    /// Asks also what the account with this session may do.
    #[must_use]
    pub fn with_session(mut self, credential: CredentialRef) -> Self {
        self.session = Some(credential);
        self
    }

    /// What has been found out so far: where it fails, this tells what was tried.
    pub fn server_info(&self) -> &ServerInfo {
        &self.facts
    }

    fn job(&self, request: Request) -> Job {
        let server = &self.facts.server;
        match request {
            Request::WellKnown => GetWellknown::default().job(server),
            Request::Versions => GetVersions::default().job(server),
            Request::LoginFlows => GetLoginFlows::default().job(server),
            Request::AuthMetadata => GetAuthMetadata::default().job(server),
            Request::Registration => Register::default().job(server),
            Request::PasswordPolicy => PasswordPolicy::job(server),
            Request::Capabilities => {
                let auth = self.session.clone().map_or(Auth::None, Auth::Required);
                GetCapabilities::default().job(server).with_auth(auth)
            }
        }
    }

    fn send(&mut self, request: Request, turn: &mut Turn) {
        let job = self.job(request);
        let id = self.next_effect();
        let attempt = Probe::new(job.operation_id(), job.request_method(), job.url());
        self.waiting_for.push(Waiting {
            id,
            request,
            attempt: self.facts.tried.len(),
        });
        self.facts.tried.push(attempt);
        turn.effects.push(Effect::Send(id, Box::new(job)));
    }

    fn next_effect(&mut self) -> EffectId {
        self.last_effect += 1;
        EffectId(self.last_effect)
    }

    /// Clients that know OAuth 2.0 must not register where single sign-on is preferred.
    fn may_probe(&self) -> bool {
        self.probe_registration && !self.facts.prefers_sso()
    }

    fn ask_the_server(&mut self, turn: &mut Turn) {
        self.send(Request::Versions, turn);
        self.send(Request::LoginFlows, turn);
        self.send(Request::AuthMetadata, turn);
        if self.ask_password_policy {
            self.send(Request::PasswordPolicy, turn);
        }
        if self.session.is_some() {
            self.send(Request::Capabilities, turn);
        }
    }

    fn on_outcome(&mut self, id: EffectId, outcome: Outcome, turn: &mut Turn) {
        let Some(at) = self.waiting_for.iter().position(|one| one.id == id) else {
            return;
        };
        let Waiting {
            request, attempt, ..
        } = self.waiting_for.swap_remove(at);
        self.note(attempt, &outcome);
        let response = match outcome {
            Outcome::Responded(response) => response,
            Outcome::Failed(error) | Outcome::InDoubt(error) => {
                return self.on_no_answer(request, error, turn);
            }
            _ => return self.fail(AuthError::Cancelled, turn),
        };
        let read = match request {
            Request::WellKnown => return self.on_well_known(attempt, &response, turn),
            Request::Versions => self.on_versions(&response),
            Request::LoginFlows => self.on_login_flows(&response),
            Request::AuthMetadata => self.on_auth_metadata(&response),
            Request::Registration => self.on_registration(&response),
            Request::PasswordPolicy => {
                self.facts.password_policy = PasswordPolicy::read(&response);
                Ok(())
            }
            Request::Capabilities => {
                let read = GetCapabilities::read(&response);
                self.facts.capabilities = read.ok().map(|answer| answer.capabilities);
                Ok(())
            }
        };
        match read {
            Ok(()) => self.go_on(request, turn),
            Err(error) => {
                self.facts.tried[attempt]
                    .error
                    .get_or_insert_with(|| error.to_string());
                self.fail(error, turn);
            }
        }
    }

    /// Writes down what became of a request.
    fn note(&mut self, attempt: usize, outcome: &Outcome) {
        let attempt = &mut self.facts.tried[attempt];
        match outcome {
            Outcome::Responded(response) => {
                attempt.status = Some(response.status_code());
                if response.status_code() >= 400 {
                    let code = response.error_code();
                    attempt.errcode = (!code.is_empty()).then(|| ErrorCode::from(&*code));
                    attempt.error = Some(response.error_message()).filter(|text| !text.is_empty());
                }
            }
            Outcome::Failed(error) | Outcome::InDoubt(error) => {
                attempt.error = Some(error.to_string());
            }
            _ => attempt.error = Some("called off".to_owned()),
        }
    }

    fn go_on(&mut self, request: Request, turn: &mut Turn) {
        if request == Request::LoginFlows && self.may_probe() {
            self.send(Request::Registration, turn);
        } else if self.waiting_for.is_empty() {
            turn.events.push(Event::Finished(Ok(self.facts.clone())));
        }
    }

    fn on_no_answer(&mut self, request: Request, error: TransportError, turn: &mut Turn) {
        match request {
            // Most servers have none of these, and say so in every way there is.
            Request::AuthMetadata | Request::PasswordPolicy | Request::Capabilities => {
                self.go_on(request, turn);
            }
            Request::Registration => {
                let message = error.to_string();
                self.facts.registration = Some(RegistrationOffer::Unknown { message });
                self.go_on(request, turn);
            }
            Request::WellKnown => {
                let error = self.no_answer(error);
                self.ask(error, turn);
            }
            Request::Versions | Request::LoginFlows => {
                let error = self.no_answer(error);
                self.fail(error, turn);
            }
        }
    }

    fn no_answer(&self, error: TransportError) -> AuthError {
        let server = self.facts.server.clone();
        match error.kind {
            TransportErrorKind::TooLarge
            | TransportErrorKind::Redirect
            | TransportErrorKind::ConnectionLost => AuthError::NotMatrix {
                server,
                what: error.to_string(),
            },
            _ => AuthError::Unreachable { server, error },
        }
    }

    /// The server cannot be used. Where only a guess led there, the person may know better.
    fn fail(&mut self, error: AuthError, turn: &mut Turn) {
        self.waiting_for.clear();
        if self.facts.well_known == WellKnown::Missing && error != AuthError::Cancelled {
            self.ask(error, turn);
        } else {
            turn.events.push(Event::Finished(Err(error)));
        }
    }

    /// Asks the person where the server is; it ends with `error` where they have no answer.
    fn ask(&mut self, error: AuthError, turn: &mut Turn) {
        let name = self.address.to_string();
        let why = error.to_string();
        let id = self.next_effect();
        self.asking = Some((id, error));
        let question = Prompt::HomeserverUrl { name, why };
        turn.effects.push(Effect::Ask(id, question));
    }

    fn on_reply(&mut self, id: EffectId, reply: Answer, turn: &mut Turn) {
        let Some((_, error)) = self.asking.take_if(|(asked, _)| *asked == id) else {
            return;
        };
        let text = match &reply {
            Answer::Text(text) => Some(text.expose()),
            _ => None,
        };
        let address = text.and_then(|text| text.parse::<ServerAddress>().ok());
        self.tries += 1;
        match address {
            Some(address) => {
                self.facts.server = address.url().clone();
                self.facts.well_known = WellKnown::GivenInstead {
                    why: error.to_string(),
                };
                self.ask_the_server(turn);
            }
            // No address: ask again.
            None if text.is_some() && self.tries < MOST_TRIES => self.ask(error, turn),
            None => turn.events.push(Event::Finished(Err(error))),
        }
    }

    fn on_well_known(&mut self, attempt: usize, response: &Response, turn: &mut Turn) {
        let name = self.address.url().clone();
        let unusable = |what: String| AuthError::WellKnown {
            server: name.clone(),
            what,
        };
        match well_known::read(&name, response) {
            Verdict::Use(Document {
                homeserver,
                identity_server,
            }) => {
                self.facts.server = homeserver;
                self.facts.identity_server = identity_server;
                self.facts.well_known = WellKnown::Found;
                self.ask_the_server(turn);
            }
            Verdict::Ignore => {
                self.facts.well_known = WellKnown::Missing;
                turn.events.push(Event::Progress(Progress::NoWellKnown {
                    name: self.address.to_string(),
                    server: name,
                }));
                self.ask_the_server(turn);
            }
            Verdict::FailPrompt(what) => {
                self.facts.tried[attempt].error = Some(what.clone());
                self.ask(unusable(what), turn);
            }
            Verdict::FailError(what) => {
                self.facts.tried[attempt].error = Some(what.clone());
                self.fail(unusable(what), turn);
            }
        }
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
            Ok(_)
            | Err(
                ApiError::Matrix(_)
                | ApiError::UnexpectedStatus {
                    status: 404 | 405 | 501,
                },
            ) => Ok(()),
            Err(error) => Err(AuthError::from_api(&self.facts.server, error)),
        }
    }

    fn on_auth_metadata(&mut self, response: &Response) -> Result<(), AuthError> {
        let metadata = GetAuthMetadata::read(response).ok();
        // A person is sent there.
        if let Some(metadata) = metadata.filter(|metadata| is_web_page(&metadata.issuer)) {
            self.facts.oauth_issuer = Some(metadata.issuer.clone());
            self.facts.oauth = Some(OAuthOffer::of(metadata));
        }
        Ok(())
    }

    fn on_registration(&mut self, response: &Response) -> Result<(), AuthError> {
        self.facts.registration = Some(match Register::read(response) {
            Err(ApiError::Uia(info)) => RegistrationOffer::Open(*info),
            Err(ApiError::Matrix(error))
                if matches!(error.code, ErrorCode::Forbidden | ErrorCode::Unrecognized) =>
            {
                RegistrationOffer::Closed {
                    message: error.message,
                }
            }
            Err(ApiError::UnexpectedStatus { status: 403 })
                if !response.error_message().is_empty() =>
            {
                RegistrationOffer::Closed {
                    message: response.error_message(),
                }
            }
            Err(error) => RegistrationOffer::Unknown {
                message: error.to_string(),
            },
            Ok(_) => RegistrationOffer::Unknown {
                message: "it made an account of this question, without any authentication".into(),
            },
        });
        Ok(())
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
            identity_providers: identity_providers(&flow),
        })
    };
    flows.into_iter().filter_map(read).collect()
}

fn identity_providers(flow: &Value) -> Vec<IdentityProvider> {
    /// More than a person would choose from.
    const MOST: usize = 50;
    let providers = flow.get("identity_providers").and_then(Value::as_array);
    let read = |provider: &Value| {
        let text = |name: &str| provider.get(name)?.as_str().map(str::to_owned);
        let (id, name) = (text("id")?, text("name")?);
        (!id.is_empty()).then_some(IdentityProvider { id, name })
    };
    let providers = providers.into_iter().flatten();
    providers.filter_map(read).take(MOST).collect()
}

impl Machine for Discovery {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<ServerInfo>;

    fn step(&mut self, _: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        match input {
            Input::Start => match self.address {
                ServerAddress::Name(_) => self.send(Request::WellKnown, &mut turn),
                ServerAddress::Url(_) => self.ask_the_server(&mut turn),
            },
            Input::Outcome(id, outcome) => self.on_outcome(id, outcome, &mut turn),
            Input::Answer(id, reply) => self.on_reply(id, reply, &mut turn),
            Input::Waited(_) => {}
        }
        turn
    }
}

impl Conversation for Discovery {
    type Output = ServerInfo;
}
