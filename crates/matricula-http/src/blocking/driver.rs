//! Carries out what the scheduler of a runner says: sends it, writes it, wakes it when it says so.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use matricula_core::{
    CredentialRef, EffectId, Job, Processed, Scheduler, Store, StoreError, TransportError,
    TransportErrorKind, TransportResult, WriteBatch,
    scheduler::{Effect, Event, Input, JobId},
};

use super::{events::Events, threads::Threads, timer::Timer, transport::Transport};
use crate::{
    Credentials, SubmitError,
    core::{Core, Watcher},
    error::refused,
};

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
    moved: Condvar,
    threads: Arc<Threads>,
    timer: Arc<Timer>,
}

/// Gets another token for a credential, and says whether there is one.
#[derive(Clone)]
pub(crate) struct Renewal(pub(crate) Arc<dyn Fn(CredentialRef) -> bool + Send + Sync>);

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal")
    }
}

#[derive(Debug)]
struct State {
    core: Core,
    on_the_wire: HashSet<EffectId>,
    /// Requests that were called back, whose threads wait for answers that nobody wants.
    lost: HashSet<EffectId>,
    /// What no thread has taken yet.
    unsent: VecDeque<Request>,
    /// Credentials that are not good any more, and that nobody has begun to renew.
    refused: Vec<CredentialRef>,
}

type Request = (EffectId, Arc<Job>);

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
                on_the_wire: HashSet::new(),
                lost: HashSet::new(),
                unsent: VecDeque::new(),
                refused: Vec::new(),
            }),
            store: None,
            renewal: None,
            moved: Condvar::new(),
            threads: Arc::default(),
            timer: Arc::default(),
        }
    }

    pub(crate) fn keeping_in(mut self, store: Box<dyn Store>) -> Self {
        self.store = Some(Mutex::new(Kept(store)));
        self
    }

    pub(crate) fn renewing(mut self, renewal: Option<Renewal>) -> Self {
        self.renewal = renewal;
        self
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

    pub(crate) fn listen(&self) -> Events {
        let (events, listener) = Events::new();
        self.lock().core.listen(listener);
        events
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in a job; what happens to it comes through the channel, its end last.
    pub(crate) fn submit(
        self: &Arc<Self>,
        job: Job,
    ) -> Result<(JobId, mpsc::Receiver<Event>), SubmitError> {
        let (tell, told) = mpsc::channel();
        let mut state = self.lock();
        let (job_id, effects) = state.core.submit(job, to(tell))?;
        state.note(effects);
        drop(state);
        self.carry_on();
        Ok((job_id, told))
    }

    /// What happens to a job from now on; none where it has ended.
    pub(crate) fn watch(&self, job_id: JobId) -> Option<mpsc::Receiver<Event>> {
        let (tell, told) = mpsc::channel();
        self.lock().core.watch(job_id, to(tell)).map(|()| told)
    }

    /// Takes an input, and carries out what follows from it.
    pub(crate) fn input(self: &Arc<Self>, input: Input) {
        self.lock().step(input);
        self.carry_on();
    }

    fn carry_on(self: &Arc<Self>) {
        self.write();
        self.go_on();
    }

    /// Lets threads begin with what is there to be done.
    fn go_on(self: &Arc<Self>) {
        self.send();
        self.renew();
        self.set_timer();
    }

    /// Writes what is to be written, on this thread. What came in meanwhile is the next one's: whoever
    /// hands in a job must not be kept writing for others.
    fn write(self: &Arc<Self>) {
        if !self.write_one() || self.lock().core.is_written() {
            return;
        }
        let driver = Arc::clone(self);
        let rest = self.threads.spawn(move || driver.write_on());
        if rest.is_err() {
            self.write_on();
        }
    }

    fn write_on(self: &Arc<Self>) {
        while self.write_one() {
            self.go_on();
        }
    }

    /// Whether there was something to write that nobody else was writing.
    fn write_one(&self) -> bool {
        let Some(patch) = self.lock().core.next_write() else {
            return false;
        };
        let result = self.commit(&patch);
        let mut state = self.lock();
        let effects = state.core.written(result);
        state.note(effects);
        drop(state);
        self.moved.notify_all();
        true
    }

    fn commit(&self, patch: &WriteBatch) -> Result<(), StoreError> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        store.0.commit(patch)
    }

    /// One key of the store, as it is when everything that was said so far is durable.
    pub(crate) fn read(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let is_unwritten = |state: &mut State| !state.core.is_written();
        let waited = self.moved.wait_while(self.lock(), is_unwritten);
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.core.broken() {
            return Err(error.clone());
        }
        drop(state);
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        store.0.get(table, key)
    }

    fn send(self: &Arc<Self>) {
        while let Some((id, job)) = self.take() {
            let driver = Arc::clone(self);
            if let Err(error) = self.threads.spawn(move || driver.work((id, job))) {
                let message = format!("the system starts no thread for a request: {error}");
                self.answered(
                    id,
                    TransportResult::Failed(refused(TransportErrorKind::Connect, message)),
                );
                self.write();
            }
        }
    }

    /// The next request that no thread has, which is on the wire from now on.
    fn take(&self) -> Option<Request> {
        let mut state = self.lock();
        let (id, job) = state.unsent.pop_front()?;
        state.on_the_wire.insert(id);
        Some((id, job))
    }

    /// Sends one request after the other, while there are any.
    fn work(self: Arc<Self>, first: Request) {
        let mut next = Some(first);
        while let Some((id, job)) = next {
            let sending = Sending { driver: &self, id };
            let answer = self.ask(id, &job);
            std::mem::forget(sending);
            self.answered(id, answer);
            self.write();
            next = self.take();
            self.go_on();
        }
    }

    /// Whether nobody has called it back.
    fn is_wanted(&self, id: EffectId) -> bool {
        self.lock().on_the_wire.contains(&id)
    }

    fn ask(&self, id: EffectId, job: &Job) -> TransportResult {
        if !self.is_wanted(id) {
            let message = "called back before it was sent".to_owned();
            return TransportResult::Failed(refused(TransportErrorKind::InvalidRequest, message));
        }
        match self.credentials.token_of(job) {
            Ok(token) => self.transport.send(job, token, &|| self.is_wanted(id)),
            Err(error) => TransportResult::Failed(error),
        }
    }

    /// Hands an answer to the scheduler, unless the request was called back: then nobody wants it.
    fn answered(&self, id: EffectId, answer: TransportResult) {
        let mut state = self.lock();
        if state.on_the_wire.remove(&id) {
            state.step(Input::Completed(id, answer));
        } else {
            state.lost.remove(&id);
        }
        drop(state);
        self.moved.notify_all();
    }

    fn renew(self: &Arc<Self>) {
        let Some(Renewal(renew)) = &self.renewal else {
            return;
        };
        let refused = std::mem::take(&mut self.lock().refused);
        for credential in refused {
            let (driver, renew, asked) = (Arc::clone(self), Arc::clone(renew), credential.clone());
            let started = self.threads.spawn(move || {
                let answer = Asked(&driver, &asked);
                let is_there = renew(asked.clone());
                std::mem::forget(answer);
                driver.input(match is_there {
                    true => Input::CredentialReady(asked),
                    false => Input::CredentialRefused(asked),
                });
            });
            if let Err(error) = started {
                tracing::error!(%error, "the system starts no thread to renew a token");
                self.lock().refused.push(credential);
            }
        }
    }

    fn set_timer(self: &Arc<Self>) {
        // It does not keep a runner alive that nobody has any more.
        let driver = Arc::downgrade(self);
        // With the lock held: another thread must not set an older time after this one.
        let state = self.lock();
        let set = self.timer.set(state.core.wake_at(), move || {
            if let Some(driver) = driver.upgrade() {
                driver.input(Input::Wake);
            }
        });
        if let Err(error) = set {
            tracing::error!(%error, "the system starts no thread to wait on");
        }
    }

    /// Waits until nothing is on the wire any more, all that was said is durable, and the threads
    /// that did it have let go of the store.
    pub(crate) fn quiet(&self, time: Duration) {
        let end = Instant::now() + time;
        let is_busy = |state: &mut State| {
            !(state.unsent.is_empty() && state.on_the_wire.is_empty() && state.core.is_written())
        };
        let waited = self.moved.wait_timeout_while(self.lock(), time, is_busy);
        let lost = waited.unwrap_or_else(PoisonError::into_inner).0.lost.len();
        let left = end.saturating_duration_since(Instant::now());
        self.threads.wait_for(lost, left);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Its thread ends.
        let _ = self.timer.set(None, || {});
    }
}

