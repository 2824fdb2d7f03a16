//! The conversation that creates the account of one row, by the route of the run.

use matricula_api::UserId;
use matricula_auth::{
    Account, Answer, AppserviceError, AppserviceRegistration, AuthError, Effect, Event, Input,
    Login, LoginError, Progress, RegisterError, Registration, RegistrationOptions, ServerError,
    ServerInfo, ThreepidError, tables::REGISTRATIONS,
};
use matricula_core::{EffectId, Job, Machine, Secret, ServerUrl, Step, StepContext, WriteBatch};

use super::{Entry, Route, RowState};
use crate::{
    AdminError, CreateUser, CreateUserResult, PendingUser, SharedSecretRegistration,
    tables::PENDING_USERS,
};

/// The credentials that a run creates accounts with. Each kind belongs to a [`Route`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AdminCredentials {
    /// The session of an administrator.
    Admin(Box<Account>),
    /// The server's `registration_shared_secret`.
    SharedSecret {
        /// The server.
        server: Box<ServerInfo>,
        /// The shared secret.
        secret: Secret,
    },
    /// A registration token.
    Token {
        /// The server.
        server: Box<ServerInfo>,
        /// The token.
        token: Secret,
        /// Whether to accept the server's terms for the new users.
        accept_terms: bool,
    },
    /// The `as_token` of an application service.
    Appservice {
        /// The server.
        server: Box<ServerInfo>,
        /// The token.
        token: Secret,
    },
}

impl AdminCredentials {
    /// The route that they belong to.
    pub fn route(&self) -> Route {
        match self {
            Self::Admin(_) => Route::Admin,
            Self::SharedSecret { .. } => Route::SharedSecret,
            Self::Token { .. } => Route::Token,
            Self::Appservice { .. } => Route::Appservice,
        }
    }

    /// The server.
    pub fn server(&self) -> &ServerUrl {
        match self {
            Self::Admin(account) => &account.server,
            Self::SharedSecret { server, .. }
            | Self::Token { server, .. }
            | Self::Appservice { server, .. } => &server.server,
        }
    }
}

/// How a row ended.
#[derive(Debug)]
pub(super) enum RowOutcome {
    Created {
        user_id: UserId,
        /// The access token of the session that came with the account.
        token: Option<Secret>,
        /// What the server refused of it, in words.
        refused: Option<String>,
    },
    Exists,
    Refused(String),
    InDoubt(String),
    /// An error that every other row would meet too.
    StopsRun(AdminError),
}

/// What one input to a row leads to.
#[derive(Debug, Default)]
pub(super) struct RowStep {
    pub(super) requests: Vec<(EffectId, Box<Job>)>,
    /// Set if the account may exist from now on; with the conversation's state, if it is needed to
    /// continue.
    pub(super) begun: Option<Option<Secret>>,
    /// Whether the outcome leaves no doubt about the account.
    pub(super) is_settled: bool,
    pub(super) outcome: Option<RowOutcome>,
}

/// Creates the account of one row.
#[derive(Debug)]
pub(super) struct RowRegistration {
    flow: RowFlow,
    /// Whether a response was lost, in this run or an earlier one.
    is_lost: bool,
}

#[derive(Debug)]
enum RowFlow {
    Admin(Box<CreateUser>),
    SharedSecret(Box<SharedSecretRegistration>),
    Token(Box<Registration>),
    /// Finds out by login whether the account exists and is the run's. Otherwise the registration
    /// follows.
    Login(Box<Login>, Option<Box<Registration>>),
    Appservice(Box<AppserviceRegistration>),
}

/// The step of a flow, with its result as a [`RowOutcome`].
struct FlowStep {
    writes: WriteBatch,
    effects: Vec<Effect>,
    is_lost: bool,
    outcome: Option<RowOutcome>,
}

impl FlowStep {
    fn new<T, E: Into<AdminError>>(
        step: Step<Effect, Event<T, E>>,
        outcome: impl Fn(Result<T, AdminError>) -> RowOutcome,
    ) -> Self {
        let mut this = Self {
            writes: step.writes,
            effects: step.effects,
            is_lost: false,
            outcome: None,
        };
        for event in step.events {
            match event {
                Event::Progress(Progress::Settling(_)) => this.is_lost = true,
                Event::Finished(result) => this.outcome = Some(outcome(result.map_err(Into::into))),
                _ => {}
            }
        }
        this
    }
}

