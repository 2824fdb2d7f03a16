//! Controls the queues of a runner.

use std::{fmt, sync::Arc};

use matricula_core::{
    CredentialRef, Scheduler,
    scheduler::{Input, JobId},
};

/// A driver of a scheduler, whatever it runs on.
pub(crate) trait SchedulerDriver: Send + Sync {
    fn input(self: Arc<Self>, input: Input);
    fn snapshot(&self) -> Scheduler;
}

/// Controls the queues of a runner: pauses and resumes them, and decides what happens to jobs that
/// wait.
///
/// Each call takes effect at once, without waiting: what it leads to is reported as events.
#[derive(Clone)]
pub struct QueueControl {
    driver: Arc<dyn SchedulerDriver>,
}

impl fmt::Debug for QueueControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueControl").finish_non_exhaustive()
    }
}

impl QueueControl {
    pub(crate) fn new(driver: Arc<dyn SchedulerDriver>) -> Self {
        Self { driver }
    }

    /// A snapshot of the scheduler: which jobs there are, in which order, and why they wait.
    pub fn scheduler(&self) -> Scheduler {
        self.driver.snapshot()
    }

    /// Cancels a job. It ends as cancelled, or in doubt if it is in flight.
    pub fn cancel(&self, job_id: JobId) {
        self.input(Input::Cancel(job_id));
    }

    /// Pauses a queue: none of its jobs is sent until [`resume`](Self::resume).
    pub fn pause(&self, queue: &str) {
        self.input(Input::PauseQueue(queue.to_owned()));
    }

    /// Resumes a paused queue.
    pub fn resume(&self, queue: &str) {
        self.input(Input::ResumeQueue(queue.to_owned()));
    }

    /// Retries the first job of a held queue.
    pub fn retry(&self, queue: &str) {
        self.input(Input::RetryHead(queue.to_owned()));
    }

    /// Ends the first job of a held queue with the outcome that it has, and continues with the next.
    pub fn skip(&self, queue: &str) {
        self.input(Input::SkipHead(queue.to_owned()));
    }

    /// Continues the jobs that wait for this credential: it is valid again.
    pub fn credential_ready(&self, credential: CredentialRef) {
        self.input(Input::CredentialReady(credential));
    }

    /// Ends the jobs that wait for this credential: it will not be valid again.
    pub fn credential_refused(&self, credential: CredentialRef) {
        self.input(Input::CredentialRefused(credential));
    }

    /// Says whether there is a network. While offline, nothing is sent and no failure counts as an
    /// attempt.
    pub fn set_online(&self, online: bool) {
        self.input(Input::SetOnline(online));
    }

    /// Deletes the stored outcome of a job of a durable queue. Call it when the outcome has been
    /// processed.
    pub fn drop_outcome(&self, job_id: JobId) {
        self.input(Input::DropOutcome(job_id));
    }

    fn input(&self, input: Input) {
        Arc::clone(&self.driver).input(input);
    }
}
