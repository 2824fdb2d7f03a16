//! The runner for tokio, and the handles of its jobs.

use std::{
    future::{IntoFuture, poll_fn},
    pin::Pin,
    sync::{Arc, OnceLock},
};

use matricula_core::{
    CredentialRef, Job, Scheduler, StoreError,
    scheduler::{Event, Input, JobId, JobStatus, Outcome, tables},
};
use tokio::sync::broadcast;

use super::{
    clients::Clients,
    driver::{Driver, Renewal},
    transport::Transport,
};
use crate::{
    Credentials, DrivenMachine, EVENT_BUFFER, Host, HttpOptions, QueueControl, RunnerBuilder,
    SubmitError,
    builder::{Backend, RunnerParts},
    job_events::{JobWatchers, Receiver},
    persistence,
};

/// Runs jobs over HTTP, on tokio. Clones share connections, credentials, queues and rate limits.
///
/// An idle runner has no timer, no task and no thread.
#[derive(Clone, Debug)]
pub struct Runner {
    driver: Driver<Scheduler, JobWatchers>,
    parts: RunnerParts<Self>,
    events: Arc<OnceLock<broadcast::Sender<Event>>>,
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

    /// Submits a job **now**, not when the returned future is polled. The future is ready when the job
    /// is accepted, and gives its handle. The job runs whether or not the future is awaited or the
    /// handle kept.
    ///
    /// With a store, an accepted job is durable. Jobs that are submitted before the first future is
    /// awaited share one write.
    ///
    /// # Errors
    /// If the job is rejected, or cannot be stored.
    pub fn submit(
        &self,
        job: Job,
    ) -> impl Future<Output = Result<Handle, SubmitError>> + Send + 'static + use<> {
        let submitted = self.driver.0.lock().core.submit(job);
        self.driver.0.pump();
        let driver = self.driver.clone();
        async move {
            let (job_id, events) = submitted?;
            let mut handle = Handle::new(driver, job_id, events);
            // The first event is `Accepted`; if the store fails, there is none.
            match handle.next().await {
                Some(_) => Ok(handle),
                None => Err(persistence::not_accepted(handle.driver.store_error())),
            }
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
    pub async fn outcome(&self, job_id: JobId) -> Result<Option<Outcome>, StoreError> {
        let row = self.driver.0.read(tables::OUTCOMES, job_id.key()).await?;
        persistence::read_outcome(job_id, row)
    }

    /// Runs one job to its end. To hear of its progress, [`submit`](Self::submit) it.
    ///
    /// Dropping the future cancels the job; whether the server processed it is then unknown.
    pub async fn run(&self, job: Job) -> Outcome {
        match self.submit(job).await {
            Ok(handle) => handle.cancel_on_drop().await,
            Err(error) => error.into_outcome(),
        }
    }

    /// The events of all jobs, from now on. A receiver that is 256 events behind loses the oldest, and
    /// learns how many.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        let sender = self.events.get_or_init(|| {
            let (sender, _) = broadcast::channel(EVENT_BUFFER);
            let listener = sender.clone();
            self.driver.0.lock().core.listen(Box::new(move |event| {
                // It fails while nothing is subscribed.
                let _ = listener.send(event.clone());
                true
            }));
            sender
        });
        sender.subscribe()
    }

    /// Goes offline, and waits until no request is in flight and everything is durable, for a minute
    /// at most. Jobs that were not sent stay in their queues, and with a store wait for the next
    /// process.
    pub async fn stop(&self) {
        self.queues().set_online(false);
        self.driver.wait_idle().await;
    }
}

impl RunnerBuilder<Runner> {
    /// Sets a function that renews a credential when the server refuses it, and stores it in the
    /// [`credentials`](Self::credentials). It returns whether the credential is valid now. Meanwhile
    /// the jobs of the credential wait; if it is not valid, they end with the server's response. There
    /// is one call at a time for each credential.
    pub fn renewal<F>(mut self, renew: impl Fn(CredentialRef) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let renewal: Renewal = Arc::new(move |credential| Box::pin(renew(credential)));
        self.parts.renewal = Some(renewal);
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
        let runner = Self {
            driver: builder.drive(scheduler, JobWatchers::default()),
            parts,
            events: Arc::default(),
        };
        if is_durable {
            runner.driver.input(Input::Resume);
        }
        runner
    }
}

/// A submitted job. Await it for its outcome.
#[derive(Debug)]
pub struct Handle {
    driver: Driver<Scheduler, JobWatchers>,
    job_id: JobId,
    events: Receiver,
    /// Set once the last event was returned by [`next`](Self::next).
    outcome: Option<Outcome>,
    cancels_on_drop: bool,
}

impl Handle {
    fn new(driver: Driver<Scheduler, JobWatchers>, job_id: JobId, events: Receiver) -> Self {
        Self {
            driver,
            job_id,
            events,
            outcome: None,
            cancels_on_drop: false,
        }
    }

    /// Identifies the job within its runner.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// The job's next event; `None` after its end.
    pub async fn next(&mut self) -> Option<Event> {
        let event = poll_fn(|cx| self.events.poll_next(cx)).await;
        if let Some(Event::Finished(_, outcome)) = &event {
            self.outcome = Some(outcome.clone());
        }
        event
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

    /// Makes the handle cancel its job when it is dropped before the job has ended.
    #[must_use]
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels_on_drop = true;
        self
    }

    async fn wait(&mut self) -> Outcome {
        let mut outcome = self.outcome.take();
        while let Some(event) = poll_fn(|cx| self.events.poll_next(cx)).await {
            if let Event::Finished(_, result) = event {
                outcome = Some(result);
            }
        }
        self.cancels_on_drop = false;
        outcome.unwrap_or_else(|| persistence::without_outcome(self.driver.store_error()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.cancels_on_drop && self.outcome.is_none() {
            self.cancel();
        }
    }
}

impl IntoFuture for Handle {
    type Output = Outcome;
    type IntoFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.wait().await })
    }
}
