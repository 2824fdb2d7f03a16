//! Jobs that wait for a credential to be renewed.

use std::collections::BTreeMap;

use super::{JobId, Outcome};
use crate::{
    Auth, CredentialRef, EffectId, Job, Processed, Response, TransportError, TransportErrorKind,
    TransportResult,
};

/// Maximum credential renewals per job; after that the server's 401 is the outcome.
pub(super) const MAX_RENEWALS: u32 = 2;

/// The jobs that wait for each credential, and when credentials were renewed last.
#[derive(Clone, Debug, Default)]
pub(super) struct CredentialWaits {
    /// Each job with the server's 401, if it was sent.
    waiting: BTreeMap<CredentialRef, BTreeMap<JobId, Option<Response>>>,
    /// The last request that was sent before each credential was renewed.
    renewed: BTreeMap<CredentialRef, EffectId>,
}

impl CredentialWaits {
    /// The job's credential, if other jobs wait for it already.
    pub(super) fn awaited_credential(&self, job: &Job) -> Option<CredentialRef> {
        if self.waiting.is_empty() {
            return None;
        }
        let credential = credential_of(job)?;
        let is_awaited = self.waiting.contains_key(credential);
        is_awaited.then(|| credential.clone())
    }

    /// Adds a job. Returns whether it is the first to wait for this credential.
    pub(super) fn add(
        &mut self,
        job_id: JobId,
        credential: &CredentialRef,
        response: Option<Response>,
    ) -> bool {
        let is_first = !self.waiting.contains_key(credential);
        let jobs = self.waiting.entry(credential.clone()).or_default();
        jobs.insert(job_id, response);
        is_first
    }

    /// Removes a job that was cancelled.
    pub(super) fn remove(&mut self, job_id: JobId, job: &Job) {
        let jobs = credential_of(job).and_then(|credential| self.waiting.get_mut(credential));
        let removed = jobs.and_then(|jobs| jobs.remove(&job_id));
        debug_assert!(removed.is_some(), "job {} does not wait", job_id.0);
    }

    /// Whether the credential has been renewed since this request was sent.
    pub(super) fn is_renewed_since(&self, credential: &CredentialRef, sent: EffectId) -> bool {
        self.renewed
            .get(credential)
            .is_some_and(|last| sent <= *last)
    }

    /// The credential was renewed after `last_sent`. Returns the jobs that waited for it.
    pub(super) fn renewed(&mut self, credential: CredentialRef, last_sent: EffectId) -> Vec<JobId> {
        let jobs = self.waiting.remove(&credential).unwrap_or_default();
        self.renewed.insert(credential, last_sent);
        jobs.into_keys().collect()
    }

    /// The credential cannot be renewed. Returns the jobs that waited for it with their outcomes.
    pub(super) fn refused(&mut self, credential: &CredentialRef) -> Vec<(JobId, Outcome)> {
        let jobs = self.waiting.remove(credential).unwrap_or_default();
        self.renewed.remove(credential);
        let outcome = |response| match response {
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
        jobs.into_iter()
            .map(|(job_id, response)| (job_id, outcome(response)))
            .collect()
    }
}

/// The credential that a job names.
pub(super) fn credential_of(job: &Job) -> Option<&CredentialRef> {
    match job.auth() {
        Auth::Optional(credential) | Auth::Required(credential) => Some(credential),
        Auth::None | Auth::Token(_) => None,
    }
}

/// Whether the result says that the credential is missing or no longer valid.
pub(super) fn is_credential_failure(result: &TransportResult) -> bool {
    match result {
        TransportResult::Response(response) => {
            response.status_code() == 401 && response.error_code() == "M_UNKNOWN_TOKEN"
        }
        TransportResult::Failed(error) => error.kind == TransportErrorKind::MissingToken,
        TransportResult::Cancelled => false,
    }
}
