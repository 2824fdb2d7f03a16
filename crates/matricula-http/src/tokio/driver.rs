//! Carries out what the scheduler of a runner says: sends it, writes it, wakes it when it says so.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use matricula_core::{
    CredentialRef, EffectId, Job, Processed, Scheduler, Store, StoreError, Timestamp,
    TransportError, TransportErrorKind, TransportResult, WriteBatch,
    scheduler::{Effect, Event, Input, JobId},
};
use tokio::{
    runtime,
    sync::{Notify, broadcast, oneshot},
    task::AbortHandle,
};

use crate::{
    Credentials, SubmitError, SystemClock,
    core::{Core, Watcher},
    tokio::job_events::{self, Teller, Told},
    tokio::transport::Transport,
};

/// Events that a slow listener may be behind before it misses some, and is told so.
const MOST_BEHIND: usize = 256;

/// What all clones of a runner share.
#[derive(Debug)]
pub(crate) struct Driver {
    transport: Transport,
    credentials: Credentials,
    state: Mutex<State>,
    /// Where jobs are kept, if they are.
    store: Option<Mutex<Kept>>,
    /// Gets another token where the server does not take one.
    renewal: Option<Renewal>,
    /// Told whenever an answer has come or something was written.
    moved: Notify,
}

/// Gets another token for a credential, and says whether there is one.
pub(crate) type Renewing = Pin<Box<dyn Future<Output = bool> + Send>>;

#[derive(Clone)]
pub(crate) struct Renewal(pub(crate) Arc<dyn Fn(CredentialRef) -> Renewing + Send + Sync>);

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal")
    }
}

#[derive(Debug)]
struct State {
    core: Core,
    listeners: Option<broadcast::Sender<Event>>,
    /// Dropped, the request is given up.
    on_the_wire: HashMap<EffectId, oneshot::Sender<()>>,
    /// What could not be sent, since no runtime was there to send it on.
    unsent: Vec<(EffectId, Arc<Job>)>,
    /// Credentials that are not good any more, and that nobody has begun to renew.
    refused: Vec<CredentialRef>,
    timer: Option<(Timestamp, AbortHandle)>,
}

