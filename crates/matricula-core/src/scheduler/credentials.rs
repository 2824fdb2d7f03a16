//! Jobs that wait until their credential is good again.

use imbl::OrdMap;

use super::{Effect, Event, JobId, Outcome, Scheduler, SchedulerStep, State};
use crate::{
    Auth, CredentialRef, EffectId, Job, Processed, Response, TransportError, TransportErrorKind,
    TransportResult,
};

/// How often one job is sent with a renewed credential before the server's refusal is its outcome.
const MOST_RENEWALS: u32 = 2;

/// The jobs that wait for one credential, each with what the server said to it, if it was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct AwaitingJobs {
    jobs: OrdMap<JobId, Option<Response>>,
}

fn is_about_the_credential(answer: &TransportResult) -> bool {
    match answer {
        TransportResult::Response(response) => {
            response.status_code() == 401 && response.error_code() == "M_UNKNOWN_TOKEN"
        }
        TransportResult::Failed(error) => error.kind == TransportErrorKind::MissingToken,
        TransportResult::Cancelled => false,
    }
}

fn credential_of(job: &Job) -> Option<&CredentialRef> {
    match job.auth() {
        Auth::Optional(credential) | Auth::Required(credential) => Some(credential),
        Auth::None | Auth::Token(_) => None,
    }
}

impl Scheduler {
    /// Parks a job before it is sent, if its credential is waited for.
    pub(super) fn await_credential(&mut self, job_id: JobId, step: &mut SchedulerStep) -> bool {
        if self.awaiting_credential.is_empty() {
            return false;
        }
        let entry = self.jobs.get(job_id.0);
        let credential = entry.and_then(|entry| credential_of(&entry.job)).cloned();
        match credential.filter(|one| self.awaiting_credential.contains_key(one)) {
            Some(credential) => {
                self.set_aside(job_id, credential, None, step);
                true
            }
            None => false,
        }
    }

    fn set_aside(
        &mut self,
        job_id: JobId,
        credential: CredentialRef,
        refusal: Option<Response>,
        step: &mut SchedulerStep,
    ) {
        if let Some(entry) = self.jobs.get_mut(job_id.0) {
            entry.state = State::AwaitingCredential;
        }
        let parked = self
            .awaiting_credential
            .entry(credential.clone())
            .or_default();
        parked.jobs.insert(job_id, refusal);
        step.events
            .push(Event::AwaitingCredential { job_id, credential });
    }

    /// Whether the answer says that the job's credential is no good; then the job waits for another.
    pub(super) fn credential_failed(
        &mut self,
        job_id: JobId,
        id: EffectId,
        answer: &TransportResult,
        step: &mut SchedulerStep,
    ) -> bool {
        if !self.waits_for_credentials || !is_about_the_credential(answer) {
            return false;
        }
        let Some(entry) = self.jobs.get_mut(job_id.0) else {
            return false;
        };
        let Some(credential) = credential_of(&entry.job).cloned() else {
            return false;
        };
        entry.attempts.renewals += 1;
        if entry.attempts.renewals > MOST_RENEWALS {
            return false;
        }
        let job = entry.job.clone();
        self.persist_unsent(job_id, &job, step);
        if self
            .renewed
            .get(&credential)
            .is_some_and(|last| id <= *last)
        {
            // It went out with the one before, which has been renewed since.
            self.requeue_first(job_id);
            return true;
        }
        let is_new = !self.awaiting_credential.contains_key(&credential);
        let refusal = match answer {
            TransportResult::Response(response) => Some(job.respond(response.clone())),
            _ => None,
        };
        self.set_aside(job_id, credential.clone(), refusal, step);
        if is_new {
            step.effects.push(Effect::NeedCredential(credential));
        }
        true
    }

    pub(super) fn credential_ready(&mut self, credential: CredentialRef, step: &mut SchedulerStep) {
        let parked = self
            .awaiting_credential
            .remove(&credential)
            .unwrap_or_default();
        self.renewed.insert(credential, EffectId(self.last_effect));
        for (job_id, _) in parked.jobs {
            self.requeue(job_id);
        }
        self.dispatch(step);
    }

    pub(super) fn credential_refused(
        &mut self,
        credential: &CredentialRef,
        step: &mut SchedulerStep,
    ) {
        let parked = self
            .awaiting_credential
            .remove(credential)
            .unwrap_or_default();
        self.renewed.remove(credential);
        for (job_id, refusal) in parked.jobs {
            let outcome = match refusal {
                Some(response) => Outcome::Responded(response),
                None => Outcome::Failed(TransportError {
                    kind: TransportErrorKind::InvalidRequest,
                    processed: Processed::No,
                    message: format!(
                        "the session of {} has ended: sign in again",
                        credential.as_str()
                    ),
                }),
            };
            self.finish_or_hold(job_id, outcome, step);
        }
        self.dispatch(step);
    }

    /// A job that was parked is called back.
    pub(super) fn stop_awaiting(&mut self, job_id: JobId, job: &Job) {
        let Some(credential) = credential_of(job) else {
            return;
        };
        if let Some(parked) = self.awaiting_credential.get_mut(credential) {
            parked.jobs.remove(&job_id);
        }
    }
}
