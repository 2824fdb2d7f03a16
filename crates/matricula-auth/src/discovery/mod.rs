//! Server discovery: the address of a homeserver and what it offers, before any secret is sent to it.

mod password_policy;
mod registration_methods;
mod server_info;
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

pub use password_policy::PasswordPolicy;
pub use registration_methods::{RegistrationMethod, Warning};
pub use server_info::{
    IdentityProvider, LoginFlow, OAuthOffer, Probe, RegistrationOffer, ServerInfo,
};
pub use well_known::WellKnown;
use well_known::{Document, Lookup};

use crate::{
    Answer, Conversation, DiscoveryError, Effect, Event, Input, Progress, Prompt, ServerAddress,
    ServerError, conversation::ConversationState, server_address::is_web_page,
};

/// The field that asks clients which know OAuth 2.0 to use a flow alone, and its name in the proposal.
const OAUTH_AWARE: [&str; 2] = [
    "oauth_aware_preferred",
    "org.matrix.msc3824.delegated_oidc_compatibility",
];
/// How often the person is asked for an address.
const MAX_TRIES: u32 = 5;

/// Asks a server for its well-known document, its versions, its login flows and its OAuth 2.0 server. On
/// request also for its registration flows, its password policy and an account's capabilities.
///
/// If the well-known document is missing, the name itself is used as the address. If it is invalid, or there
/// is no homeserver at the name, the person is [asked](Prompt::HomeserverUrl).
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#server-discovery>.
#[derive(Clone, Debug)]
pub struct Discovery {
    address: ServerAddress,
    info: ServerInfo,
    registration: bool,
    password_policy: bool,
    session: Option<CredentialRef>,
    in_flight: Vec<InFlight>,
    /// The error of the login flows, until the versions are known.
    login_failure: Option<ServerError>,
    /// The question to the person, and the error that it ends with without an answer.
    asking: Option<(EffectId, DiscoveryError)>,
    tries: u32,
    conversation: ConversationState<ServerInfo, DiscoveryError>,
}

/// A request in flight.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: EffectId,
    request: Request,
    /// Its index in [`ServerInfo::tried`].
    probe: usize,
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

impl Discovery {
    /// Discovers the server with this address.
    pub fn new(address: ServerAddress) -> Self {
        let info = ServerInfo::of(address.url().clone());
        Self {
            address,
            info,
            registration: false,
            password_policy: false,
            session: None,
            in_flight: Vec::new(),
            login_failure: None,
            asking: None,
            tries: 0,
            conversation: ConversationState::default(),
        }
    }

    /// Whether to ask for the registration flows too. Servers count that as an attempt to register.
    #[must_use]
    pub fn registration(mut self, is_wanted: bool) -> Self {
        self.registration = is_wanted;
        self
    }

    /// Whether to ask for the password policy too. Only Synapse has one.
    #[must_use]
    pub fn password_policy(mut self, is_wanted: bool) -> Self {
        self.password_policy = is_wanted;
        self
    }

    /// Asks for the capabilities of the account with this session too.
    #[must_use]
    pub fn session(mut self, credential: CredentialRef) -> Self {
        self.session = Some(credential);
        self
    }

    /// What has been found out so far. After a failure it shows what was tried.
    pub fn server_info(&self) -> &ServerInfo {
        &self.info
    }