impl RowRegistration {
    /// The conversation for a row in its present state.
    ///
    /// # Errors
    /// If username and server make no valid user id, the password is missing, or the stored
    /// conversation cannot be read.
    pub(super) fn new(credentials: &AdminCredentials, entry: &Entry) -> Result<Self, RowOutcome> {
        let password = match &entry.password {
            Some(password) => password.clone(),
            None if !credentials.route().has_passwords() => Secret::default(),
            None => return Err(RowOutcome::Refused("it has no stored password".to_owned())),
        };
        let is_begun = entry.state.begun().is_some();
        let pending = is_begun.then(|| PendingUser::given(password.clone()));
        let name = entry.row.localpart();
        let flow = match credentials {
            AdminCredentials::Admin(account) => {
                RowFlow::Admin(Box::new(create_user(account, entry, password, pending)?))
            }
            AdminCredentials::SharedSecret { server, secret } => {
                let mut registration = SharedSecretRegistration::new(server, secret.clone(), name)
                    .password(password)
                    .admin(entry.row.is_admin);
                if let Some(name) = &entry.row.display_name {
                    registration = registration.display_name(name.clone());
                }
                if let Some(pending) = pending {
                    registration = registration.resume(pending);
                }
                RowFlow::SharedSecret(Box::new(registration))
            }
            AdminCredentials::Token {
                server,
                token,
                accept_terms,
            } => {
                let options = RegistrationOptions {
                    token: Some(token.clone()),
                    accept_terms: *accept_terms,
                    ..RegistrationOptions::default()
                };
                register_with_token(server, entry, name, password, options)?
            }
            AdminCredentials::Appservice { server, token } => {
                let registration = AppserviceRegistration::new(server, token.clone(), name);
                RowFlow::Appservice(Box::new(registration.inhibit_login(true)))
            }
        };
        Ok(Self {
            flow,
            is_lost: is_begun,
        })
    }

    pub(super) fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> RowStep {
        let mut row_step = RowStep::default();
        if matches!((&self.flow, &input), (RowFlow::Appservice(_), Input::Start)) {
            // It stores nothing before its first request, which creates the user.
            row_step.begun = Some(None);
        }
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let step = self.step_flow(cx, input);
            self.is_lost |= step.is_lost;
            if step.outcome.is_some() {
                row_step.outcome = step.outcome;
            }
            if let Some(conversation) = begun(&step.writes) {
                row_step.begun = Some(conversation);
            }
            for effect in step.effects {
                match effect {
                    Effect::Send(id, job) => row_step.requests.push((id, job)),
                    Effect::Ask(id, _) => inputs.push(Input::Answer(id, Answer::Unavailable)),
                    // Flows only wait for people.
                    Effect::Wait(id, _) => inputs.push(Input::Waited(id)),
                    other => debug_assert!(false, "a row cannot carry out {other:?}"),
                }
            }
        }
        if let Some(outcome) = row_step.outcome.take() {
            let outcome = self.check_appservice(outcome);
            row_step.is_settled = self.is_settled(&outcome);
            row_step.outcome = Some(outcome);
        }
        row_step
    }

    fn step_flow(&mut self, cx: &mut StepContext<'_>, input: Input) -> FlowStep {
        let (login, registration) = match &mut self.flow {
            RowFlow::Admin(flow) => return FlowStep::new(flow.step(cx, input), RowOutcome::user),
            RowFlow::SharedSecret(flow) => {
                let mut step = FlowStep::new(flow.step(cx, input), RowOutcome::account);
                if let Some(RowOutcome::Created { refused, .. }) = &mut step.outcome {
                    *refused = flow.refused().map(ToString::to_string);
                }
                return step;
            }
            RowFlow::Token(flow) => {
                return FlowStep::new(flow.step(cx, input), RowOutcome::account);
            }
            RowFlow::Appservice(flow) => {
                return FlowStep::new(flow.step(cx, input), RowOutcome::account);
            }
            RowFlow::Login(login, registration) => (login, registration),
        };
        let step = login.step(cx, input);
        let is_refused = |event: &Event<Account, LoginError>| {
            matches!(
                event,
                Event::Finished(Err(LoginError::WrongPassword { .. }))
            )
        };
        if step.events.iter().any(is_refused)
            && let Some(registration) = registration.take()
        {
            self.flow = RowFlow::Token(registration);
            self.is_lost = false;
            return self.step_flow(cx, Input::Start);
        }
        FlowStep::new(step, |result| {
            result.map_or_else(
                |error| RowOutcome::InDoubt(format!("the login to find out failed: {error}")),
                |account| RowOutcome::account(Ok(account)),
            )
        })
    }

    /// Users of an application service have no password, so a login cannot find out whether this run
    /// created them.
    fn check_appservice(&self, outcome: RowOutcome) -> RowOutcome {
        match (&self.flow, outcome) {
            (RowFlow::Appservice(_), RowOutcome::Created { .. } | RowOutcome::Exists)
                if self.is_lost =>
            {
                RowOutcome::InDoubt(
                    "a response was lost, and the user exists: created by this run, or before it"
                        .to_owned(),
                )
            }
            (_, outcome) => outcome,
        }
    }

    fn is_settled(&self, outcome: &RowOutcome) -> bool {
        match outcome {
            RowOutcome::Created { .. } | RowOutcome::Exists | RowOutcome::Refused(_) => true,
            // A server that failed may have created the account before that.
            RowOutcome::StopsRun(AdminError::Auth(AuthError::Server(
                ServerError::Unavailable { .. },
            ))) => false,
            RowOutcome::StopsRun(_) => !self.is_lost,
            RowOutcome::InDoubt(_) => false,
        }
    }
}