struct Kept(Box<dyn Store>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl Driver {
    pub(crate) fn new(
        transport: Transport,
        credentials: Credentials,
        scheduler: Scheduler,
    ) -> Self {
        Self {
            transport,
            credentials,
            state: Mutex::new(State {
                core: Core::new(scheduler),
                listeners: None,
                on_the_wire: HashMap::new(),
                unsent: Vec::new(),
                refused: Vec::new(),
                timer: None,
            }),
            store: None,
            renewal: None,
            moved: Notify::new(),
        }
    }

    pub(crate) fn keeping_in(self, store: Box<dyn Store>) -> Self {
        Self {
            store: Some(Mutex::new(Kept(store))),
            ..self
        }
    }

    pub(crate) fn renewing(self, renewal: Option<Renewal>) -> Self {
        Self { renewal, ..self }
    }

    pub(crate) fn renewal(&self) -> Option<&Renewal> {
        self.renewal.as_ref()
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub(crate) fn snapshot(&self) -> Scheduler {
        self.lock().core.scheduler().clone()
    }

    /// Why the store could not be written, after which nothing goes on.
    pub(crate) fn broken(&self) -> Option<StoreError> {
        self.lock().core.broken().cloned()
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        let mut state = self.lock();
        if let Some(listeners) = &state.listeners {
            return listeners.subscribe();
        }
        let (sender, receiver) = broadcast::channel(MOST_BEHIND);
        state.listeners = Some(sender.clone());
        state.core.listen(Box::new(move |event| {
            let _ = sender.send(event.clone());
            true
        }));
        receiver
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in a job; what happens to it comes through the channel, its end last.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) -> Result<(JobId, Told), SubmitError> {
        let (teller, told) = job_events::channel();
        let mut state = self.lock();
        let (job_id, effects) = state.core.submit(job, to(teller))?;
        state.note(effects);
        drop(state);
        self.go_on();
        Ok((job_id, told))
    }

    /// What happens to a job from now on; none where it has ended.
    pub(crate) fn watch(&self, job_id: JobId) -> Option<Told> {
        let (teller, told) = job_events::channel();
        self.lock().core.watch(job_id, to(teller)).map(|()| told)
    }

    /// Takes an input, and carries out what follows from it.
    pub(crate) fn input(self: &Arc<Self>, input: Input) {
        self.lock().step(input);
        self.go_on();
    }

    fn go_on(self: &Arc<Self>) {
        // Without a runtime it waits for the next one that comes along.
        if let Ok(runtime) = runtime::Handle::try_current() {
            self.write_on(&runtime);
            self.send_on(&runtime);
            self.renew_on(&runtime);
            self.set_timer(&runtime);
        }
    }

    fn write_on(self: &Arc<Self>, runtime: &runtime::Handle) {
        let Some(patch) = self.lock().core.next_write() else {
            return;
        };
        let writing = Writing {
            driver: Arc::clone(self),
            patch: Some(patch),
        };
        // It writes when it is dropped: also where the runtime ends before its turn comes.
        drop(runtime.spawn_blocking(move || drop(writing)));
    }

    fn write(self: &Arc<Self>, patch: &WriteBatch) {
        let result = match &self.store {
            Some(store) => {
                let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                store.0.commit(patch)
            }
            None => Ok(()),
        };
        let mut state = self.lock();
        let effects = state.core.written(result);
        state.note(effects);
        drop(state);
        self.go_on();
        self.moved.notify_waiters();
    }

    /// One key of the store, as it is when everything that was said so far is durable.
    pub(crate) async fn read(
        self: &Arc<Self>,
        table: &'static str,
        key: String,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.until(|state| state.core.is_written()).await;
        if let Some(error) = self.broken() {
            return Err(error);
        }
        let driver = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || match &driver.store {
            Some(store) => {
                let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                store.0.get(table, &key)
            }
            None => Ok(None),
        });
        reading.await.unwrap_or_else(|_| {
            Err(StoreError::new(
                "the runtime ended before the store was read",
            ))
        })
    }

    fn send_on(self: &Arc<Self>, runtime: &runtime::Handle) {
        let unsent = self.lock().take_unsent();
        for (id, job, given_up) in unsent {
            let sending = Sending {
                driver: Arc::clone(self),
                id,
                is_over: false,
            };
            // Not with the lock held: a runtime that ends drops what it is given.
            runtime.spawn(sending.run(job, given_up));
        }
    }

    fn renew_on(self: &Arc<Self>, runtime: &runtime::Handle) {
        let Some(Renewal(renew)) = &self.renewal else {
            return;
        };
        let refused = std::mem::take(&mut self.lock().refused);
        for credential in refused {
            let (driver, renewing) = (Arc::clone(self), renew(credential.clone()));
            runtime.spawn(async move {
                let asked = Asked { driver, credential };
                asked.answer(renewing.await);
            });
        }
    }

    fn set_timer(self: &Arc<Self>, runtime: &runtime::Handle) {
        let mut state = self.lock();
        let wanted = state.core.wake_at();
        if state.timer.as_ref().map(|(at, _)| *at) == wanted {
            return;
        }
        let old = state.timer.take();
        drop(state);
        if let Some((_, old)) = old {
            old.abort();
        }
        let Some(at) = wanted else { return };
        let driver = Arc::clone(self);
        let task = runtime.spawn(async move {
            tokio::time::sleep(at.since(SystemClock::now())).await;
            driver.lock().timer = None;
            driver.input(Input::Wake);
        });
        self.lock().timer = Some((at, task.abort_handle()));
    }

    /// Waits until nothing is on the wire any more, and all that was said is durable.
    pub(crate) async fn quiet(&self) {
        self.until(|state| {
            state.unsent.is_empty() && state.on_the_wire.is_empty() && state.core.is_written()
        })
        .await;
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // What moves after the look at it must not be missed.
            moved.as_mut().enable();
            if is_so(&self.lock()) {
                return;
            }
            moved.await;
        }
    }

    async fn send(&self, job: &Job) -> TransportResult {
        match self.credentials.token_of(job) {
            Ok(token) => self.transport.send(job, token).await,
            Err(error) => TransportResult::Failed(error),
        }
    }
}

