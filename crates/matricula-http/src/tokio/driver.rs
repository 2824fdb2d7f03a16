//! Drives a machine on tokio: sends its requests, writes its store, wakes it.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use matricula_core::{
    CredentialRef, EffectId, Job, Processed, Scheduler, Store, StoreError, Timestamp,
    TransportError, TransportErrorKind, TransportResult, WriteBatch, scheduler::Input,
};
use tokio::{
    runtime,
    sync::{Notify, oneshot},
    task::AbortHandle,
};

use super::transport::Transport;
use crate::{
    DrivenMachine, DriverInput, Host, STOP_TIMEOUT, SystemClock, core::RunnerCore,
    job_events::JobWatchers, persistence::SharedStore, queues::SchedulerDriver,
};

/// Drives a machine on tokio. Clones drive the same machine.
///
/// A [`Runner`](super::Runner) is a driver of a scheduler. Other machines are started with
/// [`RunnerBuilder::drive`](crate::RunnerBuilder). Inputs are accepted anywhere; what follows from them
/// is carried out on the runtime of the caller, and outside of a runtime with the next input on one.
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
                timer: None,
            }),
            changed: Notify::new(),
        }))
    }

    /// Applies an input now.
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

    /// Waits until no request is in flight and everything is durable, for a minute at most.
    pub async fn wait_idle(&self) {
        let idle = self.0.until(|state| state.core.is_idle());
        // A request that takes longer is treated like one that a crash interrupted.
        let _ = tokio::time::timeout(STOP_TIMEOUT, idle).await;
    }
}

/// Renews a credential, and returns whether it is valid.
pub(super) type Renewal =
    Arc<dyn Fn(CredentialRef) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// What all clones of a driver share.
pub(super) struct Shared<M: DrivenMachine, H> {
    transport: Transport,
    store: SharedStore,
    renewal: Option<Renewal>,
    state: Mutex<State<M, H>>,
    /// Notified when a request has ended or a write is done.
    changed: Notify,
}