    fn job(&self, request: Request) -> Job {
        let server = &self.info.server;
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

    fn send(&mut self, request: Request) {
        let job = self.job(request);
        let probe = Probe::new(job.operation_id(), job.request_method(), job.url());
        self.in_flight.push(InFlight {
            id: self.conversation.send(job),
            request,
            probe: self.info.tried.len(),
        });
        self.info.tried.push(probe);
    }

    /// Clients that know OAuth 2.0 must not register where single sign-on is preferred.
    fn may_probe(&self) -> bool {
        self.registration && !self.info.prefers_sso()
    }

    fn ask_server(&mut self) {
        self.send(Request::Versions);
        self.send(Request::LoginFlows);
        self.send(Request::AuthMetadata);
        if self.password_policy {
            self.send(Request::PasswordPolicy);
        }
        if self.session.is_some() {
            self.send(Request::Capabilities);
        }
    }

    fn on_outcome(&mut self, id: EffectId, outcome: Outcome) {
        let Some(at) = self.in_flight.iter().position(|one| one.id == id) else {
            return;
        };
        let InFlight { request, probe, .. } = self.in_flight.swap_remove(at);
        self.record(probe, &outcome);
        let response = match outcome {
            Outcome::Responded(response) => response,
            Outcome::Failed(error) | Outcome::InDoubt(error) => {
                return self.on_no_answer(request, error);
            }
            _ => return self.fail(ServerError::Cancelled.into()),
        };
        let read = match request {
            Request::WellKnown => return self.on_well_known(probe, &response),
            Request::Versions => self.on_versions(&response),
            Request::LoginFlows => self.on_login_flows(&response),
            Request::AuthMetadata => self.on_auth_metadata(&response),
            Request::Registration => self.on_registration(&response),
            Request::PasswordPolicy => {
                self.info.password_policy = PasswordPolicy::read(&response);
                Ok(())
            }
            Request::Capabilities => {
                let read = GetCapabilities::read(&response);
                self.info.capabilities = read.ok().map(|answer| answer.capabilities);
                Ok(())
            }
        };
        match read {
            Ok(()) => self.advance(request),
            Err(error) => {
                self.info.tried[probe]
                    .error
                    .get_or_insert_with(|| error.to_string());
                let asks_versions = |one: &InFlight| one.request == Request::Versions;
                // Only the versions show whether there is a homeserver that can fail.
                if request == Request::LoginFlows && self.in_flight.iter().any(asks_versions) {
                    self.login_failure = Some(error);
                } else {
                    self.fail(error.into());
                }
            }
        }
    }

    /// Records the result of a request.
    fn record(&mut self, probe: usize, outcome: &Outcome) {
        let probe = &mut self.info.tried[probe];
        match outcome {
            Outcome::Responded(response) => {
                probe.status = Some(response.status_code());
                if response.status_code() >= 400 {
                    let code = response.error_code();
                    probe.errcode = (!code.is_empty()).then(|| ErrorCode::from(&*code));
                    probe.error = Some(response.error_message()).filter(|text| !text.is_empty());
                }
            }
            Outcome::Failed(error) | Outcome::InDoubt(error) => {
                probe.error = Some(error.to_string());
            }
            _ => probe.error = Some("cancelled".to_owned()),
        }
    }

    fn advance(&mut self, request: Request) {
        if let Some(error) = self.login_failure.take_if(|_| request == Request::Versions) {
            self.fail(error.into());
        } else if request == Request::LoginFlows && self.may_probe() {
            self.send(Request::Registration);
        } else if self.in_flight.is_empty() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let is_closed = matches!(
            self.info.registration,
            Some(RegistrationOffer::Closed { .. })
        );
        // A server that delegates accounts is always closed itself.
        if let Some(what) = self.info.oauth_trouble.as_ref().filter(|_| is_closed) {
            let message = format!("its OAuth 2.0 server is in trouble ({what}); try again later");
            self.info.registration = Some(RegistrationOffer::Unknown { message });
        }
        self.conversation.finish(Ok(self.info.clone()));
    }

    fn on_no_answer(&mut self, request: Request, error: TransportError) {
        match request {
            // Optional. Servers without it answer in many ways.
            Request::AuthMetadata => {
                let may_pass = error.kind.is_transient();
                self.info.oauth_trouble = may_pass.then(|| error.to_string());
                self.advance(request);
            }
            Request::PasswordPolicy | Request::Capabilities => self.advance(request),
            Request::Registration => {
                let message = error.to_string();
                self.info.registration = Some(RegistrationOffer::Unknown { message });
                self.advance(request);
            }
            Request::WellKnown => {
                let error = self.no_answer(error);
                self.ask(error.into());
            }
            Request::Versions | Request::LoginFlows => {
                let error = self.no_answer(error);
                self.fail(error.into());
            }
        }
    }

    fn no_answer(&self, error: TransportError) -> ServerError {
        let server = &self.info.server;
        match error.kind {
            TransportErrorKind::TooLarge
            | TransportErrorKind::Redirect
            | TransportErrorKind::ConnectionLost => ServerError::not_matrix(server, error),
            _ => ServerError::unreachable(server, error),
        }
    }

    /// The server cannot be used. If its address was a guess, the person may know the right one.
    fn fail(&mut self, error: DiscoveryError) {
        self.in_flight.clear();
        self.login_failure = None;
        let may_be_elsewhere = !matches!(
            error,
            DiscoveryError::Server(ServerError::Cancelled | ServerError::Unavailable { .. })
        );
        if self.info.well_known == WellKnown::Missing && may_be_elsewhere {
            self.ask(error);
        } else {
            self.conversation.fail(error);
        }
    }

    /// Asks the person for the address of the server. Without an answer the discovery ends with `error`.
    fn ask(&mut self, error: DiscoveryError) {
        let name = self.address.to_string();
        let why = error.to_string();
        let id = self.conversation.ask(Prompt::HomeserverUrl { name, why });
        self.asking = Some((id, error));
    }

    fn on_answer(&mut self, id: EffectId, answer: Answer) {
        let Some((_, error)) = self.asking.take_if(|(asked, _)| *asked == id) else {
            return;
        };
        let text = match &answer {
            Answer::Text(text) => Some(text.expose()),
            _ => None,
        };
        let address = text.and_then(|text| text.parse::<ServerAddress>().ok());
        self.tries += 1;
        match address {
            Some(address) => {
                self.info.server = address.url().clone();
                self.info.well_known = WellKnown::GivenInstead {
                    why: error.to_string(),
                };
                self.ask_server();
            }
            // Not an address: ask again.
            None if text.is_some() && self.tries < MAX_TRIES => self.ask(error),
            None => self.conversation.fail(error),
        }
    }

    fn on_well_known(&mut self, probe: usize, response: &Response) {
        let name = self.address.url().clone();
        let unusable = |what: String| DiscoveryError::WellKnown {
            server: name.clone(),
            what,
        };
        if let Some(error) = ApiError::from_response(response).filter(|_| response.asks_to_wait()) {
            return self.ask(ServerError::from_api(&name, error).into());
        }
        match well_known::read(&name, response) {
            Lookup::Use(Document {
                homeserver,
                identity_server,
            }) => {
                self.info.server = homeserver;
                self.info.identity_server = identity_server;
                self.info.well_known = WellKnown::Found;
                self.info.server_name = Some(self.address.to_string());
                self.ask_server();
            }
            Lookup::Ignore => {
                self.info.well_known = WellKnown::Missing;
                self.conversation.progress(Progress::NoWellKnown {
                    name: self.address.to_string(),
                    server: name,
                });
                self.ask_server();
            }
            Lookup::FailPrompt(what) => {
                self.info.tried[probe].error = Some(what.clone());
                self.ask(unusable(what));
            }
            Lookup::FailError(what) => {
                self.info.tried[probe].error = Some(what.clone());
                self.fail(unusable(what));
            }
        }
    }

    fn on_versions(&mut self, response: &Response) -> Result<(), ServerError> {
        match GetVersions::read(response) {
            Ok(versions) => {
                self.info.versions = versions.versions.into();
                Ok(())
            }
            // An error page does not show that there is a homeserver.
            Err(error @ ApiError::UnexpectedStatus { .. }) => {
                Err(ServerError::not_matrix(&self.info.server, error))
            }
            Err(error) => Err(match ServerError::from_api(&self.info.server, error) {
                ServerError::Refused { server, error } => {
                    let what = format!("asked for its versions, it says {error}");
                    ServerError::not_matrix(&server, what)
                }
                other => other,
            }),
        }
    }

    fn on_login_flows(&mut self, response: &Response) -> Result<(), ServerError> {
        if response.success() {
            self.info.login_flows = login_flows(response.json_body().unwrap_or_default());
            return Ok(());
        }
        match GetLoginFlows::read(response) {
            // There is no such API: the server delegates to OAuth 2.0.
            Ok(_)
            | Err(
                ApiError::Matrix(_)
                | ApiError::UnexpectedStatus {
                    status: 404 | 405 | 501,
                },
            ) => Ok(()),
            Err(error) => Err(ServerError::from_api(&self.info.server, error)),
        }
    }

    fn on_auth_metadata(&mut self, response: &Response) -> Result<(), ServerError> {
        match GetAuthMetadata::read(response) {
            // It is opened in a browser.
            Ok(metadata) if is_web_page(&metadata.issuer) => {
                self.info.oauth = Some(OAuthOffer::of(&metadata));
                self.info.oauth_issuer = Some(metadata.issuer);
            }
            // It may have such a server, and could not ask it.
            Err(error) if response.status_code() >= 500 || response.asks_to_wait() => {
                self.info.oauth_trouble = Some(error.to_string());
            }
            _ => {}
        }
        Ok(())
    }

    fn on_registration(&mut self, response: &Response) -> Result<(), ServerError> {
        self.info.registration = Some(match Register::read(response) {
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

/// Reads the flows leniently: one that is malformed must not hide the others.
fn login_flows(body: Value) -> Vec<LoginFlow> {
    let flows = body
        .get("flows")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let read = |flow: Value| {
        Some(LoginFlow {
            kind: flow.get("type")?.as_str()?.to_owned(),
            oauth_aware_preferred: OAUTH_AWARE
                .iter()
                .any(|name| flow.get(name) == Some(&Value::Bool(true))),
            identity_providers: identity_providers(&flow),
        })
    };
    flows.into_iter().filter_map(read).collect()
}

fn identity_providers(flow: &Value) -> Vec<IdentityProvider> {
    /// More than a person would choose from.
    const MAX: usize = 50;
    let providers = flow.get("identity_providers").and_then(Value::as_array);
    let read = |provider: &Value| {
        let text = |name: &str| provider.get(name)?.as_str().map(str::to_owned);
        let id = text("id").filter(|id| !id.is_empty())?;
        let name = text("name").filter(|name| !name.trim().is_empty());
        Some(IdentityProvider {
            name: name.unwrap_or_else(|| id.clone()),
            id,
        })
    };
    let providers = providers.into_iter().flatten();
    providers.filter_map(read).take(MAX).collect()
}

impl Machine for Discovery {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<ServerInfo, DiscoveryError>;

    fn step(
        &mut self,
        _: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<ServerInfo, DiscoveryError>> {
        match input {
            Input::Start => match self.address {
                ServerAddress::Name(_) => self.send(Request::WellKnown),
                ServerAddress::Url(_) => self.ask_server(),
            },
            Input::Outcome(id, outcome) => self.on_outcome(id, outcome),
            Input::Answer(id, answer) => self.on_answer(id, answer),
            Input::Waited(_) => {}
        }
        self.conversation.take_step()
    }
}

impl Conversation for Discovery {
    type Output = ServerInfo;
    type Error = DiscoveryError;
}
