//! A signed-in account that answers calls and stays signed in.

use std::sync::{Arc, Mutex, PoisonError};

use matricula_api::{ApiError, Endpoint, ErrorCode, client::logout::Logout};
use matricula_auth::{
    Account, Answer, OAuthLogout, Prompt, ServerError, SessionError,
    session::{Call, CallEffect, CallEvent, CallInput, RenewalReason, SessionState},
};
use matricula_core::{
    Auth, Job, Machine, OperationAuth, Response, StepContext, Store, StoreError, WriteBatch,
    scheduler::{Event, Outcome},
};
use matricula_http::{Runner, SystemClock, SystemEntropy};

use crate::{
    AccountStore, DataDirs, Error, NoStore, SessionStore, drive,
    drive::{EventQueue, run_watched},
    future::{BoxFuture, boxed},
    renewal_driver,
};

/// Sends a job and waits for the response, of any status.
///
/// # Errors
/// If there is no response.
pub fn send(runner: &Runner, job: Job) -> impl Future<Output = Result<Response, Error>> + Send {
    boxed(async move { answer(runner.run(job).await) })
}

/// Sends a job like [`send`], and passes its events to `watch` meanwhile.
///
/// # Errors
/// If there is no response.
pub async fn send_watched(
    runner: &Runner,
    job: Job,
    watch: impl FnMut(&Event),
) -> Result<Response, Error> {
    let events = EventQueue::default();
    let sending = send_queued(runner, job, events.clone());
    answer(events.watched(sending, watch).await)
}

fn send_queued(runner: &Runner, job: Job, events: EventQueue) -> BoxFuture<'_, Outcome> {
    boxed(async move { run_watched(runner, job, &mut |event| events.push(event)).await })
}

fn answer(outcome: Outcome) -> Result<Response, Error> {
    match outcome {
        Outcome::Responded(response) => Ok(response),
        Outcome::Failed(error) => Err(Error::Transport(error)),
        Outcome::InDoubt(error) => Err(Error::InDoubt(error)),
        _ => Err(ServerError::Cancelled.into()),
    }
}

/// A signed-in account, ready to call any operation. Clones are the same session.
///
/// It stays signed in. A token that expires soon is renewed before a call. If the server rejects
/// the token, it is renewed and the call is sent again. New tokens are [stored](Session::store)
/// before they are used. Concurrent calls renew only once, also across processes that share an
/// [`AccountStore`]. Details: [`matricula_auth::session`].
///
/// Errors that end or block the session: [`SignedOut`](SessionError::SignedOut),
/// [`SoftLogout`](SessionError::SoftLogout) (log in again with the same device ID),
/// [`UserLocked`](SessionError::UserLocked) and [`UserSuspended`](SessionError::UserSuspended).
#[derive(Clone, Debug)]
pub struct Session {
    runner: Runner,
    shared: Arc<Shared>,
}

/// The state that clones share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<SessionState>,
    /// Held while tokens are renewed or the session is ended.
    pub(crate) renewing: tokio::sync::Mutex<()>,
    store: Mutex<BoxedStore>,
}

struct BoxedStore(Box<dyn SessionStore>);

impl std::fmt::Debug for BoxedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionStore")
    }
}

impl Session {
    /// A session of this account over this runner. Renewed tokens are lost when the process ends,
    /// unless the session has a [store](Session::store).
    pub fn new(account: Account, runner: Runner) -> Self {
        Self::with_store(account, runner, Box::new(NoStore))
    }

    /// The session of this account, like `@bot:example.org`, in the store of the `matricula`
    /// command.
    ///
    /// # Errors
    /// If there is no such account, or the store cannot be read.
    pub fn from_account(user_id: &str) -> Result<Self, Error> {
        Self::from_store(DataDirs::of_user()?.accounts(), Some(user_id))
    }

    /// The session of an account in this store; without a user ID, of the default account.
    ///
    /// # Errors
    /// If there is no such account, or the store cannot be read.
    pub fn from_store(store: AccountStore, user_id: Option<&str>) -> Result<Self, Error> {
        let account = store.account(user_id)?.ok_or_else(|| Error::NoAccount {
            user_id: user_id.map(str::to_owned),
            path: store.path(),
        })?;
        Ok(Self::new(account, Runner::default()).store(store))
    }

