//! Builds runners and drivers.

use std::{fmt, sync::Arc};

use matricula_core::{FileRef, Scheduler, Store, scheduler::SchedulerConfig};

use crate::{
    BuildError, Credentials, Disk, FileStore, HttpOptions, TransferProgress, persistence,
    progress::Listener,
};

/// Builds a runner: `Runner::builder()` and `blocking::Runner::builder()` have the same methods.
///
/// Each method sets one part; their order does not matter. A runner that is built does not change any
/// more.
///
/// ```
/// use std::time::Duration;
/// use matricula_core::scheduler::SchedulerConfig;
/// use matricula_http::{HttpOptions, Runner};
///
/// let mut options = HttpOptions::default();
/// options.timeout = Duration::from_secs(20);
/// let runner = Runner::builder()
///     .options(options)
///     .scheduler(SchedulerConfig::patient())
///     .progress(|file, progress| println!("{}: {} bytes", file.path.display(), progress.done))
///     .build()?;
/// assert!(runner.queues().scheduler().is_empty());
/// # Ok::<(), matricula_http::BuildError>(())
/// ```
#[must_use = "call `build`"]
pub struct RunnerBuilder<R: Backend> {
    pub(crate) parts: RunnerParts<R>,
    pub(crate) store: Option<Box<dyn Store>>,
}

/// What a runner keeps of its builder: everything but the store, which only one runner may use.
pub(crate) struct RunnerParts<R: Backend> {
    pub(crate) scheduler: SchedulerConfig,
    pub(crate) config: TransportConfig,
    pub(crate) clients: Arc<R::Clients>,
    pub(crate) renewal: Option<R::Renewal>,
}

impl<R: Backend> Clone for RunnerParts<R> {
    fn clone(&self) -> Self {
        Self {
            scheduler: self.scheduler.clone(),
            config: self.config.clone(),
            clients: Arc::clone(&self.clients),
            renewal: self.renewal.clone(),
        }
    }
}

/// What a runner is built of. Implemented by both runners.
pub trait Backend: Sized {
    /// Connections.
    #[doc(hidden)]
    type Clients: Default;
    /// Renews a credential.
    #[doc(hidden)]
    type Renewal: Clone;

    #[doc(hidden)]
    fn start(builder: RunnerBuilder<Self>, scheduler: Scheduler) -> Self;
}

/// What both transports need to carry a job.
#[derive(Clone, Debug)]
pub(crate) struct TransportConfig {
    pub(crate) options: Arc<HttpOptions>,
    pub(crate) credentials: Credentials,
    pub(crate) files: Arc<dyn FileStore>,
    pub(crate) progress: Listener,
}

impl<R: Backend> Default for RunnerBuilder<R> {
    fn default() -> Self {
        Self::from_parts(RunnerParts {
            scheduler: SchedulerConfig::default(),
            config: TransportConfig {
                options: Arc::default(),
                credentials: Credentials::default(),
                files: Arc::new(Disk),
                progress: Listener::default(),
            },
            clients: Arc::default(),
            renewal: None,
        })
    }
}

impl<R: Backend> fmt::Debug for RunnerParts<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerParts")
            .field("scheduler", &self.scheduler)
            .field("config", &self.config)
            .field("has_renewal", &self.renewal.is_some())
            .finish_non_exhaustive()
    }
}

impl<R: Backend> fmt::Debug for RunnerBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerBuilder")
            .field("parts", &self.parts)
            .field("has_store", &self.store.is_some())
            .finish()
    }
}

impl<R: Backend> RunnerBuilder<R> {
    pub(crate) fn from_parts(parts: RunnerParts<R>) -> Self {
        Self { parts, store: None }
    }

    /// Sets the bounds of each request.
    pub fn options(mut self, options: HttpOptions) -> Self {
        self.parts.config.options = Arc::new(options);
        // They were opened with other options.
        self.parts.clients = Arc::default();
        self
    }

    /// Sets the bounds of jobs and queues. [`SchedulerConfig::patient`] is for queues that must
    /// survive the absence of a server.
    pub fn scheduler(mut self, config: SchedulerConfig) -> Self {
        self.parts.scheduler = config;
        self
    }

    /// Sets the tokens that jobs may name. Clones of [`Credentials`] share their tokens.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.parts.config.credentials = credentials;
        self
    }

    /// Sets where the files are that jobs name. The default is the [`Disk`].
    pub fn files(mut self, files: impl FileStore + 'static) -> Self {
        self.parts.config.files = Arc::new(files);
        self
    }

    /// Sets a function that is called for each piece of a file that is sent or received. It must not
    /// block.
    pub fn progress(
        mut self,
        listener: impl Fn(&FileRef, TransferProgress) + Send + Sync + 'static,
    ) -> Self {
        self.parts.config.progress = Listener::new(listener);
        self
    }

    /// Sets the store of durable queues: the runner keeps their jobs there, and continues with those
    /// that it finds. Jobs without a queue are not stored.
    ///
    /// - A job is durable before it is accepted, and its outcome before it is reported. A job that
    ///   holds a secret or asks for one is rejected.
    /// - After a crash, requests that may be sent twice (they are idempotent, or repeat their
    ///   transaction id) are sent again. Others that may have been processed end in doubt.
    /// - Outcomes are kept until [`drop_outcome`](crate::QueueControl::drop_outcome), so that a program
    ///   that was killed can ask for them. [`SchedulerConfig::max_kept_outcomes`] bounds them.
    /// - A job whose credential is missing, or is refused by the server, waits for another one. It
    ///   comes from the builder's `renewal`, or from the program, which hears
    ///   [`Event::AwaitingCredential`](matricula_core::scheduler::Event::AwaitingCredential) and calls
    ///   [`credential_ready`](crate::QueueControl::credential_ready) or
    ///   [`credential_refused`](crate::QueueControl::credential_refused).
    ///
    /// [`build`](Self::build) reads the store, and starts the jobs: insert the credentials before.
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    /// Builds the runner.
    ///
    /// # Errors
    /// If the store cannot be read. Without a store there is no error.
    pub fn build(mut self) -> Result<R, BuildError> {
        let config = self.parts.scheduler.clone();
        let scheduler = match &mut self.store {
            Some(store) => persistence::restore(&mut **store, config)?,
            None => self.volatile(),
        };
        Ok(R::start(self, scheduler))
    }

    /// A scheduler without a store. Its jobs wait for credentials only if something renews them.
    pub(crate) fn volatile(&self) -> Scheduler {
        let scheduler = Scheduler::new(self.parts.scheduler.clone());
        if self.parts.renewal.is_some() {
            scheduler
        } else {
            scheduler.without_credential_waiting()
        }
    }
}
