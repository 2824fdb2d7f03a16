//! Where jobs stand, for whoever watches.

use super::{JobId, JobStatus, Scheduler, SchedulerConfig, State};
use crate::{Auth, Job};

impl Scheduler {
    /// Jobs that have not ended, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = (JobId, &Job)> {
        self.jobs
            .iter()
            .map(|(job_id, entry)| (JobId(job_id), &*entry.job))
    }

    /// The bounds that it keeps.
    pub fn config(&self) -> &SchedulerConfig {
        &self.config
    }

    /// How many jobs have not ended.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether all jobs have ended.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many places it holds besides its jobs: in lines, among turns, for timers, and what it has
    /// learnt of servers. Some hundreds at most where there are few jobs, else as many as these.
    pub fn memory_entries(&self) -> usize {
        let lanes = self.buckets.iter().map(|(_, lane)| 1 + lane.ready.len());
        let queues = self.queues.iter().map(|(_, queue)| 1 + queue.jobs.len());
        let turns = self.ready_buckets.len() + self.ready_poll_buckets.len();
        lanes.sum::<usize>() + queues.sum::<usize>() + turns + self.timers.len()
    }

    /// The job of this job id, if it has not ended.
    pub fn job(&self, job_id: JobId) -> Option<&Job> {
        Some(&self.jobs.get(job_id.0)?.job)
    }

    /// How many of its queue go before it; none for a job that has ended, 0 for one of no queue.
    pub fn position(&self, job_id: JobId) -> Option<usize> {
        let entry = self.jobs.get(job_id.0)?;
        let Some(key) = entry.queue else {
            return Some(0);
        };
        self.queues.get(key)?.jobs.binary_search(&job_id).ok()
    }

    /// The jobs of a queue that have not ended, in order.
    pub fn queue(&self, id: &str) -> impl Iterator<Item = JobId> {
        let key = self.queue_keys.get(id);
        let queue = key.and_then(|key| self.queues.get(*key));
        queue
            .into_iter()
            .flat_map(|queue| queue.jobs.iter().copied())
    }

    /// The queues that have jobs or are paused.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        self.queue_keys.keys().map(String::as_str)
    }

    /// Jobs that have ended and whose outcomes are kept in the store, oldest first.
    pub fn ended(&self) -> impl Iterator<Item = JobId> {
        self.ended.iter().copied()
    }

    /// Why a job waits, and until when if that is known; none for a job that has ended.
    pub fn status(&self, job_id: JobId) -> Option<JobStatus> {
        let entry = self.jobs.get(job_id.0)?;
        Some(match entry.state {
            State::InFlight(_) => JobStatus::InFlight,
            State::BackingOff(until) => JobStatus::BackingOff { until },
            State::Held => JobStatus::Held,
            State::AwaitingCredential => match entry.job.auth() {
                Auth::Optional(credential) | Auth::Required(credential) => {
                    JobStatus::AwaitingCredential {
                        credential: credential.clone(),
                    }
                }
                _ => JobStatus::Ready,
            },
            State::Queued => {
                let queue = entry.queue.and_then(|key| self.queues.get(key));
                let others = self.position(job_id).unwrap_or_default();
                let lane = self.buckets.get(entry.bucket);
                let paced = lane.and_then(|lane| lane.limiter.wait(self.now));
                match paced {
                    _ if others > 0 => JobStatus::Queued { ahead: others },
                    _ if queue.is_some_and(|queue| queue.paused) => JobStatus::Paused,
                    _ if !self.online => JobStatus::Offline,
                    Some(until) => JobStatus::RateLimited { until },
                    None => JobStatus::Ready,
                }
            }
        })
    }
}
