//! Drives a machine on threads: sends its requests, writes its store, wakes it.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use matricula_core::{
    CredentialRef, EffectId, Job, Processed, Scheduler, Store, StoreError, TransportError,
    TransportErrorKind, TransportResult, scheduler::Input,
};

use super::{threads::Threads, timer::Timer, transport::Transport};
use crate::{
    DrivenMachine, DriverInput, Host, Load, STOP_TIMEOUT, core::RunnerCore, error::not_sent,
    job_events::JobWatchers, persistence::SharedStore, queues::SchedulerDriver,
};

/// Drives a machine on threads. Clones drive the same machine.
///
/// A [`Runner`](super::Runner) is a driver of a scheduler. Other machines are started with
/// [`RunnerBuilder::drive`](crate::RunnerBuilder).
pub struct Driver<M: DrivenMachine, H>(pub(super) Arc<Shared<M, H>>);

impl<M: DrivenMachine, H> Clone for Driver<M, H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: DrivenMachine, H> fmt::Debug for Driver<M, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl<M: DrivenMachine, H: Host<M>> Driver<M, H> {
    pub(super) fn new(
        (machine, host): (M, H),
        transport: Transport,
        store: Option<Box<dyn Store>>,
        renewal: Option<Renewal>,
    ) -> Self {
        Self(Arc::new(Shared {
            transport,
            store: SharedStore::new(store),
            renewal,
            state: Mutex::new(State {
                core: RunnerCore::new(machine, host),
            }),
            changed: Condvar::new(),
            threads: Arc::default(),
            timer: TimerHandle::default(),
        }))
    }

    /// Applies an input now. A write that follows is done on this thread, unless another thread is
    /// already writing.
    pub fn input(&self, input: M::Input) {
        self.0.input(input);
    }

    /// Calls `look` with the machine, while the driver's state is locked. It must not block.
    pub fn with_machine<T>(&self, look: impl FnOnce(&M) -> T) -> T {
        look(self.0.lock().core.machine())
    }

    /// Why the store could not be written. After that no input is applied any more.
    pub fn store_error(&self) -> Option<StoreError> {
        self.0.lock().core.store_error().cloned()
    }

    /// Waits until no request is in flight, everything is durable, and the threads that did it have
    /// released the store, for a minute at most.
    pub fn wait_idle(&self) {
        let end = Instant::now() + STOP_TIMEOUT;
        let is_busy = |state: &mut State<M, H>| !state.core.is_idle();
        let shared = &self.0;
        let waited = shared
            .changed
            .wait_timeout_while(shared.lock(), STOP_TIMEOUT, is_busy);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let abandoned = state.core.abandoned();
        drop(state);
        let left = end.saturating_duration_since(Instant::now());
        shared.threads.wait_for(abandoned, left);
    }
}

/// Renews a credential, and returns whether it is valid.
pub(super) type Renewal = Arc<dyn Fn(CredentialRef) -> bool + Send + Sync>;

/// What all clones of a driver share.
pub(super) struct Shared<M: DrivenMachine, H> {
    transport: Transport,
    store: SharedStore,
    renewal: Option<Renewal>,
    state: Mutex<State<M, H>>,
    /// Notified when a request has ended or a write is done.
    changed: Condvar,
    threads: Arc<Threads>,
    timer: TimerHandle,
}

pub(super) struct State<M: DrivenMachine, H> {
    /// A blocking request cannot be aborted: nothing is dropped for it.
    pub(super) core: RunnerCore<M, H, ()>,
}

/// Ends the timer's thread with its driver.
#[derive(Default)]
struct TimerHandle(Arc<Timer>);

impl Drop for TimerHandle {
    fn drop(&mut self) {
        // Clearing it starts no thread, so it cannot fail.
        let _ = self.0.set(None, || {});
    }
}

type Request = (EffectId, Arc<Job>);