pub(super) struct State<M: DrivenMachine, H> {
    /// Dropping a request's `Sender` aborts it.
    pub(super) core: RunnerCore<M, H, oneshot::Sender<()>>,
    timer: Option<(Timestamp, AbortHandle)>,
}

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

    /// Starts the work that is waiting, if this is called on a runtime.
    pub(super) fn pump(self: &Arc<Self>) {
        if let Ok(runtime) = runtime::Handle::try_current() {
            self.start_write(&runtime);
            self.start_requests(&runtime);
            self.start_renewals(&runtime);
            self.start_loads(&runtime);
            self.set_timer(&runtime);
        }
    }

    fn start_write(self: &Arc<Self>, runtime: &runtime::Handle) {
        let Some(batch) = self.lock().core.next_write() else {
            return;
        };
        let write = PendingWrite {
            driver: Arc::clone(self),
            batch,
        };
        drop(runtime.spawn_blocking(move || drop(write)));
    }

    fn start_requests(self: &Arc<Self>, runtime: &runtime::Handle) {
        // Not with the state locked: a runtime that is shutting down drops the task at once.
        while let Some((id, job, aborted)) = self.next_request() {
            let request = InFlight {
                driver: Arc::clone(self),
                id,
                has_ended: false,
            };
            runtime.spawn(request.run(job, aborted));
        }
    }

    fn next_request(&self) -> Option<(EffectId, Arc<Job>, oneshot::Receiver<()>)> {
        self.lock().core.next_request(oneshot::channel)
    }

    fn start_renewals(self: &Arc<Self>, runtime: &runtime::Handle) {
        while let Some(credential) = self.next_renewal() {
            let Some(renew) = self.renewal.clone() else {
                continue;
            };
            let driver = Arc::clone(self);
            runtime.spawn(async move {
                // Before `renew` is called, which may panic.
                let pending = PendingRenewal { driver, credential };
                let is_valid = renew(pending.credential.clone()).await;
                pending.finish(is_valid);
            });
        }
    }

    fn next_renewal(&self) -> Option<CredentialRef> {
        self.lock().core.next_renewal()
    }

    fn start_loads(self: &Arc<Self>, runtime: &runtime::Handle) {
        while let Some(load) = self.next_load() {
            let driver = Arc::clone(self);
            runtime.spawn_blocking(move || {
                let rows = driver.store.load(&load.keys);
                driver.report(DriverInput::Loaded(load.id, rows));
            });
        }
    }

    fn next_load(&self) -> Option<crate::Load> {
        self.lock().core.next_load()
    }

    fn set_timer(self: &Arc<Self>, runtime: &runtime::Handle) {
        let mut state = self.lock();
        let wake_at = state.core.wake_at();
        if state.timer.as_ref().map(|(at, _)| *at) == wake_at {
            return;
        }
        let old = state.timer.take();
        drop(state);
        if let Some((_, old)) = old {
            old.abort();
        }
        let Some(at) = wake_at else { return };
        let driver = Arc::clone(self);
        let task = runtime.spawn(async move {
            tokio::time::sleep(at.since(SystemClock::now())).await;
            driver.lock().timer = None;
            driver.report(DriverInput::Wake);
        });
        self.lock().timer = Some((at, task.abort_handle()));
    }

    /// Reads one row, after everything that was applied before is durable.
    pub(super) async fn read(
        self: &Arc<Self>,
        table: &'static str,
        key: String,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.until(|state| state.core.is_written()).await;
        if let Some(error) = self.lock().core.store_error() {
            return Err(error.clone());
        }
        let driver = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || driver.store.get(table, &key));
        reading.await.unwrap_or_else(|_| {
            Err(StoreError::new(
                "the runtime ended before the store was read",
            ))
        })
    }

    async fn until(&self, condition: impl Fn(&State<M, H>) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the check, so that no change after it is missed.
            changed.as_mut().enable();
            if condition(&self.lock()) {
                return;
            }
            changed.await;
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

/// A batch that is written when this is dropped: also when the runtime shuts down before the task
/// starts.
struct PendingWrite<M: DrivenMachine, H: Host<M>> {
    driver: Arc<Shared<M, H>>,
    batch: WriteBatch,
}

impl<M: DrivenMachine, H: Host<M>> Drop for PendingWrite<M, H> {
    fn drop(&mut self) {
        let result = self.driver.store.commit(&self.batch);
        self.driver.lock().core.written(result);
        self.driver.pump();
        self.driver.changed.notify_waiters();
    }
}

/// A renewal that is running. If it panics, the credential counts as refused.
struct PendingRenewal<M: DrivenMachine, H: Host<M>> {
    driver: Arc<Shared<M, H>>,
    credential: CredentialRef,
}

impl<M: DrivenMachine, H: Host<M>> PendingRenewal<M, H> {
    fn finish(self, is_valid: bool) {
        let credential = self.credential.clone();
        self.driver.report(if is_valid {
            DriverInput::CredentialReady(credential)
        } else {
            DriverInput::CredentialRefused(credential)
        });
    }
}

impl<M: DrivenMachine, H: Host<M>> Drop for PendingRenewal<M, H> {
    fn drop(&mut self) {
        // A runtime that shuts down is different: the next process can renew the credential.
        if std::thread::panicking() {
            let refused = DriverInput::CredentialRefused(self.credential.clone());
            self.driver.report(refused);
        }
    }
}

/// A request in flight. It is completed exactly once, also if its task is dropped.
struct InFlight<M: DrivenMachine, H: Host<M>> {
    driver: Arc<Shared<M, H>>,
    id: EffectId,
    has_ended: bool,
}

impl<M: DrivenMachine, H: Host<M>> InFlight<M, H> {
    async fn run(mut self, job: Arc<Job>, aborted: oneshot::Receiver<()>) {
        let result = tokio::select! {
            result = self.driver.transport.send(&job) => Some(result),
            _ = aborted => None,
        };
        self.has_ended = true;
        self.driver.lock().core.completed(self.id, result);
        self.driver.pump();
        self.driver.changed.notify_waiters();
    }
}

impl<M: DrivenMachine, H: Host<M>> Drop for InFlight<M, H> {
    /// The runtime shut down while the request was in flight.
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let lost = TransportResult::Failed(TransportError {
            kind: TransportErrorKind::ConnectionLost,
            processed: Processed::Maybe,
            message: "the runtime ended before the response came".to_owned(),
        });
        let mut state = self.driver.lock();
        state.core.completed(self.id, Some(lost));
        // The timer's task ends with the runtime, too.
        state.timer = None;
        drop(state);
        self.driver.changed.notify_waiters();
    }
}
