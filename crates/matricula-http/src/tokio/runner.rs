//! Runs jobs over HTTP, on tokio.

use std::{future::IntoFuture, pin::Pin, sync::Arc};

use matricula_core::{
    CredentialRef, FileRef, Job, Processed, Scheduler, Store, StoreError, TransportError,
    TransportErrorKind,
    scheduler::{Event, Input, JobId, JobStatus, Outcome, SchedulerConfig, tables},
};
use tokio::sync::broadcast;

use crate::{
    Credentials, DurableError, FileStore, HttpOptions, SubmitError, TransferProgress, persistence,
    progress::Listener,
    tokio::driver::{Driver, LONGEST_QUIET, Renewal},
    tokio::job_events::Told,
    tokio::transport::Transport,
};

/// Runs jobs over HTTP, on tokio. Clones share connections, credentials, queues, and what was learnt
/// of each server's pace.
///
/// While nothing is to be sent or waited for, nothing runs: no timer, no task, no thread.
#[derive(Clone, Debug)]
pub struct Runner {
    driver: Arc<Driver>,
}

impl Default for Runner {
    fn default() -> Self {
        Self::new(HttpOptions::default())
    }
}

impl Runner {
    /// A runner with these bounds and no credentials.
    pub fn new(options: HttpOptions) -> Self {
        let scheduler = Scheduler::default().without_credential_waiting();
        Self::of(Driver::new(
            Transport::new(options),
            Credentials::default(),
            scheduler,
        ))
    }

    /// A runner with the same bounds and credentials, trying jobs within these limits. It begins
    /// without jobs.
    #[must_use]
    pub fn with_limits(self, limits: SchedulerConfig) -> Self {
        let (transport, credentials) = (self.driver.transport(), self.driver.credentials());
        let scheduler = Scheduler::new(limits).without_credential_waiting();
        Self::of(Driver::new(
            transport.clone(),
            credentials.clone(),
            scheduler,
        ))
    }

    /// A runner with the same bounds and credentials, finding there the files that jobs name;
    /// without this, on the [`Disk`]. It begins without jobs.
    ///
    /// [`Disk`]: crate::Disk
    #[must_use]
    pub fn with_files(self, files: Arc<dyn FileStore>) -> Self {
        self.over(self.driver.transport().clone().with_files(files))
    }

    /// A runner with the same bounds and credentials that tells how far each file that it sends or
    /// fetches has come, piece by piece. `listen` must not block. It begins without jobs.
    #[must_use]
    pub fn with_progress(
        self,
        listen: impl Fn(&FileRef, TransferProgress) + Send + Sync + 'static,
    ) -> Self {
        let transport = self.driver.transport().clone();
        self.over(transport.telling(Listener::new(listen)))
    }

    fn over(&self, transport: Transport) -> Self {
        let limits = self.scheduler().config().clone();
        let scheduler = Scheduler::new(limits).without_credential_waiting();
        Self::of(Driver::new(
            transport,
            self.credentials().clone(),
            scheduler,
        ))
    }

    /// A runner with the same bounds, limits and credentials whose jobs wait for another token where
    /// the server does not take theirs. `renew` gets it, puts it into
    /// [`credentials`](Self::credentials), and says whether there is one; without one, the jobs end
    /// with the server's answer. It is asked once for all jobs of a credential. It begins without jobs.
    #[must_use]
    pub fn with_renewal<F>(self, renew: impl Fn(CredentialRef) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let (transport, credentials) = (self.driver.transport(), self.driver.credentials());
        let scheduler = Scheduler::new(self.scheduler().config().clone());
        let driver = Driver::new(transport.clone(), credentials.clone(), scheduler);
        let renewal = Renewal(Arc::new(move |credential| Box::pin(renew(credential))));
        Self::of(driver.renewing(Some(renewal)))
    }

