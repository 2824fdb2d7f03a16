//! Runs jobs over HTTP, on tokio.

use std::{future::IntoFuture, pin::Pin, sync::Arc};

use matricula_job::{
    Job, Processed, Scheduler, TransportError, TransportKind,
    scheduler::{Event, Input, Limits, Outcome, Refusal, Ticket},
};
use tokio::sync::{broadcast, mpsc};

use crate::{
    Credentials, FileSource, Options,
    driver::{Driver, LONGEST_QUIET},
    wire::Wire,
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
        Self::new(Options::default())
    }
}

impl Runner {
    /// A runner with these bounds and no credentials.
    pub fn new(options: Options) -> Self {
        let scheduler = Scheduler::default().without_parking();
        Self {
            driver: Driver::new(Wire::new(options), Credentials::default(), scheduler),
        }
    }

    /// A runner with the same bounds and credentials, trying jobs within these limits. It begins
    /// without jobs.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        let (wire, credentials) = (self.driver.wire(), self.driver.credentials());
        let scheduler = Scheduler::new(limits).without_parking();
        Self {
            driver: Driver::new(wire.clone(), credentials.clone(), scheduler),
        }
    }

    /// A runner with the same bounds and credentials, finding there the files that jobs name;
    /// without this, on the [`Disk`]. It begins without jobs.
    ///
    /// [`Disk`]: crate::Disk
    #[must_use]
    pub fn with_files(self, files: Arc<dyn FileSource>) -> Self {
        let wire = self.driver.wire().clone().with_files(files);
        let limits = self.scheduler().limits().clone();
        let scheduler = Scheduler::new(limits).without_parking();
        Self {
            driver: Driver::new(wire, self.driver.credentials().clone(), scheduler),
        }
    }

    /// The tokens that jobs may name.
    pub fn credentials(&self) -> &Credentials {
        self.driver.credentials()
    }

    /// Hands in a job, and gives a handle to await it, to hear how it goes or to call it back. The
    /// job runs whether or not the handle is kept.
    ///
    /// # Errors
    /// Where it is not taken.
    pub fn submit(&self, job: Job) -> Result<Handle, Refusal> {
        let (ticket, told) = self.driver.submit(job)?;
        Ok(Handle {
            driver: Arc::clone(&self.driver),
            ticket,
            told,
        })
    }

    /// Runs one job to its end, and tells `watch` what happens meanwhile.
    ///
    /// Dropping the future calls the job back; whether the server acted on it is then unknown.
    pub async fn run(&self, job: Job, mut watch: impl FnMut(&Event)) -> Outcome {
        let handle = match self.submit(job) {
            Ok(handle) => handle,
            Err(refusal) => {
                return Outcome::Failed(TransportError {
                    kind: TransportKind::Request,
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
    pub fn cancel(&self, ticket: Ticket) {
        self.driver.input(Input::Cancel(ticket));
    }

    /// Lets a queue send nothing more until it is resumed.
    pub fn pause(&self, queue: &str) {
        self.driver.input(Input::Pause(queue.to_owned()));
    }

    /// Lets a paused queue go on.
    pub fn resume(&self, queue: &str) {
        self.driver.input(Input::Resume(queue.to_owned()));
    }

    /// Lets a held queue try its head again.
    pub fn retry(&self, queue: &str) {
        self.driver.input(Input::Retry(queue.to_owned()));
    }

    /// Lets the head of a held queue end as it stands, and the queue go on.
    pub fn skip(&self, queue: &str) {
        self.driver.input(Input::Skip(queue.to_owned()));
    }

    /// Says whether there is a network. Without one nothing is sent, and no failure counts.
    pub fn set_online(&self, online: bool) {
        self.driver.input(Input::Online(online));
    }

    /// Sends nothing more, and waits until what is on the wire has come back, a minute at most.
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
    ticket: Ticket,
    told: mpsc::UnboundedReceiver<Event>,
}

impl Handle {
    /// The job's ticket.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The next thing that happens to the job; none after its end.
    pub async fn next(&mut self) -> Option<Event> {
        self.told.recv().await
    }

    /// Calls the job back. It ends as cancelled, or in doubt if it is on the wire.
    pub fn cancel(&self) {
        self.driver.input(Input::Cancel(self.ticket));
    }

    async fn watch(&mut self, watch: &mut impl FnMut(&Event)) -> Outcome {
        while let Some(event) = self.next().await {
            watch(&event);
            if let Event::Finished(_, outcome) = event {
                return outcome;
            }
        }
        // Its end was heard already.
        Outcome::Cancelled
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
