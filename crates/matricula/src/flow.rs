//! A registration or login that is under way, and how one that was interrupted is resumed.

use std::{future::IntoFuture, pin::Pin};

use matricula_api::{
    Endpoint,
    client::{device_management::GetDevices, login::Login as LoginRequest},
};
use matricula_auth::{
    Account, Conversation, Effect, Event, Input, PendingAuth, Progress, RegistrationOptions,
    ServerInfo, SignUp, conversation::convert_error, read_login,
};
use matricula_core::{Machine, ServerUrl, Step, StepContext, WriteBatch};
use matricula_http::{Runner, SystemClock};
use serde_json::Value;

use crate::{
    Error, Session,
    connection::{Connection, Server, connection_setters},
    future::{BoxFuture, boxed},
    send,
};

/// A registration or login that has found its server.
pub struct AuthFlow<'a> {
    pub(crate) connection: Connection<'a>,
    pub(crate) server: ServerInfo,
    pub(crate) conversation: AuthConversation,
    /// Whether it signs in without a password. Then the stored one stays as good as it was.
    pub(crate) is_without_password: bool,
}

/// The conversation that ends in the account.
pub(crate) enum AuthConversation {
    SignUp(Box<SignUp>),
    Pending(Box<PendingAuth>),
    /// One whose state is not stored.
    Direct(Box<DirectConversation>),
    /// A login token, and the data to store with the account.
    LoginToken(Box<LoginRequest>, Value),
}

/// A conversation that ends in an account, whatever error it has.
pub(crate) type DirectConversation =
    dyn Conversation<Output = Account, Error = Error, Event = Event<Account, Error>> + Send;

impl AuthConversation {
    /// A conversation whose state is not stored.
    pub(crate) fn direct<C>(conversation: C) -> Self
    where
        C: Conversation<Output = Account> + Send + 'static,
        Error: From<C::Error>,
    {
        Self::Direct(Box::new(WithError(conversation)))
    }
}

/// A conversation with its error converted into the facade's.
struct WithError<C>(C);

impl<C: Conversation<Output = Account>> Machine for WithError<C>
where
    Error: From<C::Error>,
{
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, Error>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, Error>> {
        convert_error(self.0.step(cx, input))
    }
}

impl<C: Conversation<Output = Account>> Conversation for WithError<C>
where
    Error: From<C::Error>,
{
    type Output = Account;
    type Error = Error;
}

impl<'a> AuthFlow<'a> {
    /// What is known about the server.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// The stored state of the conversation: with its [id](PendingAuth::id), another process can
    /// [`resume`] it. `None` if there is no such state.
    pub fn pending(&self) -> Option<&PendingAuth> {
        match &self.conversation {
            AuthConversation::SignUp(sign_up) => sign_up.current(),
            AuthConversation::Pending(pending) => Some(pending),
            AuthConversation::Direct(_) | AuthConversation::LoginToken(..) => None,
        }
    }

    /// Runs the conversation to its end.
    ///
    /// A person may sign in to an existing account on the page of a registration. That is reported with
    /// [`Progress::AccountExisted`].
    ///
    /// # Errors
    /// If the server refuses, cannot be reached, or asks for something that no prompt answered.
    pub fn run(&mut self) -> impl Future<Output = Result<Account, Error>> + Send {
        boxed(async move {
            let known = self.connection.store.load_all().unwrap_or_default();
            let mut account = self.run_conversation().await?;
            let on_page = |pending: &PendingAuth| pending.signs_up() && pending.stage().is_some();
            let is_sign_up_page = self.pending().is_some_and(on_page);
            if self.is_without_password || is_sign_up_page {
                self.keep_password(&known, &mut account)?;
            }
            if is_sign_up_page {
                let is_known = known.iter().any(|one| one.user_id == account.user_id);
                let runner = self.connection.runner.clone();
                if is_known || has_other_devices(&runner, &account).await {
                    let user_id = account.user_id.clone();
                    let prompts = &mut self.connection.prompts;
                    prompts.progress(&Progress::AccountExisted(user_id));
                }
            }
            Ok(account)
        })
    }

    /// Stores the generated password of the account again, which the new session has replaced.
    fn keep_password(&mut self, known: &[Account], account: &mut Account) -> Result<(), Error> {
        let is_same = |old: &&Account| {
            let is_same_place =
                old.server == account.server || (!old.data.is_null() && old.data == account.data);
            old.user_id == account.user_id && is_same_place
        };
        let old = known.iter().find(is_same);
        let password = old.and_then(|old| old.password.clone());
        if account.password.is_some() || password.is_none() {
            return Ok(());
        }
        account.password = password;
        let mut writes = WriteBatch::default();
        account.write_to(&mut writes);
        Ok(self.connection.store.commit(&writes)?)
    }