    /// A runner with the same bounds, limits and credentials that keeps the jobs of queues in this
    /// store, and goes on with those that are there. Jobs of no queue are not kept.
    ///
    /// - A job is durable before [`submit`](Self::submit) has a handle for it, and its outcome before
    ///   anybody hears of it. One that holds a secret or asks for one is refused.
    /// - After a crash, requests that may go twice (they are idempotent, or have a transaction id that
    ///   is the same again) are sent again; others that may have been processed end in doubt.
    /// - Outcomes are kept until [`forget`](Self::drop_outcome), so that a program that was killed can ask
    ///   for them by [`outcome`](Self::outcome). [`SchedulerConfig::max_kept_outcomes`] bounds them.
    /// - A job whose credential the server does not take, or that is not there, waits for another:
    ///   [`with_renewal`](Self::with_renewal) says how to get it, or whoever hears [`Event::AwaitingCredential`]
    ///   calls [`credential_ready`](Self::credential_ready) or
    ///   [`credential_refused`](Self::credential_refused).
    /// - [`SchedulerConfig::patient`] are limits for queues that outlast a server's absence.
    ///
    /// Put the credentials in first: the jobs go at once. The store is read before this returns.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn durable(self, mut store: impl Store + 'static) -> Result<Self, DurableError> {
        let limits = self.scheduler().config().clone();
        let scheduler = persistence::restore(&mut store, limits)?;
        let (transport, credentials) = (self.driver.transport(), self.driver.credentials());
        let driver = Driver::new(transport.clone(), credentials.clone(), scheduler)
            .renewing(self.driver.renewal().cloned())
            .keeping_in(Box::new(store));
        let runner = Self::of(driver);
        runner.driver.input(Input::Resume);
        Ok(runner)
    }

    fn of(driver: Driver) -> Self {
        Self {
            driver: Arc::new(driver),
        }
    }

    /// The tokens that jobs may name.
    pub fn credentials(&self) -> &Credentials {
        self.driver.credentials()
    }

    /// Hands in a job, which takes its place in its queue with this call; the future gives a handle
    /// to await the job, to hear how it goes or to call it back. The job runs whether or not the
    /// future is awaited or the handle kept.
    ///
    /// In a [`durable`](Self::durable) runner, the job is on disk when the future is ready. Handing
    /// many in before the first is awaited lets them share one write.
    ///
    /// # Errors
    /// Where it is not taken.
    pub fn submit(
        &self,
        job: Job,
    ) -> impl Future<Output = Result<Handle, SubmitError>> + Send + 'static + use<> {
        let submitted = self.driver.submit(job);
        let driver = Arc::clone(&self.driver);
        async move {
            let (job_id, mut told) = submitted?;
            // Its acceptance is told when it is durable; a broken store tells nothing any more.
            if told.next().await.is_none() {
                return Err(SubmitError::Store(persistence::broken(driver.broken())));
            }
            Ok(Handle {
                driver,
                job_id,
                told,
            })
        }
    }

    /// A handle of a job that was handed in before, such as by an earlier process; none where it has
    /// ended.
    pub fn handle(&self, job_id: JobId) -> Option<Handle> {
        let told = self.driver.watch(job_id)?;
        Some(Handle {
            driver: Arc::clone(&self.driver),
            job_id,
            told,
        })
    }

    /// How a job of a durable queue has ended; none where it has not, or it was forgotten.
    /// [`Scheduler::ended`] names those that are kept.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn outcome(&self, job_id: JobId) -> Result<Option<Outcome>, StoreError> {
        let kept = self.driver.read(tables::OUTCOMES, job_id.key()).await?;
        let outcome = kept.map(|json| Outcome::from_stored(&json)).transpose();
        outcome.map_err(|error| {
            let message = format!("the outcome of job {} is unreadable: {error}", job_id.0);
            StoreError::with_source(message, error)
        })
    }

    /// Lets go of the outcome of a job of a durable queue: whoever wanted it has it.
    pub fn drop_outcome(&self, job_id: JobId) {
        self.driver.input(Input::DropOutcome(job_id));
    }

    /// Runs one job to its end, and tells `watch` what happens meanwhile.
    ///
    /// Dropping the future calls the job back; whether the server acted on it is then unknown.
    pub async fn run(&self, job: Job, mut watch: impl FnMut(&Event)) -> Outcome {
        let handle = match self.submit(job).await {
            Ok(handle) => handle,
            Err(SubmitError::Store(error)) => return persistence::in_doubt(error),
            Err(refusal) => {
                return Outcome::Failed(TransportError {
                    kind: TransportErrorKind::InvalidRequest,
                    processed: Processed::No,
                    message: refusal.to_string(),
                });
            }
        };
        let mut waited_for = CalledBack(Some(handle));
        let outcome = match &mut waited_for.0 {
            Some(handle) => handle.watch(&mut watch).await,
            None => Outcome::Cancelled,
        };
        waited_for.0 = None;
        outcome
    }

    /// What happens to all jobs, from now on. A listener that is far behind misses the oldest, and
    /// is told how many.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.driver.listen()
    }

    /// Where everything stands at this moment: positions, why jobs wait, until when.
    pub fn scheduler(&self) -> Scheduler {
        self.driver.snapshot()
    }

    /// Calls a job back. It ends as cancelled, or in doubt if it is on the wire.
    pub fn cancel(&self, job_id: JobId) {
        self.driver.input(Input::Cancel(job_id));
    }

    /// Lets a queue send nothing more until it is resumed.
    pub fn pause(&self, queue: &str) {
        self.driver.input(Input::PauseQueue(queue.to_owned()));
    }

    /// Lets a paused queue go on.
    pub fn resume(&self, queue: &str) {
        self.driver.input(Input::ResumeQueue(queue.to_owned()));
    }

    /// Lets a held queue try its head again.
    pub fn retry(&self, queue: &str) {
        self.driver.input(Input::RetryHead(queue.to_owned()));
    }

    /// Lets the head of a held queue end as it stands, and the queue go on.
    pub fn skip(&self, queue: &str) {
        self.driver.input(Input::SkipHead(queue.to_owned()));
    }

    /// Lets the jobs go on that wait for this credential: it is good again.
    pub fn credential_ready(&self, credential: CredentialRef) {
        self.driver.input(Input::CredentialReady(credential));
    }

    /// Ends the jobs that wait for this credential: it will not be good again.
    pub fn credential_refused(&self, credential: CredentialRef) {
        self.driver.input(Input::CredentialRefused(credential));
    }

    /// Says whether there is a network. Without one nothing is sent, and no failure counts.
    pub fn set_online(&self, online: bool) {
        self.driver.input(Input::SetOnline(online));
    }

    /// Sends nothing more, and waits until what is on the wire has come back and is kept, a minute at
    /// most. Jobs that were not sent stay where they are, in a durable runner for the next process.
    pub async fn stop(&self) {
        self.set_online(false);
        // What is not back by then is as if the program had ended.
        let _ = tokio::time::timeout(LONGEST_QUIET, self.driver.quiet()).await;
    }
}