fn to(teller: Teller) -> Watcher {
    Box::new(move |event| teller.tell(event))
}

impl State {
    fn step(&mut self, input: Input) {
        let effects = self.core.step(input);
        self.note(effects);
    }

    /// Before the lock is given up that they were found under: what calls a request back must not
    /// come before the request.
    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(id, job) => self.unsent.push((id, job)),
                Effect::Abort(id) => {
                    self.unsent.retain(|(unsent, _)| *unsent != id);
                    self.on_the_wire.remove(&id);
                }
                Effect::NeedCredential(credential) => self.refused.push(credential),
                _ => {}
            }
        }
    }

    /// What is to be sent, which counts as on the wire from now on; each with what tells that it is
    /// called back.
    fn take_unsent(&mut self) -> Vec<(EffectId, Arc<Job>, oneshot::Receiver<()>)> {
        let unsent = std::mem::take(&mut self.unsent);
        let on_its_way = |(id, job)| {
            let (give_up, given_up) = oneshot::channel();
            self.on_the_wire.insert(id, give_up);
            (id, job, given_up)
        };
        unsent.into_iter().map(on_its_way).collect()
    }
}

/// A token that was asked for. Where the asking panics, there is none.
struct Asked {
    driver: Arc<Driver>,
    credential: CredentialRef,
}

impl Asked {
    fn answer(self, is_there: bool) {
        self.driver.input(match is_there {
            true => Input::CredentialReady(self.credential.clone()),
            false => Input::CredentialRefused(self.credential.clone()),
        });
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Where the runtime ends instead, another program may get it.
        if std::thread::panicking() {
            let refused = Input::CredentialRefused(self.credential.clone());
            self.driver.input(refused);
        }
    }
}

/// A patch that is written when this is dropped.
struct Writing {
    driver: Arc<Driver>,
    patch: Option<WriteBatch>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(patch) = self.patch.take() {
            self.driver.write(&patch);
        }
    }
}

/// One request on its way. Whatever becomes of it, it is answered once.
struct Sending {
    driver: Arc<Driver>,
    id: EffectId,
    is_over: bool,
}

impl Sending {
    async fn run(mut self, job: Arc<Job>, given_up: oneshot::Receiver<()>) {
        let answer = tokio::select! {
            answer = self.driver.send(&job) => answer,
            // Called back: it needs no answer.
            _ = given_up => {
                self.is_over = true;
                self.driver.moved.notify_waiters();
                return;
            }
        };
        self.is_over = true;
        let mut state = self.driver.lock();
        state.on_the_wire.remove(&self.id);
        state.step(Input::Completed(self.id, answer));
        drop(state);
        self.driver.go_on();
        self.driver.moved.notify_waiters();
    }
}

impl Drop for Sending {
    /// The runtime ended in the middle of it.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let answer = TransportResult::Failed(TransportError {
            kind: TransportErrorKind::ConnectionLost,
            processed: Processed::Maybe,
            message: "the runtime ended before the answer came".to_owned(),
        });
        let mut state = self.driver.lock();
        state.on_the_wire.remove(&self.id);
        // Nothing more is sent or written on a runtime that ends.
        state.step(Input::Completed(self.id, answer));
        state.timer = None;
        drop(state);
        self.driver.moved.notify_waiters();
    }
}

/// How long is waited for what is on the wire when a runner is told to stop.
pub(crate) const LONGEST_QUIET: Duration = Duration::from_secs(60);