/// The flow of a registration with a token: a new registration; the stored one; or, if the stored one
/// could not find out whether it created the account, a login first.
fn register_with_token(
    server: &ServerInfo,
    entry: &Entry,
    name: String,
    password: Secret,
    options: RegistrationOptions,
) -> Result<RowFlow, RowOutcome> {
    if let RowState::Begun {
        conversation: Some(stored),
    } = &entry.state
    {
        let stored = Registration::from_stored(stored.expose().as_bytes()).map_err(|error| {
            RowOutcome::InDoubt(format!("its stored registration cannot be read: {error}"))
        })?;
        // The token of the earlier run may have been wrong.
        return Ok(RowFlow::Token(Box::new(stored.answers(options))));
    }
    let options = RegistrationOptions {
        username: Some(name.clone()),
        password: Some(password.clone()),
        ..options
    };
    let registration = Box::new(Registration::new(server, options).name_check(false));
    Ok(match entry.state {
        RowState::InDoubt { .. } => {
            let login = Login::new(server, name, password);
            RowFlow::Login(Box::new(login), Some(registration))
        }
        _ => RowFlow::Token(registration),
    })
}

fn create_user(
    administrator: &Account,
    entry: &Entry,
    password: Secret,
    pending: Option<PendingUser>,
) -> Result<CreateUser, RowOutcome> {
    let server = administrator.user_id.server_name();
    let user_id = format!("@{}:{server}", entry.row.localpart());
    let user_id: UserId = user_id.parse().map_err(|error| {
        RowOutcome::Refused(format!("{user_id:?} is not a valid user id: {error}"))
    })?;
    let mut create = CreateUser::new(administrator, user_id)
        .password(password)
        .admin(entry.row.is_admin);
    if let Some(name) = &entry.row.display_name {
        create = create.display_name(name.clone());
    }
    if let Some(email) = &entry.row.email {
        create = create.email(email.clone());
    }
    if let Some(pending) = pending {
        create = create.resume(pending);
    }
    Ok(create)
}

/// Whether a flow is about to create its account, by what it stores; with the state that is needed to
/// continue, if any. Accounts are not stored: their sessions are logged out.
fn begun(writes: &WriteBatch) -> Option<Option<Secret>> {
    let mut latest_first = writes.writes().iter().rev();
    latest_first.find_map(|write| match (&*write.table, &write.value) {
        (PENDING_USERS, Some(_)) => Some(None),
        (REGISTRATIONS, Some(value)) => {
            let state = String::from_utf8_lossy(value).into_owned();
            Some(Some(Secret::from(state)))
        }
        _ => None,
    })
}

impl RowOutcome {
    fn account(result: Result<Account, AdminError>) -> Self {
        match result {
            Ok(account) => Self::Created {
                user_id: account.user_id,
                token: account.access_token,
                refused: None,
            },
            Err(error) => Self::error(error),
        }
    }

    fn user(result: Result<CreateUserResult, AdminError>) -> Self {
        match result {
            Ok(CreateUserResult::Created(account)) => Self::account(Ok(*account)),
            Ok(CreateUserResult::Incomplete(account, refused)) => Self::Created {
                user_id: account.user_id,
                token: account.access_token,
                refused: Some(refused.to_string()),
            },
            Ok(CreateUserResult::Exists(_)) => Self::Exists,
            Err(error) => Self::error(error),
        }
    }

    /// What an error means: for the row, or for the whole run.
    fn error(error: AdminError) -> Self {
        let AdminError::Auth(auth) = &error else {
            return Self::StopsRun(error);
        };
        match auth {
            AuthError::Register(RegisterError::NameTaken { .. })
            | AuthError::Appservice(AppserviceError::NameTaken { .. }) => Self::Exists,
            AuthError::Register(RegisterError::InDoubt { what, .. })
            | AuthError::Appservice(AppserviceError::MayBeDone { what, .. }) => {
                Self::InDoubt(what.clone())
            }
            AuthError::Register(
                RegisterError::NameInvalid { .. }
                | RegisterError::NameReserved { .. }
                | RegisterError::WeakPassword { .. },
            )
            | AuthError::Appservice(
                AppserviceError::NameInvalid { .. } | AppserviceError::OutsideNamespace { .. },
            )
            | AuthError::Threepid(ThreepidError::AddressRefused { .. })
            | AuthError::Server(ServerError::Refused { .. }) => Self::Refused(error.to_string()),
            _ => Self::StopsRun(error),
        }
    }
}
