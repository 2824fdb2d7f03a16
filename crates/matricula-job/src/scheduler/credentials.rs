//! Jobs that wait until their credential is good again.

use imbl::OrdMap;

use super::{Effect, Event, Outcome, Scheduler, State, Ticket, Turn};
use crate::{
    Answer, Auth, CredentialRef, EffectId, Job, Processed, Response, TransportError, TransportKind,
};

/// How often one job is sent with a renewed credential before the server's refusal is its outcome.
const MOST_RENEWALS: u32 = 2;

/// The jobs that wait for one credential, each with what the server said to it, if it was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Parked {
    jobs: OrdMap<Ticket, Option<Response>>,
}

fn is_about_the_credential(answer: &Answer) -> bool {
    match answer {
        Answer::Response(response) => {
            response.status_code() == 401 && response.error_code() == "M_UNKNOWN_TOKEN"
        }
        Answer::Failed(error) => error.kind == TransportKind::NoToken,
        Answer::Cancelled => false,
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
    pub(super) fn park(&mut self, ticket: Ticket, turn: &mut Turn) -> bool {
        if self.parked.is_empty() {
            return false;
        }
        let entry = self.jobs.get(ticket.0);
        let credential = entry.and_then(|entry| credential_of(&entry.job)).cloned();
        match credential.filter(|one| self.parked.contains_key(one)) {
            Some(credential) => {
                self.put_aside(ticket, credential, None, turn);
                true
            }
            None => false,
        }
    }

    fn put_aside(
        &mut self,
        ticket: Ticket,
        credential: CredentialRef,
        refusal: Option<Response>,
        turn: &mut Turn,
    ) {
        if let Some(entry) = self.jobs.get_mut(ticket.0) {
            entry.state = State::Parked;
        }
        let parked = self.parked.entry(credential.clone()).or_default();
        parked.jobs.insert(ticket, refusal);
        turn.events.push(Event::Parked { ticket, credential });
    }

    /// Whether the answer says that the job's credential is no good; then the job waits for another.
    pub(super) fn credential_failed(
        &mut self,
        ticket: Ticket,
        id: EffectId,
        answer: &Answer,
        turn: &mut Turn,
    ) -> bool {
        if !self.parks || !is_about_the_credential(answer) {
            return false;
        }
        let Some(entry) = self.jobs.get_mut(ticket.0) else {
            return false;
        };
        let Some(credential) = credential_of(&entry.job).cloned() else {
            return false;
        };
        entry.tried.renewals += 1;
        if entry.tried.renewals > MOST_RENEWALS {
            return false;
        }
        let job = entry.job.clone();
        self.keep_unsent(ticket, &job, turn);
        if self
            .renewed
            .get(&credential)
            .is_some_and(|last| id <= *last)
        {
            // It went out with the one before, which has been renewed since.
            self.relist_first(ticket);
            return true;
        }
        let is_new = !self.parked.contains_key(&credential);
        let refusal = match answer {
            Answer::Response(response) => Some(job.gen_response(response.clone())),
            _ => None,
        };
        self.put_aside(ticket, credential.clone(), refusal, turn);
        if is_new {
            turn.effects.push(Effect::NeedCredential(credential));
        }
        true
    }

    pub(super) fn credential_ready(&mut self, credential: CredentialRef, turn: &mut Turn) {
        let parked = self.parked.remove(&credential).unwrap_or_default();
        self.renewed.insert(credential, EffectId(self.last_effect));
        for (ticket, _) in parked.jobs {
            self.relist(ticket);
        }
        self.send_what_may_go(turn);
    }

    pub(super) fn credential_refused(&mut self, credential: &CredentialRef, turn: &mut Turn) {
        let parked = self.parked.remove(credential).unwrap_or_default();
        self.renewed.remove(credential);
        for (ticket, refusal) in parked.jobs {
            let outcome = match refusal {
                Some(response) => Outcome::Done(response),
                None => Outcome::Failed(TransportError {
                    kind: TransportKind::Request,
                    processed: Processed::No,
                    message: format!(
                        "the session of {} has ended: sign in again",
                        credential.as_str()
                    ),
                }),
            };
            self.conclude(ticket, outcome, turn);
        }
        self.send_what_may_go(turn);
    }

    /// A job that was parked is called back.
    pub(super) fn unpark(&mut self, ticket: Ticket, job: &Job) {
        let Some(credential) = credential_of(job) else {
            return;
        };
        if let Some(parked) = self.parked.get_mut(credential) {
            parked.jobs.remove(&ticket);
        }
    }
}
