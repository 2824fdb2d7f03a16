//! The blocking runner, and the handles of its jobs.

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use matricula_core::{
    CredentialRef, Job, Scheduler, StoreError,
    scheduler::{Event, Input, JobId, JobStatus, Outcome, tables},
};

use super::{
    clients::Clients,
    driver::{Driver, Renewal},
    events::Events,
    transport::Transport,
};
use crate::{
    Credentials, DrivenMachine, Host, HttpOptions, QueueControl, RunnerBuilder, SubmitError,
    builder::{Backend, RunnerParts},
    job_events::{JobWatchers, Receiver},
    persistence,
};

/// Runs jobs over HTTP, on threads. Clones share connections, credentials, queues and rate limits.
///
/// An idle runner has no timer and no thread. When the last clone and the last handle are dropped,
/// jobs that can be sent at once are still sent; those that wait for a time are not. With a store they
/// wait for the next process.
#[derive(Clone, Debug)]
pub struct Runner {
    driver: Driver<Scheduler, JobWatchers>,
    parts: RunnerParts<Self>,
}

impl Default for Runner {
    fn default() -> Self {
        Self::new(HttpOptions::default())
    }
}

impl Runner {
    /// A runner with these options, without credentials, renewal or store. For more, see
    /// [`builder`](Self::builder).
    pub fn new(options: HttpOptions) -> Self {
        let builder = Self::builder().options(options);
        let scheduler = builder.volatile();
        Self::start(builder, scheduler)
    }

    /// Builds a runner.
    pub fn builder() -> RunnerBuilder<Self> {
        RunnerBuilder::default()
    }

    /// A builder for another runner with the same configuration, connections and credentials, and
    /// without a store.
    pub fn to_builder(&self) -> RunnerBuilder<Self> {
        RunnerBuilder::from_parts(self.parts.clone())
    }

    /// The tokens that jobs may name.
    pub fn credentials(&self) -> &Credentials {
        &self.parts.config.credentials
    }

    /// Controls the queues.
    pub fn queues(&self) -> QueueControl {
        QueueControl::new(Arc::clone(&self.driver.0) as _)
    }

    /// Submits a job, and returns its handle when it is accepted. The job runs whether or not the
    /// handle is kept.
    ///
    /// With a store, an accepted job is durable. Jobs that several threads submit share writes.
    ///
    /// # Errors
    /// If the job is rejected, or cannot be stored.
    pub fn submit(&self, job: Job) -> Result<Handle, SubmitError> {
        let (job_id, events) = self.driver.0.lock().core.submit(job)?;
        self.driver.0.pump();
        let mut handle = Handle::new(self.driver.clone(), job_id, events);
        // The first event is `Accepted`; if the store fails, there is none.
        match handle.next() {
            Some(_) => Ok(handle),
            None => Err(persistence::not_accepted(handle.driver.store_error())),
        }
    }

    /// A handle of a job that was submitted before, such as by an earlier process; `None` if it has
    /// ended.
    pub fn handle(&self, job_id: JobId) -> Option<Handle> {
        let events = self.driver.0.lock().core.watch(job_id)?;
        Some(Handle::new(self.driver.clone(), job_id, events))
    }

    /// The stored outcome of a job of a durable queue; `None` if the job has not ended, or the outcome
    /// was dropped. [`Scheduler::ended`] lists the jobs that have one.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn outcome(&self, job_id: JobId) -> Result<Option<Outcome>, StoreError> {
        let row = self.driver.0.read(tables::OUTCOMES, &job_id.key())?;
        persistence::read_outcome(job_id, row)
    }

    /// Runs one job to its end. To hear of its progress, [`submit`](Self::submit) it.
    pub fn run(&self, job: Job) -> Outcome {
        match self.submit(job) {
            Ok(handle) => handle.wait(),
            Err(error) => error.into_outcome(),
        }
    }

    /// The events of all jobs, from now on. A listener that is 256 events behind loses the oldest, and
    /// learns how many.
    pub fn events(&self) -> Events {
        let (events, listener) = Events::new();
        self.driver.0.lock().core.listen(listener);
        events
    }

    /// Goes offline, and waits until no request is in flight and everything is durable, for a minute
    /// at most. Jobs that were not sent stay in their queues, and with a store wait for the next
    /// process.
    pub fn stop(&self) {
        self.queues().set_online(false);
        self.driver.wait_idle();
    }
}

impl RunnerBuilder<Runner> {
    /// Sets a function that renews a credential when the server refuses it, and stores it in the
    /// [`credentials`](Self::credentials). It returns whether the credential is valid now. Meanwhile
    /// the jobs of the credential wait; if it is not valid, they end with the server's response. There
    /// is one call at a time for each credential, on a thread of its own.
    pub fn renewal(
        mut self,
        renew: impl Fn(CredentialRef) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.parts.renewal = Some(Arc::new(renew));
        self
    }

    /// Drives another machine than a scheduler. The builder's scheduler configuration is not used. The
    /// machine must have been restored from the [`store`](Self::store), if there is one.
    pub fn drive<M: DrivenMachine, H: Host<M>>(self, machine: M, host: H) -> Driver<M, H> {
        let transport = Transport::new(self.parts.config, self.parts.clients);
        Driver::new((machine, host), transport, self.store, self.parts.renewal)
    }
}

impl Backend for Runner {
    type Clients = Clients;
    type Renewal = Renewal;

    fn start(builder: RunnerBuilder<Self>, scheduler: Scheduler) -> Self {
        let (is_durable, parts) = (builder.store.is_some(), builder.parts.clone());
        let driver = builder.drive(scheduler, JobWatchers::default());
        if is_durable {
            driver.input(Input::Resume);
        }
        Self { driver, parts }
    }
}

/// A submitted job. [Wait](Self::wait) for its outcome, or iterate over its events.
#[derive(Debug)]
pub struct Handle {
    driver: Driver<Scheduler, JobWatchers>,
    job_id: JobId,
    events: Receiver,
    /// Set once the last event was returned by the iterator.
    outcome: Option<Outcome>,
}

impl Handle {
    fn new(driver: Driver<Scheduler, JobWatchers>, job_id: JobId, events: Receiver) -> Self {
        Self {
            driver,
            job_id,
            events,
            outcome: None,
        }
    }

    /// Identifies the job within its runner.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Why the job waits, and until when if that is known; `None` if it has ended.
    pub fn status(&self) -> Option<JobStatus> {
        self.driver
            .with_machine(|scheduler| scheduler.status(self.job_id))
    }

    /// Cancels the job. It ends as cancelled, or in doubt if it is in flight.
    pub fn cancel(&self) {
        self.driver.input(Input::Cancel(self.job_id));
    }

    /// Waits for the job's end.
    pub fn wait(mut self) -> Outcome {
        while let Some(event) = receive(&mut self.events) {
            if let Event::Finished(_, outcome) = event {
                return outcome;
            }
        }
        let outcome = self.outcome.take();
        outcome.unwrap_or_else(|| persistence::without_outcome(self.driver.store_error()))
    }
}

impl Iterator for Handle {
    type Item = Event;

    /// Waits for the job's next event; `None` after its end.
    fn next(&mut self) -> Option<Event> {
        let event = receive(&mut self.events);
        if let Some(Event::Finished(_, outcome)) = &event {
            self.outcome = Some(outcome.clone());
        }
        event
    }
}

fn receive(events: &mut Receiver) -> Option<Event> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match events.poll_next(&mut cx) {
            Poll::Ready(event) => return event,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
