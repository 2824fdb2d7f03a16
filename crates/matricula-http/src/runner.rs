//! Drives the scheduler on tokio.

use std::sync::Arc;

use matricula_job::{
    Answer, Auth, Cx, Job, Machine, Processed, Scheduler, TransportError, TransportKind,
    scheduler::{Effect, Event, Input, Limits, Outcome},
};

use crate::{Credentials, FileSource, Options, SystemEntropy, now, wire::Wire};

/// Runs jobs over HTTP, on tokio. Clones share connections and credentials.
#[derive(Clone, Debug)]
pub struct Runner {
    wire: Wire,
    limits: Limits,
    credentials: Credentials,
}

impl Default for Runner {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Runner {
    /// A runner with these bounds and no credentials.
    pub fn new(options: Options) -> Self {
        Self {
            wire: Wire::new(options),
            limits: Limits::default(),
            credentials: Credentials::default(),
        }
    }

    /// The same runner, trying jobs within these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same runner, finding there the files that jobs name; without this, on the [`Disk`].
    ///
    /// [`Disk`]: crate::Disk
    #[must_use]
    pub fn with_files(mut self, files: Arc<dyn FileSource>) -> Self {
        self.wire = self.wire.with_files(files);
        self
    }

    /// The tokens that jobs may name.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Runs one job to its end: sends it, waits where the server's pace or the network asks for it,
    /// and tells `watch` what happens meanwhile.
    ///
    /// Dropping the future gives the job up; whether the server acted on it is then unknown.
    pub async fn run(&self, job: Job, mut watch: impl FnMut(&Event)) -> Outcome {
        let mut scheduler = Scheduler::new(self.limits.clone());
        let mut input = Input::Submit(Arc::new(job));
        loop {
            let step = scheduler.step(&mut Cx::new(now(), &mut SystemEntropy), input);
            let mut sends = step.effects.into_iter();
            for event in step.events {
                watch(&event);
                if let Event::Finished(_, outcome) = event {
                    return outcome;
                }
            }
            // One job: at most one effect, and where there is none, a time to wake at.
            input = match sends.next() {
                Some(Effect::Send(id, job)) => Input::Answer(id, self.send(&job).await),
                // Whoever renews credentials does so before trying again.
                Some(Effect::NeedCredential(credential)) => Input::CredentialRefused(credential),
                _ => {
                    let wait = step.wake_at.unwrap_or_else(now).since(now());
                    tokio::time::sleep(wait).await;
                    Input::Wake
                }
            };
        }
    }

    async fn send(&self, job: &Job) -> Answer {
        let token = match job.auth() {
            Auth::Token(token) => Some(token.clone()),
            Auth::Optional(credential) => self.credentials.token_for(credential, job.url()),
            Auth::Required(credential) => match self.credentials.token_for(credential, job.url()) {
                Some(token) => Some(token),
                None => {
                    return Answer::Failed(TransportError {
                        kind: TransportKind::Request,
                        processed: Processed::No,
                        message: format!(
                            "no token for {} towards {}: sign in first",
                            credential.as_str(),
                            job.url()
                        ),
                    });
                }
            },
            _ => None,
        };
        self.wire.send(job, token).await
    }
}