    pub(crate) fn with_store(
        account: Account,
        runner: Runner,
        store: Box<dyn SessionStore>,
    ) -> Self {
        let shared = Shared {
            state: Mutex::new(SessionState::new(account)),
            renewing: tokio::sync::Mutex::new(()),
            store: Mutex::new(BoxedStore(store)),
        };
        let session = Self {
            runner,
            shared: Arc::new(shared),
        };
        session.hand_over_token();
        session
    }

    /// The same session, which stores new tokens there before it uses them. Earlier clones become
    /// separate sessions.
    #[must_use]
    pub fn store(self, store: impl SessionStore + 'static) -> Self {
        Self::with_store(self.account(), self.runner, Box::new(store))
    }

    /// The account with its current tokens.
    pub fn account(&self) -> Account {
        self.state(|state| state.account().clone())
    }

    /// The runner that sends its requests.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn state<T>(&self, work: impl FnOnce(&mut SessionState) -> T) -> T {
        let state = self.shared.state.lock();
        work(&mut state.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn store_mut<T>(&self, work: impl FnOnce(&mut dyn SessionStore) -> T) -> T {
        let store = self.shared.store.lock();
        work(&mut *store.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Gives the token to the runner, for jobs that the program runs itself.
    pub(crate) fn hand_over_token(&self) {
        let account = self.account();
        let (credentials, credential) = (self.runner.credentials(), account.credential());
        match account.access_token {
            Some(token) => credentials.insert(credential, account.server, token),
            None => credentials.remove(&credential),
        }
    }

    /// The request as a job with this account's token.
    pub fn job<E: Endpoint>(&self, request: &E) -> Job {
        let account = self.account();
        let job = request.job(&account.server);
        with_auth(job, E::OPERATION.auth, &account)
    }

    /// Sends a request and reads the response.
    ///
    /// # Errors
    /// If the session has ended, there is no response, or the response is an error.
    pub async fn call<E: Endpoint>(&self, request: E) -> Result<E::Response, Error> {
        let response = self.send_boxed(self.job(&request), None).await?;
        Ok(E::read(&response)?)
    }

    /// Sends a [job](Session::job) of this account and waits for the response, of any status.
    ///
    /// # Errors
    /// If the session has ended, or there is no response.
    pub fn send(&self, job: Job) -> impl Future<Output = Result<Response, Error>> + Send {
        self.send_boxed(job, None)
    }

    /// Sends a job like [`send`](Self::send), and passes its events to `watch` meanwhile.
    ///
    /// # Errors
    /// If the session has ended, or there is no response.
    pub async fn send_watched(
        &self,
        job: Job,
        watch: impl FnMut(&Event),
    ) -> Result<Response, Error> {
        let events = EventQueue::default();
        let sending = self.send_boxed(job, Some(events.clone()));
        events.watched(sending, watch).await
    }

    fn send_boxed(
        &self,
        job: Job,
        events: Option<EventQueue>,
    ) -> BoxFuture<'_, Result<Response, Error>> {
        boxed(self.send_with_renewal(job, move |event| {
            if let Some(events) = &events {
                events.push(event);
            }
        }))
    }

    async fn send_with_renewal(
        &self,
        job: Job,
        mut watch: impl FnMut(&Event) + Send,
    ) -> Result<Response, Error> {
        let mut call = Call::new(job);
        let mut input = CallInput::Start(Box::new(self.state(|one| one.clone())));
        loop {
            let step = call.step(
                &mut StepContext::new(SystemClock::now(), &mut SystemEntropy),
                input,
            );
            for event in step.events {
                match event {
                    CallEvent::Locked => self.state(|state| state.lock(SystemClock::now())),
                    CallEvent::Unlocked => self.state(SessionState::unlock),
                    CallEvent::Finished(result) => return answer((*result)?),
                    _ => {}
                }
            }
            input = match step.effects.into_iter().next() {
                Some(CallEffect::Renew(reason, token)) => {
                    let result = renewal_driver::renew(self, reason, Some(token)).await;
                    let state = self.state(|state| state.clone());
                    CallInput::Renewed(Box::new(state), result)
                }
                Some(CallEffect::Send(job)) => {
                    CallInput::Outcome(run_watched(&self.runner, *job, &mut watch).await)
                }
                _ => return Err(ServerError::Cancelled.into()),
            };
        }
    }

    /// Renews the token now. Calls renew it when it is due.
    ///
    /// # Errors
    /// If there is no refresh token, the server refuses, or the new tokens cannot be stored.
    pub fn refresh(&self) -> impl Future<Output = Result<(), Error>> + Send {
        boxed(async move {
            let account = self.account();
            let user_id = account.user_id;
            match (account.access_token, account.refresh_token) {
                (None, _) => Err(SessionError::NotSignedIn { user_id }.into()),
                (_, None) => Err(SessionError::NoRefreshToken { user_id }.into()),
                (token, _) => {
                    Ok(renewal_driver::renew(self, RenewalReason::Requested, token).await?)
                }
            }
        })
    }

    /// Renews a token that expires soon. A failure is ignored while the token is still valid.
    ///
    /// # Errors
    /// If another process has ended the session.
    pub(crate) fn renew_if_due(&self) -> BoxFuture<'_, Result<(), Error>> {
        boxed(async move {
            let account = self.account();
            if !account.is_due(SystemClock::now()) {
                return Ok(());
            }
            let renewed =
                renewal_driver::renew(self, RenewalReason::Due, account.access_token).await;
            match renewed {
                Err(error) if self.account().access_token.is_none() => Err(error.into()),
                _ => Ok(()),
            }
        })
    }

    /// Logs out on the server that issued the tokens, then removes them.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses. It is not an error if the server does not know
    /// the token, or does not let guests log out: the token is removed.
    pub fn log_out(&self) -> impl Future<Output = Result<Account, Error>> + Send {
        boxed(async move {
            let _renewing = self.shared.renewing.lock().await;
            let user_id = self.account().user_id;
            let _lock = renewal_driver::lock(self, &user_id).await?;
            // Another process may have renewed them.
            if let Some(mut stored) = self.store_mut(|store| store.load(&user_id))? {
                stored.server = self.account().server;
                self.state(|state| state.replace(stored));
                self.hand_over_token();
            }
            let before = self.account();
            let mut ended = Writes::default();
            let account = self.end_on_server(before.clone(), &mut ended).await?;
            let Writes(mut writes) = ended;
            account.write_to(&mut writes);
            self.store_mut(|store| store.commit(&writes))?;
            self.runner.credentials().remove(&before.credential());
            self.state(|state| state.replace(account.clone()));
            Ok(account)
        })
    }

    /// Ends the session on its server. `writes` get what is to be stored with the account.
    async fn end_on_server(
        &self,
        mut account: Account,
        writes: &mut Writes,
    ) -> Result<Account, Error> {
        if account.access_token.is_none() {
            let user_id = account.user_id;
            return Err(SessionError::NotSignedIn { user_id }.into());
        }
        if account.oauth.is_some() {
            let mut logout = OAuthLogout::new(account);
            return drive(&mut logout, &self.runner, writes, &mut no_person).await;
        }
        let response = send(&self.runner, self.job(&Logout::default())).await?;
        match Logout::read(&response) {
            Ok(_) => {}
            Err(ApiError::Matrix(error))
                if error.code == ErrorCode::UnknownToken
                    || account.is_guest && error.code == ErrorCode::GuestAccessForbidden => {}
            Err(error) => return Err(error.into()),
        }
        account.end_session();
        Ok(account)
    }
}

/// The writes of a conversation, which its caller stores with its own.
#[derive(Default)]
struct Writes(WriteBatch);

impl Store for Writes {
    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.0.append(batch.clone());
        Ok(())
    }

    fn get(&mut self, _: &str, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }
}

impl SessionStore for Writes {}

/// The job with the account's token, if the operation uses one.
fn with_auth(job: Job, auth: OperationAuth, account: &Account) -> Job {
    match auth {
        OperationAuth::Required => job.with_auth(Auth::Required(account.credential())),
        OperationAuth::Optional => job.with_auth(Auth::Optional(account.credential())),
        _ => job,
    }
}

/// For conversations without prompts.
fn no_person(_: &Prompt) -> Answer {
    Answer::Unavailable
}