    fn run_conversation(&mut self) -> BoxFuture<'_, Result<Account, Error>> {
        boxed(async move {
            let connection = &mut self.connection;
            match &mut self.conversation {
                AuthConversation::SignUp(sign_up) => connection.drive(&mut **sign_up).await,
                AuthConversation::Pending(pending) => connection.drive(&mut **pending).await,
                AuthConversation::Direct(conversation) => {
                    connection.drive(&mut **conversation).await
                }
                AuthConversation::LoginToken(request, data) => {
                    let job = request.job(&self.server.server);
                    let response = send(&connection.runner, job).await?;
                    let answer = read_login(&response)?;
                    let (server, now) = (&self.server.server, SystemClock::now());
                    let account = Account::from_login(server, now, answer, data.clone());
                    let mut writes = WriteBatch::default();
                    account.write_to(&mut writes);
                    connection.store.commit(&writes)?;
                    Ok(account)
                }
            }
        })
    }

    pub(crate) async fn into_session(mut self) -> Result<Session, Error> {
        let account = self.run().await?;
        Ok(Session::with_store(
            account,
            self.connection.runner,
            self.connection.store,
        ))
    }
}

/// Whether the account has devices besides that of its new session.
async fn has_other_devices(runner: &Runner, account: &Account) -> bool {
    let Some(token) = &account.access_token else {
        return false;
    };
    let job = GetDevices::default()
        .job(&account.server)
        .with_token(token.clone());
    let Ok(response) = send(runner, job).await else {
        return false;
    };
    let devices = GetDevices::read(&response).ok();
    let devices = devices
        .and_then(|answer| answer.devices)
        .unwrap_or_default();
    let this = account.device_id.as_deref();
    devices
        .iter()
        .any(|device| Some(device.device_id.as_str()) != this)
}

/// Resumes a registration or login that [a store](crate::AccountStore::pending) has.
pub fn resume<'a>(pending: PendingAuth) -> ResumeBuilder<'a> {
    let server = ServerInfo::of(pending.server().clone());
    ResumeBuilder {
        connection: Connection::new(Server::Found(Box::new(server))),
        pending,
    }
}

/// Resumes over this connection.
pub(crate) fn with_connection(
    connection: Connection<'_>,
    pending: PendingAuth,
) -> ResumeBuilder<'_> {
    ResumeBuilder {
        connection,
        pending,
    }
}

/// A registration or login to be resumed: `.await` it. See [`resume`].
#[must_use = "await it to resume"]
pub struct ResumeBuilder<'a> {
    connection: Connection<'a>,
    pending: PendingAuth,
}

impl<'a> ResumeBuilder<'a> {
    connection_setters!();

    /// Answers in advance what a registration waits for.
    pub fn answers(mut self, answers: RegistrationOptions) -> Self {
        if let PendingAuth::Registration(registration) = self.pending {
            let registration = registration.answers(answers);
            self.pending = PendingAuth::Registration(Box::new(registration));
        }
        self
    }

    /// The server of a registration has another address now.
    pub fn server_url(mut self, server: ServerUrl) -> Self {
        if let PendingAuth::Registration(registration) = self.pending {
            let registration = registration.move_to(server);
            self.pending = PendingAuth::Registration(Box::new(registration));
        }
        self
    }

    /// Gets ready without sending anything: [`AuthFlow::run`] continues.
    ///
    /// # Errors
    /// If no callback of a browser can be received.
    pub fn start(mut self) -> impl Future<Output = Result<AuthFlow<'a>, Error>> + Send {
        boxed(async move {
            let server = ServerInfo::of(self.pending.server().clone());
            let mut pending = self.pending;
            let is_without_password = !pending.signs_up();
            if pending.redirect_uri().is_some()
                && let Some(browser) = self.connection.browser(&server).await?
            {
                pending = pending.replace_redirect_uri(browser.redirect_uri);
            }
            Ok(AuthFlow {
                connection: self.connection,
                server,
                conversation: AuthConversation::Pending(Box::new(pending)),
                is_without_password,
            })
        })
    }
}

impl<'a> IntoFuture for ResumeBuilder<'a> {
    type Output = Result<Session, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.start().await?.into_session().await })
    }
}