/// A job that was handed in: await it for its outcome.
#[derive(Debug)]
pub struct Handle {
    driver: Arc<Driver>,
    job_id: JobId,
    told: Told,
}

impl Handle {
    /// The job's job id.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// The next thing that happens to the job; none after its end.
    pub async fn next(&mut self) -> Option<Event> {
        self.told.next().await
    }

    /// Why it waits, and until when if that is known; none where it has ended.
    pub fn status(&self) -> Option<JobStatus> {
        self.driver.snapshot().status(self.job_id)
    }

    /// Calls the job back. It ends as cancelled, or in doubt if it is on the wire.
    pub fn cancel(&self) {
        self.driver.input(Input::Cancel(self.job_id));
    }

    async fn watch(&mut self, watch: &mut impl FnMut(&Event)) -> Outcome {
        while let Some(event) = self.next().await {
            watch(&event);
            if let Event::Finished(_, outcome) = event {
                return outcome;
            }
        }
        match self.driver.broken() {
            Some(error) => persistence::in_doubt(error),
            // Its end was heard already.
            None => Outcome::Cancelled,
        }
    }
}

impl IntoFuture for Handle {
    type Output = Outcome;
    type IntoFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.watch(&mut |_| {}).await })
    }
}

/// Calls a job back that nobody waits for any more.
struct CalledBack(Option<Handle>);

impl Drop for CalledBack {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.cancel();
        }
    }
}