impl<M: DrivenMachine, H: Host<M>> Shared<M, H> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State<M, H>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn input(self: &Arc<Self>, input: M::Input) {
        self.lock().core.apply(input);
        self.pump();
    }

    fn report(self: &Arc<Self>, report: DriverInput) {
        self.lock().core.report(report);
        self.pump();
    }

    /// Does the next write, and starts the work that is waiting.
    pub(super) fn pump(self: &Arc<Self>) {
        self.write();
        self.start_work();
    }

    fn start_work(self: &Arc<Self>) {
        self.start_requests();
        self.start_renewals();
        self.start_loads();
        self.set_timer();
    }

    /// Writes one batch on this thread. Later batches are written on another thread, so that the
    /// caller does not wait for the writes of others.
    fn write(self: &Arc<Self>) {
        if !self.write_one() || self.lock().core.is_written() {
            return;
        }
        let driver = Arc::clone(self);
        let rest = self.threads.spawn(move || driver.write_all());
        if rest.is_err() {
            self.write_all();
        }
    }

    fn write_all(self: &Arc<Self>) {
        while self.write_one() {
            self.start_work();
        }
    }

    /// Returns whether there was a batch to write that no other thread was writing.
    fn write_one(&self) -> bool {
        let Some(batch) = self.next_write() else {
            return false;
        };
        let result = self.store.commit(&batch);
        self.lock().core.written(result);
        self.changed.notify_all();
        true
    }

    fn next_write(&self) -> Option<matricula_core::WriteBatch> {
        self.lock().core.next_write()
    }

    /// Reads one row, after everything that was applied before is durable.
    pub(super) fn read(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let is_unwritten = |state: &mut State<M, H>| !state.core.is_written();
        let waited = self.changed.wait_while(self.lock(), is_unwritten);
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.core.store_error() {
            return Err(error.clone());
        }
        drop(state);
        self.store.get(table, key)
    }

    fn start_requests(self: &Arc<Self>) {
        while let Some((id, job)) = self.next_request() {
            let driver = Arc::clone(self);
            if let Err(error) = self.threads.spawn(move || driver.work((id, job))) {
                let message = format!("the system starts no thread for a request: {error}");
                let error = not_sent(TransportErrorKind::Connect, message);
                self.completed(id, TransportResult::Failed(error));
                self.write();
            }
        }
    }

    fn next_request(&self) -> Option<Request> {
        let (id, job, ()) = self.lock().core.next_request(|| ((), ()))?;
        Some((id, job))
    }

    /// Sends one request after the other, as long as there are any.
    fn work(self: Arc<Self>, first: Request) {
        let mut next = Some(first);
        while let Some((id, job)) = next {
            let in_flight = InFlight { driver: &self, id };
            let result = self.send(id, &job);
            std::mem::forget(in_flight);
            self.completed(id, result);
            self.write();
            next = self.next_request();
            self.start_work();
        }
    }

    fn send(&self, id: EffectId, job: &Job) -> TransportResult {
        let is_wanted = || self.lock().core.is_in_flight(id);
        if is_wanted() {
            return self.transport.send(job, &is_wanted);
        }
        let message = "cancelled before it was sent".to_owned();
        TransportResult::Failed(not_sent(TransportErrorKind::InvalidRequest, message))
    }

    fn completed(&self, id: EffectId, result: TransportResult) {
        self.lock().core.completed(id, Some(result));
        self.changed.notify_all();
    }

    fn start_renewals(self: &Arc<Self>) {
        while let Some(credential) = self.next_renewal() {
            let Some(renew) = self.renewal.clone() else {
                continue;
            };
            let (driver, renewing) = (Arc::clone(self), credential.clone());
            let started = self.threads.spawn(move || {
                let pending = PendingRenewal(&driver, &renewing);
                let is_valid = renew(renewing.clone());
                std::mem::forget(pending);
                driver.report(if is_valid {
                    DriverInput::CredentialReady(renewing)
                } else {
                    DriverInput::CredentialRefused(renewing)
                });
            });
            if let Err(error) = started {
                tracing::error!(%error, "the system starts no thread to renew a token");
                self.lock().core.retry_renewal(credential);
                return;
            }
        }
    }

    fn next_renewal(&self) -> Option<CredentialRef> {
        self.lock().core.next_renewal()
    }

    fn start_loads(self: &Arc<Self>) {
        while let Some(load) = self.next_load() {
            let driver = Arc::clone(self);
            let load = Arc::new(load);
            let loading = Arc::clone(&load);
            if self.threads.spawn(move || driver.load(&loading)).is_err() {
                self.load(&load);
            }
        }
    }

    fn next_load(&self) -> Option<Load> {
        self.lock().core.next_load()
    }

    fn load(self: &Arc<Self>, load: &Load) {
        let rows = self.store.load(&load.keys);
        self.report(DriverInput::Loaded(load.id, rows));
    }

    fn set_timer(self: &Arc<Self>) {
        // A weak reference: the timer does not keep the driver alive.
        let driver = Arc::downgrade(self);
        // With the state locked, so that no other thread sets an older time after this one.
        let state = self.lock();
        let set = self.timer.0.set(state.core.wake_at(), move || {
            if let Some(driver) = driver.upgrade() {
                driver.report(DriverInput::Wake);
            }
        });
        if let Err(error) = set {
            tracing::error!(%error, "the system starts no thread to wait on");
        }
    }
}

impl SchedulerDriver for Shared<Scheduler, JobWatchers> {
    fn input(self: Arc<Self>, input: Input) {
        Shared::input(&self, input);
    }

    fn snapshot(&self) -> Scheduler {
        self.lock().core.machine().clone()
    }
}

/// A renewal that is running. Dropped by a panic, it counts as refused.
struct PendingRenewal<'a, M: DrivenMachine, H: Host<M>>(&'a Arc<Shared<M, H>>, &'a CredentialRef);

impl<M: DrivenMachine, H: Host<M>> Drop for PendingRenewal<'_, M, H> {
    fn drop(&mut self) {
        self.0
            .report(DriverInput::CredentialRefused(self.1.clone()));
    }
}

/// A request in flight. Dropped by a panic, it is completed.
struct InFlight<'a, M: DrivenMachine, H: Host<M>> {
    driver: &'a Arc<Shared<M, H>>,
    id: EffectId,
}

impl<M: DrivenMachine, H: Host<M>> Drop for InFlight<'_, M, H> {
    fn drop(&mut self) {
        let result = TransportResult::Failed(TransportError {
            kind: TransportErrorKind::ConnectionLost,
            processed: Processed::Maybe,
            message: "the request's thread panicked before the response came".to_owned(),
        });
        self.driver.completed(self.id, result);
        self.driver.pump();
    }
}