fn to(tell: mpsc::Sender<Event>) -> Watcher {
    Box::new(move |event| {
        // Nobody listens any more: the job goes on all the same.
        let _ = tell.send(event);
    })
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
                Effect::Send(id, job) => self.unsent.push_back((id, job)),
                Effect::Abort(id) => {
                    self.unsent.retain(|(unsent, _)| *unsent != id);
                    if self.on_the_wire.remove(&id) {
                        self.lost.insert(id);
                    }
                }
                Effect::NeedCredential(credential) => self.refused.push(credential),
                _ => {}
            }
        }
    }
}

/// A token that is asked for: where the asking panics, there is none.
struct Asked<'a>(&'a Arc<Driver>, &'a CredentialRef);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.input(Input::CredentialRefused(self.1.clone()));
    }
}

/// A request on its way. Whatever becomes of its thread, it is answered.
struct Sending<'a> {
    driver: &'a Arc<Driver>,
    id: EffectId,
}

impl Drop for Sending<'_> {
    /// The thread panics in the middle of it.
    fn drop(&mut self) {
        let answer = TransportResult::Failed(TransportError {
            kind: TransportErrorKind::ConnectionLost,
            processed: Processed::Maybe,
            message: "the request's thread broke down before the answer came".to_owned(),
        });
        self.driver.answered(self.id, answer);
        self.driver.carry_on();
    }
}

/// How long is waited for what is on the wire when a runner is told to stop.
pub(crate) const LONGEST_QUIET: Duration = Duration::from_secs(60);
